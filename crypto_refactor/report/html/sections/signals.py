"""What let signals through and what held them back, what the features knew, and what forecasts were worth."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from crypto_refactor.backtest.diagnostics import FeatureCorrelation
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.report.commentary import signal_remarks
from crypto_refactor.report.formatting import UNDEFINED, percent
from crypto_refactor.report.html import charts, series
from crypto_refactor.report.html.charts import Chart, Trace, axis, short, titled
from crypto_refactor.report.html.markup import Html, coded, join, tag
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.tables import Cell, numbers, table, words
from crypto_refactor.signals.conditions import DESCRIPTIONS, FORECAST

BEYOND_BY_CHANCE = 0.0455
"""Share of normal draws more than two standard errors from their mean."""


def conditions_section(context: PageContext[BacktestResult]) -> Section:
    """Return how often each condition held and how often it stood in the way."""
    result = context.result
    columns = (
        words("Condition"),
        words("Asks (long)"),
        numbers("Holds, long", "share of decided closes"),
        numbers("Holds, short", "share of decided closes"),
        numbers(
            "Vetoes", "closes at which the forecast held, confirmations fell short and this one was missing"
        ),
    )
    rows = [
        (
            name,
            DESCRIPTIONS[name][0],
            _bar(figures.long_pass_rate),
            _bar(figures.short_pass_rate),
            UNDEFINED if name == FORECAST else f"{figures.vetoes:,}",
        )
        for name, figures in result.diagnostics.conditions.items()
    ]
    note = (
        "A veto: the forecast held, confirmations fell short, and this condition was one of those missing. "
        "The short side asks for the mirror image."
    )
    body = join(
        tag("p", coded(" ".join(signal_remarks(result)))),
        table("Pass and veto rates of the conditions", columns, rows),
        tag("p", note, class_="note"),
    )
    return Section(name="conditions", title="Conditions", body=body)


def _bar(share: float | None) -> Cell:
    if share is None:
        return Cell(text=UNDEFINED)
    width = tag("span", class_="bar", style=f"width:{share * 100:.0f}%")
    return Cell(text=join(tag("span", width, class_="track"), percent(share, 1)), look="barred")


def correlation_section(context: PageContext[BacktestResult]) -> Section:
    """Return the correlation of each feature with the next return, beside what noise would give."""
    result = context.result
    figures = result.diagnostics.correlations
    names = list(reversed(figures))
    noise = next(iter(figures.values())).noise
    beyond = [
        name
        for name, figure in figures.items()
        if noise is not None and figure.out_of_sample is not None and abs(figure.out_of_sample) > noise
    ]
    traces = [
        _dots("In training", [figures[name].train for name in names], names, "circle-open", charts.MUTED),
        _dots("Out of sample", [figures[name].out_of_sample for name in names], names, "diamond", charts.RUN),
    ]
    layout = {
        "xaxis": axis(
            title=titled("correlation with the next hour's return"),
            tickformat="+.2f",
            range=_around(figures.values()),
        ),
        "yaxis": axis(type="category"),
        "hovermode": "closest",
        "shapes": [] if noise is None else [charts.column_band(-noise, noise)],
    }
    summary = "Correlation of each of the 14 features with the next return, in training and out of sample."
    chart = Chart(name="correlation", summary=summary, traces=traces, layout=layout, height=460)
    body = charts.with_caption(chart, _correlation_text(noise, beyond, len(names)))
    return Section(name="features", title="What the features knew", body=body, charts=(chart,))


def _around(figures: Iterable[FeatureCorrelation]) -> list[float]:
    """Return a range that holds every dot and the ends of the noise."""
    values = [
        each for one in figures for each in (one.train, one.out_of_sample, one.noise) if each is not None
    ]
    widest = 1.2 * max(map(abs, values), default=1.0)
    return [-widest, widest]


def _correlation_text(noise: float | None, beyond: list[str], count: int) -> str:
    if noise is None:
        return "No bar of the window has a known next return."
    found = f"Outside, out of sample: {', '.join(beyond) or 'none'}."
    return (
        f"Shaded: ± {noise:.3f}, two standard errors out of sample where there is nothing to find. {found} "
        f"Chance alone puts about {count * BEYOND_BY_CHANCE:.1f} of {count} there."
    )


def _dots(name: str, values: list[float | None], names: list[str], symbol: str, color: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [None if value is None else round(value, 4) for value in values],
        "y": names,
        "hovertemplate": "%{y}: %{x:+.3f}",
        "marker": {"symbol": symbol, "size": 9, "color": color, "line": {"color": color, "width": 1.5}},
    }


def forecast_section(context: PageContext[BacktestResult]) -> Section:
    """Return forecasts beside what came of them, by the size of the forecast."""
    made, window = context.result.walk.signals, context.result.window
    found = series.outcomes(made, window)
    bins = series.binned(found)
    if not bins:
        body = tag("p", f"Only {len(found.forecast)} forecasts have an outcome: too few to compare.")
        return Section(name="forecast", title="Forecast against outcome", body=body)
    chart = _outcome_chart(bins)
    spread = float(np.std(found.forecast)) * 1e4, float(np.std(found.outcome)) * 1e4
    caption = (
        f"{len(found.forecast):,} hourly forecasts, sorted by size into {len(bins)} groups: the mean forecast of each "
        f"against the mean of what came, with two standard errors. A perfect forecast lies on the dashed line. "
        f"Forecasts varied by {spread[0]:.1f} bp, outcomes by {spread[1]:.0f} bp (standard deviations; 1 bp = 0.01 %)."
    )
    body = join(charts.with_caption(chart, caption), _agreement(found))
    return Section(name="forecast", title="Forecast against outcome", body=body, charts=(chart,))


def _agreement(found: series.Outcomes) -> Html:
    """Say how often forecast and outcome had the same sign."""
    moved = (found.forecast != 0) & (found.outcome != 0)
    count = int(moved.sum())
    if not count:
        return Html("")
    same = float((np.sign(found.forecast) == np.sign(found.outcome))[moved].mean())
    noise = 1 / math.sqrt(count)
    return tag(
        "p",
        f"The sign was right at {percent(same, 1)} of {count:,} closes; guessing gives 50 % ± {percent(noise, 1)}.",
    )


def _outcome_chart(bins: list[series.Bin]) -> Chart:
    forecasts = [each.forecast * 1e4 for each in bins]
    ends = [min(forecasts), max(forecasts)]
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "As forecast",
            "x": short(ends),
            "y": short(ends),
            "hoverinfo": "skip",
            "line": {"color": charts.MUTED, "dash": "dash", "width": 1.5},
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "What came",
            "x": short(forecasts),
            "y": short([each.outcome * 1e4 for each in bins]),
            "error_y": {
                "type": "data",
                "array": short([each.noise * 1e4 for each in bins]),
                "color": charts.RUN,
                "thickness": 1.2,
                "width": 4,
            },
            "marker": {"size": 9, "color": charts.RUN},
            "customdata": [each.count for each in bins],
            "hovertemplate": "forecast %{x:+.1f} bp<br>came %{y:+.1f} bp<br>%{customdata} hours<extra></extra>",
        },
    ]
    layout = {
        "xaxis": axis(title=titled("mean forecast, bp"), tickformat="+~g"),
        "yaxis": axis(title=titled("mean outcome, bp"), tickformat="+~g", zeroline=True),
        "hovermode": "closest",
    }
    summary = "Mean outcome against mean forecast, by the size of the forecast."
    return Chart(name="forecast", summary=summary, traces=traces, layout=layout, height=400)
