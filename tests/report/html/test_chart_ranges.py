"""What has to fit into a chart."""

from __future__ import annotations

import pytest

from crypto_refactor.backtest.diagnostics import FeatureCorrelation
from crypto_refactor.report.html.charts import correlation_chart


@pytest.mark.parametrize("value", [0.08, -0.08])
def test_the_error_bar_of_a_correlation_stays_inside_the_plot(value):
    figure = FeatureCorrelation(train=0.01, out_of_sample=value, noise=0.05)
    chart = correlation_chart({"atr": figure})
    low, high = chart.layout["xaxis"]["range"]
    (bar,) = chart.traces[1]["error_x"]["array"]
    assert low < value - bar
    assert value + bar < high
