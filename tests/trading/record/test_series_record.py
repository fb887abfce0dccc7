"""The score of a series, against figures computed by hand, and its alarms."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import spearmanr
from support.forecasts import AT, forecast, hourly_forecasts
from support.stub_models import BTC

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.record import account_record, new_alarms, series_record
from crypto_refactor.trading.record.martingales import ALARM

ETH = Ticker("ETH", "USD")


def walk(rng, moves):
    """Return the closes of a walk with these log returns, from 100."""
    return 100 * np.exp(np.concatenate([[0.0], np.cumsum(moves)]))


def record_of(closes, **more):
    return series_record("demo/alpaca", {BTC: hourly_forecasts(closes, **more)})


def test_every_figure_of_a_score_is_what_it_says():
    rng = np.random.default_rng(3)
    moves = rng.normal(0, 0.01, 600)
    said = moves * 0.3 + rng.normal(0, 0.01, 600)
    score = record_of(walk(rng, moves), moves=[*np.expm1(said), 0.0], width=0.015).score
    right = said * moves > 0
    assert (score.n, score.stated, score.right) == (600, 600, right.sum())
    assert score.hit_rate.value == pytest.approx(right.mean())
    assert score.hit_rate.se == pytest.approx(math.sqrt(right.mean() * (1 - right.mean()) / 600), rel=0.3)
    assert score.stated_confidence == pytest.approx(0.6)
    assert score.rank_correlation.value == pytest.approx(spearmanr(said, moves).statistic)
    assert score.rmse == pytest.approx(math.sqrt(np.mean((said - moves) ** 2)))
    assert score.zero_rmse == pytest.approx(math.sqrt(np.mean(moves**2)))
    inside = (np.exp(moves) >= np.exp(said) * 0.985) & (np.exp(moves) <= np.exp(said) * 1.015)
    assert score.coverage.value == pytest.approx(inside.mean())
    assert score.product == pytest.approx(1.2 ** right.sum() * 0.8 ** (~right).sum())
    (only,) = score.calibration.bins
    assert (only.n, only.stated, only.observed) == (600, pytest.approx(0.6), pytest.approx(right.mean()))


def test_what_states_nothing_is_counted_apart():
    record = record_of([100.0, 101.0, 100.0, 101.0], confidence=0.5)
    assert (record.score.n, record.score.stated, record.score.hit_rate) == (3, 0, None)
    assert (record.score.silent, record.score.silent_directed, record.score.silent_right) == (3, 3, 2)
    assert record.score.product == 1.0


def test_an_interval_that_no_earlier_ledger_knew_is_not_counted():
    made = [replace(each, low=None, high=None) for each in hourly_forecasts([100.0, 101.0, 102.0])]
    score = series_record("x", {BTC: made}).score
    assert (score.n, score.with_interval, score.coverage) == (2, 0, None)


def test_scores_are_told_by_ticker_model_and_month():
    first = 477_000 - 25  # 2024-05-30T23:00Z
    made = {
        BTC: (
            *hourly_forecasts([100.0, 101.0], first=first, model="may"),
            *hourly_forecasts([100.0] * 30, first=first + 2, model="june"),
        ),
        ETH: hourly_forecasts([10.0, 11.0, 10.0], first=first),
    }
    record = series_record("x", made)
    assert [(group.name, group.score.n) for group in record.by_ticker] == [("BTC/USD", 31), ("ETH/USD", 2)]
    assert [(group.name, group.score.n) for group in record.by_month] == [("2024-05", 26), ("2024-06", 7)]
    assert {group.name: group.score.n for group in record.by_model} == {"may": 2, "abc": 2, "june": 29}
    assert (record.waiting, record.unscored) == (2, 0)


def test_the_recent_score_is_of_the_last_two_hundred():
    closes = [100.0 + (hour % 2) for hour in range(1000)]
    assert record_of(closes).recent.n == 200


def lost_skill(hours=6000):
    """Return a record whose directions are right as often as stated, and from half-way on a coin toss."""
    rng = np.random.default_rng(5)
    sizes = np.abs(rng.normal(0, 0.005, hours)) + 1e-4
    directions = rng.choice([-1.0, 1.0], hours)
    truth = np.where(np.arange(hours) < hours // 2, 0.6, 0.5)
    said = np.where(rng.random(hours) < truth, directions, -directions)
    closes = walk(rng, sizes * directions)
    return record_of(closes, moves=[*(0.001 * said), 0.001])


def test_an_alarm_finds_the_hour_in_which_skill_is_known_to_be_lost():
    record = lost_skill()
    assert record.alarmed_at is not None
    assert AT + 3000 < record.alarms[0] < AT + 3800
    assert 0 <= record.detector < ALARM


def test_only_alarms_that_were_not_told_are_new():
    record = lost_skill()
    (first, *_) = told = new_alarms(record, None)
    assert [alarm.at for alarm in told] == list(record.alarms)
    assert "stated confidence no longer comes true" in first.text
    assert "stated 0.60" in first.text
    assert [alarm.at for alarm in new_alarms(record, record.alarms[0])] == list(record.alarms[1:])
    assert new_alarms(record, record.alarmed_at) == ()
    assert new_alarms(None, None) == ()


def test_a_model_that_keeps_its_word_raises_no_alarm():
    rng = np.random.default_rng(7)
    directions = rng.choice([-1.0, 1.0], 4000)
    said = np.where(rng.random(4000) < 0.6, directions, -directions)
    record = record_of(walk(rng, 0.005 * directions), moves=[*(0.001 * said), 0.001])
    assert record.alarms == ()
    assert record.score.evidence_at is not None


def test_the_record_of_an_account_comes_from_its_ledger(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for each in hourly_forecasts([100.0, 102.0, 101.0]):
        ledger.record_forecast("demo/alpaca", BTC, each)
    record = account_record(ledger, "demo/alpaca")
    assert (record.series, len(record.forecasts), record.score.right) == ("demo/alpaca", 3, 1)
    assert account_record(ledger, "demo/sample") is None


def test_the_first_forecast_of_a_model_at_a_close_is_kept(tmp_path):
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for move, model in ((0.01, "abc"), (-0.02, "abc"), (0.03, "def")):
        ledger.record_forecast("x", BTC, forecast(AT, move=move, model=model))
    kept = ledger.forecasts("x")[BTC]
    assert [(each.model, round(each.predicted, 6)) for each in kept] == [("abc", 101.0), ("def", 103.0)]
