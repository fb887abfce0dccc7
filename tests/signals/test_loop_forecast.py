"""The forecast of the trading loop beside a signal: the very one a backtest makes at that close."""

from __future__ import annotations

import json

import pytest
from support.stub_models import BTC, HeldBars, PlantedFits, sample_bars

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.signals.loop_forecast import loop_forecast

SETTINGS = ModelSettings(lookback=12, train_hours=480, refit_every=100, network="small")
RULES = SignalRules(min_confirmations=4)


class CountedBars(HeldBars):
    """Given bars, and how often they were asked for."""

    asked = 0

    def bars(self, ticker, start, end):
        self.asked += 1
        return super().bars(ticker, start, end)


@pytest.fixture
def source():
    return CountedBars(sample_bars(1600))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())
    return tmp_path / "models"


def backtest(source, folder):
    tester = Backtester(BTC, source=source, settings=SETTINGS, signal_rules=RULES, model_dir=folder)
    return tester.run(24, assess=False).walk


def asked(source, folder, settings=SETTINGS):
    now = source.now(BTC)
    return loop_forecast(source, source.held.between(now - 900, now), now, folder, settings, RULES)


def test_it_is_the_last_decision_of_the_backtest(source, folder):
    walk = backtest(source, folder)
    found = asked(source, folder)
    signals, card = walk.signals, walk.periods[-1].model.card
    assert found.predicted_price == signals.predicted[-1]
    assert (found.signal, found.confidence) == (signals.signal[-1], signals.confidence[-1])
    assert (found.fingerprint, found.trained_through) == (card.fingerprint, card.trained_through)


def test_without_a_model_of_the_ticker_and_the_cut_off_no_bars_are_asked_for(source, folder):
    assert asked(source, folder) is None
    assert source.asked == 0


def test_a_model_of_other_settings_is_not_the_loops(source, folder):
    backtest(source, folder)
    other = ModelSettings(lookback=12, train_hours=480, refit_every=100, network="small", seed=3)
    assert asked(source, folder, other) is None


def test_a_damaged_card_is_passed_over(source, folder):
    backtest(source, folder)
    for card in (folder / "cache").glob("*/model.json"):
        card.write_text("{", encoding="utf-8")
    assert asked(source, folder) is None


def test_a_card_that_was_edited_is_not_believed(source, folder):
    backtest(source, folder)
    for card in (folder / "cache").glob("*/model.json"):
        card.write_text(
            json.dumps(json.loads(card.read_text(encoding="utf-8")) | {"seed": 9}), encoding="utf-8"
        )
    assert asked(source, folder) is None
