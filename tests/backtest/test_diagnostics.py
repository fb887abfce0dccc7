from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.stub_models import PlantedFits, sample_bars, walk_over, without
from support.trained_models import SETTINGS

from crypto_refactor.backtest.diagnostics import (
    blocked_entries,
    condition_figures,
    entries_beyond_cost,
    entry_sizes,
    feature_correlations,
    signal_counts,
    why_no_entry,
)
from crypto_refactor.correlation import hourly_pearson
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill
from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import cutoff_for, training_rows
from crypto_refactor.signals.condition_catalogue import CONDITIONS
from crypto_refactor.signals.conditions import SignalFrame, SignalRules

FIRST = 400_000
ALL = "forecast rsi macd obv vwap price_trend ema_cross adx calm volume"
SIX = SignalRules(min_confirmations=6)


def decided(*bars):
    """Return signals of bars, each given as (predicted - close, long's conditions, short's, signal)."""
    count = len(bars)
    close = np.full(count, 100.0)
    rows = [[[name in held.split() for name in CONDITIONS] for held in bar[1:3]] for bar in bars]
    sides = np.array(rows, dtype=bool).reshape(count, 2, 10)
    return SignalFrame(
        decided_at=FIRST + 1 + np.arange(count),
        close=close,
        predicted=close + np.array([bar[0] for bar in bars], dtype=float),
        threshold=np.ones(count),
        expected_move=np.array([abs(bar[0]) / 100 for bar in bars], dtype=float),
        confidence=np.full(count, 0.5),
        low=close,
        high=close,
        long=sides[:, 0],
        short=sides[:, 1],
        supported=np.ones(count, dtype=bool),
        signal=np.array([bar[3] for bar in bars], dtype=np.int8),
    )


def tape(volume):
    count = len(volume)
    close = np.full(count, 100.0)
    return Bars(
        ticker=Ticker("BTC", "USD"),
        source="files",
        opened=FIRST + np.arange(count),
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.array(volume, dtype=float),
    )


FOUR = decided(
    (+2, ALL, "rsi", 1),
    (+2, "forecast rsi macd obv", "rsi", 0),  # three of nine; six do not hold
    (-2, "rsi", "forecast rsi macd obv vwap adx", 0),  # five of nine for short; four do not hold
    (0.1, "rsi macd", "", 0),  # no forecast, no veto
)


def test_signals_are_counted():
    assert signal_counts(FOUR) == {"long": 1, "flat": 3, "short": 0}


def test_pass_rates_are_shares_of_all_decided_bars():
    found = condition_figures(FOUR, SIX, tape([1] * 6))
    assert tuple(found) == CONDITIONS
    rates = {name: (figures.long_pass_rate, figures.short_pass_rate) for name, figures in found.items()}
    assert rates["rsi"] == (1.0, 0.75)
    assert rates["macd"] == (0.75, 0.25)
    assert rates["forecast"] == (0.5, 0.25)
    assert rates["volume"] == (0.25, 0.0)


def test_a_veto_is_a_false_condition_where_the_forecast_held_and_confirmations_fell_short():
    vetoes = {name: figures.vetoes for name, figures in condition_figures(FOUR, SIX, tape([1] * 6)).items()}
    assert vetoes == {
        "forecast": 0,
        "rsi": 0,
        "macd": 0,
        "obv": 0,
        "vwap": 1,
        "price_trend": 2,
        "ema_cross": 2,
        "adx": 1,
        "calm": 2,
        "volume": 2,
    }


def test_where_fewer_confirmations_are_needed_fewer_conditions_stand_in_the_way():
    found = condition_figures(FOUR, SignalRules(min_confirmations=5), tape([1] * 6))
    assert found["price_trend"].vetoes == 1
    assert all(
        f.vetoes == 0
        for f in condition_figures(FOUR, SignalRules(min_confirmations=3), tape([1] * 6)).values()
    )


