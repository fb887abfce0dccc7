"""What a program hands over by mistake ends in an error with three parts, and numpy's numbers are numbers."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from support.stub_models import sample_bars

from crypto_refactor import Backtester, SignalGenerator, errors, evaluate
from crypto_refactor.execution.options import EXECUTION_OPTIONS
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules


@pytest.fixture(scope="module")
def bars():
    return sample_bars(700)


@pytest.mark.parametrize("ticker", [5, None, b"BTC/USD", "BTCUSD", ["BTC/USD"]])
@pytest.mark.parametrize(
    "door", [Backtester, SignalGenerator, lambda given, source: evaluate(given, None, source=source)]
)
def test_what_is_no_ticker(door, ticker, bars):
    with pytest.raises(errors.UsageError, match="is not a ticker"):
        door(ticker, source=bars)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("lookback", value) for value in ("60", 60.0, None, True)),
        *(("seed", value) for value in (1.5, "0", -1)),
        *(("network", value) for value in (3, "big", None, ["small"])),
        *(("residual", value) for value in (False, "sometimes")),
        *(("min_confirmations", value) for value in ("6", 6.5, 10, True)),
        *(("threshold_scale", value) for value in ("1", -1.0, float("nan"))),
        *(("fee", value) for value in ("0.1", 2.0, float("nan"), True, [0.1])),
        *(("long_only", value) for value in ("yes", 1, None)),
        *(("exit", value) for value in ("later", 1, None, ["fade"])),
        *(("venue", value) for value in ("kraken", None)),
        *(("stop_loss", value) for value in ("5 %", 0.0, 5)),
    ],
)
def test_an_option_of_another_kind_or_out_of_range_is_named(option, value, bars):
    name = option.replace("_", "-").removesuffix("-bps")
    with pytest.raises(errors.UsageError, match=f"--{name} is ") as caught:
        Backtester("BTC/USD", source=bars, **{option: value})
    assert caught.value.expected not in {"", "."}
    assert name in caught.value.remedy or option in caught.value.remedy


@pytest.mark.parametrize(
    "objects", [{"settings": 5}, {"signal_rules": {"fee": 1}}, {"options": ModelSettings()}]
)
def test_option_objects_of_another_kind(objects, bars):
    with pytest.raises(errors.UsageError, match="Options came as") as caught:
        Backtester("BTC/USD", source=bars, **objects)
    assert "by keyword" in caught.value.expected


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"hours": "720"}, "--hours is '720'"),
        ({"hours": 24.0}, "--hours is 24.0"),
        ({"hours": True}, "--hours is True"),
        ({"hours": 0}, "--hours is 0"),
        ({"hours": 24, "initial_balance": "much"}, "--initial-balance is 'much'"),
        ({"hours": 24, "initial_balance": float("nan")}, "--initial-balance is nan"),
        ({"hours": 24, "end": "soon"}, "'soon' is not a full hour"),
        ({"hours": 24, "end": 10**12}, "before 1970 or after 2882"),
    ],
)
def test_a_window_that_is_none(asked, said, bars):
    with pytest.raises(errors.UsageError, match=said):
        Backtester("BTC/USD", source=bars).run(**asked)


@pytest.mark.parametrize(
    ("made", "asked", "said"),
    [
        ({}, {"hours": "240"}, "--hours is '240'"),
        ({}, {"retrain_threshold": "24"}, "--retrain-threshold is '24'"),
        ({"rules": 5}, {}, "rules is 5"),
        ({"model": 5}, {}, "--model is 5"),
        ({"min_confirmations": 12}, {}, "--min-confirmations is 12"),
        ({"round_trip_cost": "little"}, {}, "round_trip_cost is 'little'"),
    ],
)
def test_a_signal_that_cannot_be_asked_for(made, asked, said, bars):
    with pytest.raises(errors.UsageError, match=said):
        SignalGenerator("BTC/USD", source=bars, **made).generate_signals(**asked)


def test_the_rules_of_a_signal_by_keyword(bars, fits, tmp_path):
    made = {"source": bars, "lookback": 12, "model_dir": str(tmp_path)}
    by_keyword = SignalGenerator(
        "BTC/USD", rules=SignalRules(min_confirmations=2), min_confirmations=4, **made
    )
    assert by_keyword.generate_signals(120).required == 4
    assert fits.trained == 1


def test_numbers_of_numpy_are_numbers_and_become_json():
    settings = ModelSettings(lookback=np.int64(30), seed=np.uint8(3))
    rules = SignalRules(min_confirmations=np.int32(4), threshold_scale=np.float32(0.5))
    options = ExecutionOptions(fee=np.float32(0.5), stop_loss=np.float64(0.25), slippage_bps=np.int64(2))
    assert (settings, rules) == (
        ModelSettings(lookback=30, seed=3),
        SignalRules(min_confirmations=4, threshold_scale=0.5),
    )
    assert options == ExecutionOptions(fee=0.5, stop_loss=0.25, slippage_bps=2.0)
    assert json.loads(json.dumps([asdict(settings), asdict(rules), asdict(options)]))


@pytest.mark.parametrize("name", EXECUTION_OPTIONS)
def test_every_execution_option_says_what_it_takes(name, bars):
    with pytest.raises(errors.UsageError) as caught:
        Backtester("BTC/USD", source=bars, **{name: "nonsense"})
    assert caught.value.expected not in {"", "."}
    assert f"--{EXECUTION_OPTIONS[name].name} is 'nonsense'" in caught.value.what
