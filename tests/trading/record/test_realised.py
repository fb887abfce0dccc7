"""What became of forecasts: from the forecasts themselves, from bars, or unknown."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from support.forecasts import AT, forecast, hourly_forecasts
from support.stub_models import BTC, sample_bars, without

from crypto_refactor.trading.record.realised import Fate, realise

BARS = sample_bars(400)
LAST = int(BARS.closed[-1])


def closes(bars):
    return dict(zip(bars.closed.tolist(), bars.close.tolist(), strict=True))


def test_a_forecast_an_hour_later_knows_how_the_one_before_ended():
    first, second = realise(BTC, hourly_forecasts([100.0, 102.0]))
    assert (first.fate, first.outcome, first.right) == (Fate.SCORED, 102.0, True)
    assert first.realised == pytest.approx(math.log(1.02))
    assert first.forecast == pytest.approx(math.log(1.01))
    assert (second.fate, second.outcome, second.right) == (Fate.WAITING, None, None)


def test_an_hour_that_the_ledger_missed_is_not_scored_without_bars():
    (row, _) = realise(BTC, [forecast(AT), forecast(AT + 2)])
    assert row.fate is Fate.UNSCORED


def test_bars_tell_what_the_ledger_does_not_know():
    known = closes(BARS)
    made = [forecast(bar, close=known[bar]) for bar in (LAST - 9, LAST - 5, LAST)]
    rows = realise(BTC, made, BARS)
    assert [row.fate for row in rows] == [Fate.SCORED, Fate.SCORED, Fate.WAITING]
    assert [row.outcome for row in rows] == [known[LAST - 8], known[LAST - 4], None]


def test_an_hour_without_a_real_bar_is_not_scored():
    known = closes(BARS)
    made = [forecast(LAST - 9, close=known[LAST - 9])]
    (row,) = realise(BTC, made, without(BARS, (LAST - 9, LAST - 8)))
    assert row.fate is Fate.UNSCORED
    (row,) = realise(BTC, made, BARS.between(0, LAST - 9))
    assert row.fate is Fate.WAITING


def test_a_close_that_jumps_is_no_outcome():
    known = closes(BARS)
    wild = BARS.close.copy()
    at = int(np.flatnonzero(BARS.closed == LAST - 8)[0])
    wild[at] *= 3
    bars = replace(BARS, close=wild, high=np.maximum(BARS.high, wild))
    (row,) = realise(BTC, [forecast(LAST - 9, close=known[LAST - 9])], bars)
    assert row.fate is Fate.UNSCORED


def test_bars_of_another_price_tell_nothing():
    (row,) = realise(BTC, [forecast(LAST - 9, close=closes(BARS)[LAST - 9] * 1000)], BARS)
    assert row.fate is Fate.UNSCORED


def test_a_forecast_of_nothing_and_a_close_that_stays_are_neither_right_nor_wrong():
    rows = realise(BTC, hourly_forecasts([100.0, 100.0, 101.0], moves=[0.01, 0.0, 0.01]))
    assert [row.right for row in rows] == [None, None, None]
    assert [row.states_direction for row in rows] == [True, False, True]


@pytest.mark.parametrize(
    ("made_at", "after"),
    [("", False), ("2024-06-01T00:59:59+00:00", False), ("2024-06-01T01:00:00+00:00", True)],
)
def test_a_forecast_made_when_its_outcome_could_be_known_is_told_apart(made_at, after):
    (row,) = realise(BTC, [forecast(AT, made_at=made_at)])
    assert row.after_the_fact is after