def test_without_decided_bars_there_are_no_rates():
    found = condition_figures(decided(), SIX, tape([1]))
    assert {figures.long_pass_rate for figures in found.values()} == {None}
    assert signal_counts(decided()) == {"long": 0, "flat": 0, "short": 0}


def blocked(signals):
    return blocked_entries(signals, condition_figures(signals, SIX, tape([1] * 6)), SIX)


class TestOwnRecord:
    """How often a condition pointed to one side, and how often the next hour went its way."""

    CLOSES = np.array([100.0, 101, 99, 99, 100, 100])
    WINDOW = replace(
        tape([1] * 6), high=np.full(6, 101.0), low=np.full(6, 99.0), close=CLOSES, protection_price=CLOSES
    )
    MADE = decided(
        (+2, "macd adx", "adx", 0),  # next close 101 after 100: up
        (+2, "macd", "", 0),  # 99 after 100: down
        (-2, "adx", "macd adx", 0),  # 99: down
        (-2, "", "macd", 0),  # 100 after 100: no move
    )

    def test_by_hand(self):
        found = condition_figures(self.MADE, SIX, self.WINDOW)
        # macd pointed up, up, down, down; the last hour did not move.
        assert (found["macd"].held, found["macd"].right) == (3, pytest.approx(2 / 3))
        # adx is the same for both sides: it counts for the forecast's.
        assert (found["adx"].held, found["adx"].right) == (2, 1.0)
        assert (found["obv"].held, found["obv"].right) == (0, None)

    def test_it_agrees_with_a_share_of_the_forecasts_beyond_their_threshold(self):
        found = condition_figures(FOUR, SIX, tape([1] * 6))
        assert found["rsi"].agrees == 1.0
        assert found["price_trend"].agrees == pytest.approx(1 / 3)
        assert condition_figures(decided(), SIX, tape([1]))["rsi"].agrees is None


class TestWhatHeldBack:
    def test_nothing_decided(self):
        assert blocked(decided()) == "No bar could be decided on."

    def test_no_forecast_beyond_its_threshold(self):
        text = blocked(decided((0.1, "rsi", "", 0), (-0.1, "rsi", "rsi", 0)))
        assert text == "`forecast` blocked every bar: none of 2 forecasts exceeded its threshold."

    def test_confirmations(self):
        text = blocked(FOUR)
        assert "on 3 of 4 bars; 1 of them had 6 of 9 confirmations" in text
        assert "`price_trend` on 2" in text


class TestWhyNoEntry:
    def test_no_signal_needs_no_excuse(self):
        assert why_no_entry(decided((0.1, "", "", 0)), ExecutionRules()) is None

    def test_shorts_are_not_opened_by_long_only(self):
        assert "short" in why_no_entry(decided((-2, "", ALL, -1)), ExecutionRules(long_only=True))

    def test_strict_wants_more_than_the_cost(self):
        assert "--strict" in why_no_entry(decided((0.1, ALL, "", 1)), ExecutionRules(strict=True))


def fill(at, quantity, price, reason="entry"):
    return Fill(at=at, side=1, quantity=quantity, price=price, fee=0.0, reason=reason)


