"""Options by keyword beside the option objects."""

from __future__ import annotations

from dataclasses import fields
from typing import get_type_hints

import pytest

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.choices import Choices, OptionObjects, TargetChoices
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.options import NEEDS_A_FORECAST
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules


def test_every_field_of_the_objects_is_a_keyword_and_nothing_else():
    owners = (ModelSettings, SignalRules, ExecutionOptions)
    assert set(get_type_hints(Choices)) == {field.name for owner in owners for field in fields(owner)}


def test_targets_take_what_needs_no_forecast():
    assert set(get_type_hints(Choices)) - set(get_type_hints(TargetChoices)) == {
        *(field.name for owner in (ModelSettings, SignalRules) for field in fields(owner)),
        *NEEDS_A_FORECAST,
    }


def test_a_keyword_replaces_what_an_object_holds():
    given = ModelSettings(seed=3, lookback=24)
    found = OptionObjects.of(given, None, None, {"lookback": 30, "fee": 0.001, "min_confirmations": 4})
    assert found.settings == ModelSettings(seed=3, lookback=30)
    assert found.signal_rules == SignalRules(min_confirmations=4)
    assert found.options == ExecutionOptions(fee=0.001)


def test_an_unknown_keyword_is_refused_with_the_nearest():
    with pytest.raises(UsageError) as caught:
        Backtester("BTC/USD", source="sample", feee=0.001)
    assert caught.value.remedy == "write fee."


@pytest.mark.parametrize(
    ("name", "value"), [("network", "big"), ("fee", 2.0), ("min_confirmations", 12), ("exit", "now")]
)
def test_a_value_out_of_range_is_refused(name, value):
    with pytest.raises(UsageError):
        Backtester("BTC/USD", source="sample", **{name: value})


@pytest.mark.usefixtures("fits")
def test_a_backtest_from_python(tmp_path):
    result = Backtester(
        "BTC/USD",
        source="sample",
        model_dir=tmp_path,
        network="linear",
        lookback=24,
        train_hours=720,
        fee=0.0005,
    ).run(240, end="2024-12-01T00:00Z")
    assert str(result.equity.index[-1]) == "2024-12-01 00:00:00+00:00"
    assert len(result.equity) == 241
    assert list(result.equity) == ["requested", "alpaca", "buy_and_hold"]
    assert result.equity["requested"].iloc[-1] == result.metrics.final_balance
    assert result.trades["closed"].sum() == result.metrics.trades
    closed = result.trades[result.trades["closed"]]
    assert closed["net_pnl"].gt(0).sum() == round((result.metrics.win_rate or 0) * len(closed))
    assert set(result.signals["signal"]) <= {-1, 0, 1}
    assert result.signals["confidence"].between(0.5, 1).all()
    assert len(result.signals) == 241