class TestEntries:
    MADE = decided((0.1, ALL, "", 1), (0.3, ALL, "", 1), (2, ALL, "", 1))

    def test_they_are_compared_with_what_was_traded_in_the_bar_they_were_filled_in(self):
        fills = [fill(FIRST + 1, 4, 100), fill(FIRST + 2, 5, 100), fill(FIRST + 3, 6, 100)]
        fills.append(fill(FIRST + 3, 99, 100, reason="neutral"))
        found = entry_sizes(fills, tape([1, 100, 100, 100]))
        # 4 %, 5 % and 6 % of 10,000 traded; 5 % is not above 5 %.
        assert (found.entries, found.above_limit) == (3, 1)
        assert found.largest_share == pytest.approx(0.06)

    def test_a_bar_without_a_trade_is_above_any_limit(self):
        found = entry_sizes([fill(FIRST + 1, 1, 100)], tape([1, 0]))
        assert (found.entries, found.above_limit, found.largest_share) == (1, 1, None)

    def test_those_that_promised_more_than_the_round_trip_are_counted(self):
        fills = [fill(FIRST + at, 1, 100) for at in (1, 2, 3)]
        # Moves of 0.1 %, 0.3 % and 2 % against 0.2 %.
        assert entries_beyond_cost(fills, self.MADE, ExecutionRules(fee=0.001)) == 2

    def test_none_at_all(self):
        found = entry_sizes([], tape([1, 1]))
        assert (found.entries, found.above_limit, found.largest_share) == (0, 0, None)
        assert entries_beyond_cost([], self.MADE, ExecutionRules()) == 0


class TestFeatureCorrelations:
    def periods(self, tmp_path, monkeypatch, bars, hours=100, settings=SETTINGS):
        monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())
        last = int(bars.closed[-1])
        walk = walk_over(bars, last - hours + 1, last, settings, SIX, tmp_path)
        return walk.periods

    def test_each_feature_has_its_correlation_with_the_next_return(self, tmp_path, monkeypatch):
        parts = self.periods(tmp_path, monkeypatch, sample_bars(1400), hours=300)
        found = feature_correlations(parts, SETTINGS)
        assert tuple(found) == indicator_names()
        pairs = []
        for part in parts:
            frame = part.period.frame
            # The next close of a part's last bar lies beyond what its features were computed on.
            rows = np.searchsorted(frame.bars.closed, part.signals.decided_at)[:-1]
            close = frame.bars.close
            pairs += [
                (frame.inputs[row], np.log(close[row + 1] / close[row]), frame.bars.closed[row])
                for row in rows
            ]
        x, y, hours = (np.array([pair[part] for pair in pairs]) for part in range(3))
        for column, name in enumerate(indicator_names()):
            assert found[name].out_of_sample == pytest.approx(np.corrcoef(x[:, column], y)[0, 1], abs=1e-9)
            assert found[name].noise == pytest.approx(2 * hourly_pearson(x[:, column], y, hours).se)

    def test_below_ten_days_no_feature_is_beyond_its_noise(self, tmp_path, monkeypatch):
        parts = self.periods(tmp_path, monkeypatch, sample_bars(1400), hours=40)
        found = feature_correlations(parts, SETTINGS).values()
        assert {(figure.noise, figure.beyond_noise) for figure in found} == {(None, False)}

    @pytest.mark.parametrize("split", [False, True])
    def test_every_training_hour_counts_once(self, tmp_path, monkeypatch, split):
        bars = sample_bars(3000)
        settings = replace(SETTINGS, train_hours=1400, refit_every=400)
        if split:
            # The first span has rows on both sides of a gap that splits it, where rows and hours part
            # ways; the second span begins after the gap.
            cutoff = cutoff_for(int(bars.closed[-1]) - 449, settings)
            bars = without(bars, (cutoff - 1080, cutoff - 1000))
        parts = self.periods(tmp_path, monkeypatch, bars, hours=450, settings=settings)
        by_hour = {}
        for part in parts:
            data, frame = training_rows(part.period, settings), part.period.frame
            start = int(np.searchsorted(frame.bars.opened, data.trained_from))
            for place, row in enumerate(data.rows.tolist()):
                by_hour[int(frame.bars.opened[start + row])] = (data.inputs[row], data.returns[place])
        x = np.array([pair[0] for pair in by_hour.values()], dtype=float)
        y = np.array([pair[1] for pair in by_hour.values()])
        assert len(parts) >= 2
        found = feature_correlations(parts, settings)
        for column, name in enumerate(indicator_names()):
            assert found[name].train == pytest.approx(np.corrcoef(x[:, column], y)[0, 1], abs=1e-9)
