from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from support.jumps import planted, shifted, with_closes
from support.stub_models import HeldBars, PlantedFits, planted_card, remade, sample_bars, without
from support.trained_models import SETTINGS

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.jump_shares import jump_shares
from crypto_refactor.errors import DataError, ModelError, UsageError
from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.named_models import model_path
from crypto_refactor.model.schedule import cutoff_for, refit_periods, training_rows
from crypto_refactor.signals.conditions import SignalRules

BTC, ADA = Ticker("BTC", "USD"), Ticker("ADA", "USD")
BEFORE = 240 + 48 + 12 + 500
HOURS = 100
RULES = SignalRules(min_confirmations=4)


@pytest.fixture
def fits(monkeypatch):
    planted = PlantedFits()
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", planted)
    return planted


@pytest.fixture
def backtester(tmp_path, fits):
    def make(bars=None, *, ticker=BTC, folder="models", **options):
        held = sample_bars(1400) if bars is None else bars
        asked = {"settings": SETTINGS, "signal_rules": RULES, "source": HeldBars(held)}
        return Backtester(ticker, model_dir=tmp_path / folder, **(asked | options))

    return make


def assert_same(one, other):
    assert one.requested.metrics == other.requested.metrics
    assert one.requested.simulation.fills == other.requested.simulation.fills
    assert one.requested.simulation.trades == other.requested.simulation.trades
    assert one.requested.simulation.equity.tobytes() == other.requested.simulation.equity.tobytes()
    assert one.walk.model_fingerprints == other.walk.model_fingerprints
    assert one.alpaca.metrics == other.alpaca.metrics
    assert one.buy_and_hold.metrics == other.buy_and_hold.metrics


class TestWindow:
    def test_n_hours_are_n_bars_and_n_decisions_and_one_pending(self, backtester):
        found = backtester().run(HOURS)
        bars = sample_bars(1400)
        end = int(bars.closed[-1])
        assert found.end == end
        assert found.hours == HOURS
        # The bar that makes the first decision, then the N of the window.
        assert found.window.closed.tolist() == list(range(end - HOURS, end + 1))
        assert found.walk.signals.decided_at.tolist() == list(range(end - HOURS, end + 1))
        assert len(found.requested.simulation.equity) == HOURS + 1
        assert found.requested.simulation.equity[0] == 100_000
        assert all(end - HOURS <= fill.at < end for fill in found.requested.simulation.fills)
        assert {fill.at for fill in found.requested.simulation.fills}
        for fill in found.requested.simulation.fills:
            assert fill.price == bars.open[np.searchsorted(bars.opened, fill.at)]

    def test_one_hour_is_one_decision_filled_and_one_pending(self, backtester):
        found = backtester().run(1)
        end = found.end
        assert found.walk.signals.decided_at.tolist() == [end - 1, end]
        assert {fill.at for fill in found.requested.simulation.fills} <= {end - 1}

    @pytest.mark.slow
    def test_the_decision_at_the_end_is_pending_and_fills_when_the_next_bar_is_there(self, backtester):
        bars = sample_bars(1400)
        for end in range(int(bars.closed[-1]) - 40, int(bars.closed[-1])):
            found = backtester(bars).run(HOURS, end=end)
            if found.requested.simulation.pending:
                break
        assert found.requested.simulation.pending
        longer = backtester(bars).run(HOURS + 1, end=end + 1)
        assert [fill.at for fill in longer.requested.simulation.fills if fill.at == end]
        assert [fill for fill in longer.requested.simulation.fills if fill.at < end] == list(
            found.requested.simulation.fills
        )

    def test_buy_and_hold_buys_at_the_first_open_and_pays_the_fee(self, backtester):
        found = backtester(options=ExecutionOptions(fee=0.01)).run(HOURS, initial_balance=5000.0)
        (bought,) = found.buy_and_hold.simulation.fills
        opened = found.window.open[1]
        assert (bought.at, bought.price) == (found.end - HOURS, opened)
        assert bought.quantity == pytest.approx(5000 / (opened * 1.01))
        assert found.buy_and_hold.metrics.final_balance == pytest.approx(
            5000 / 1.01 * found.window.close[-1] / opened
        )

    def test_an_earlier_end_looks_at_an_earlier_window(self, backtester):
        bars = sample_bars(1400)
        end = int(bars.closed[-1]) - 77
        assert_same(
            backtester().run(HOURS, end=end), backtester(bars.prefix(1400 - 77), folder="other").run(HOURS)
        )


class TestTheSameCommandGivesTheSameBacktest:
    def test_whether_models_are_at_hand_or_not(self, backtester, fits):
        first, second = backtester().run(HOURS), backtester().run(HOURS)
        assert (first.walk.trained, second.walk.trained) == (len(first.walk.periods), 0)
        assert_same(first, second)

    @pytest.mark.slow
    def test_whatever_lies_in_the_model_folder(self, backtester, tmp_path):
        alone = backtester(folder="empty").run(HOURS)
        # Models of other windows, seeds and sources, app_lstm's own, and rubbish.
        backtester().run(HOURS, end=int(sample_bars(1400).closed[-1]) - 30)
        backtester(settings=replace(SETTINGS, seed=9)).run(HOURS)
        backtester(remade(sample_bars(1400), source="files")).run(HOURS)
        folder = tmp_path / "models"
        named = model_path(folder, BTC, "lstm_v2", simulated=True)
        named.parent.mkdir(parents=True)
        for path in (named, folder / "btc_usd_lstm_v2.keras", folder / "cache" / "rubbish" / "model.keras"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"rubbish")
        assert_same(alone, backtester().run(HOURS))
        assert named.read_bytes() == b"rubbish"

    def test_wherever_the_bars_at_hand_begin_and_end(self, backtester):
        bars, end = sample_bars(1400), int(sample_bars(1400).closed[-1]) - 50
        least = bars.between(end - BEFORE - HOURS, end)
        assert_same(
            backtester(least, folder="a").run(HOURS, end=end),
            backtester(bars, folder="b").run(HOURS, end=end),
        )

    def test_after_a_damaged_cache(self, backtester, tmp_path):
        alone = backtester().run(HOURS)
        for path in (tmp_path / "models").rglob("model.onnx"):
            path.write_bytes(path.read_bytes()[:10])
        assert_same(alone, backtester().run(HOURS))

    def test_another_seed_may_give_another(self, backtester):
        one, other = backtester().run(HOURS), backtester(settings=replace(SETTINGS, seed=1)).run(HOURS)
        assert set(one.walk.model_fingerprints).isdisjoint(other.walk.model_fingerprints)


class TestTooFewBars:
    @pytest.mark.parametrize("missing", [1, 37, HOURS - 1])
    def test_needed_and_found_and_the_largest_hours_that_work_are_named(self, backtester, missing):
        held = sample_bars(1400).rows(1400 - BEFORE - HOURS + missing, 1400)
        with pytest.raises(DataError) as caught:
            backtester(held).run(HOURS)
        error = caught.value
        assert error.exit_code == 3
        assert f"{BEFORE + HOURS:,} hours" in error.what
        assert f"{BEFORE + HOURS - missing:,} were found" in error.what
        largest = int(re.search(r"--hours (\d+)", error.remedy)[1])
        assert largest == HOURS - missing
        backtester(held).run(largest)
        with pytest.raises(DataError):
            backtester(held).run(largest + 1)

    def test_where_no_hours_work_it_says_so(self, backtester):
        with pytest.raises(DataError, match="were found") as caught:
            backtester(sample_bars(1400).rows(1400 - BEFORE, 1400)).run(HOURS)
        assert "--train-hours" in caught.value.remedy

    def test_exactly_enough_is_enough(self, backtester):
        found = backtester(sample_bars(1400).rows(1400 - BEFORE - HOURS, 1400)).run(HOURS)
        assert len(found.requested.simulation.equity) == HOURS + 1

    def test_no_bars_at_all(self, backtester):
        with pytest.raises(DataError):
            backtester().run(HOURS, end=int(sample_bars(1400).opened[0]))


class TestHoles:
    def end(self):
        return int(sample_bars(1400).closed[-1])

    def test_a_gap_across_the_first_hour_needed_is_not_a_lack_of_bars(self, backtester):
        start = self.end() - BEFORE - HOURS
        bars = without(sample_bars(1400), (start - 2, start + 2))
        assert backtester(bars).run(HOURS).quality.synthetic == 2

    def test_more_than_five_percent_missing_is_refused_unless_allowed(self, backtester):
        bars = without(sample_bars(1400), *((self.end() - at, self.end() - at + 25) for at in (90, 400, 520)))
        with pytest.raises(DataError, match="lie in gaps") as caught:
            backtester(bars).run(HOURS)
        assert "--allow-gaps" in caught.value.remedy
        found = backtester(bars).run(HOURS, allow_gaps=True)
        assert found.quality.synthetic == 75
        assert found.window.synthetic.sum() == 25

    def test_nothing_is_decided_or_filled_on_a_synthetic_bar(self, backtester):
        gap = self.end() - 60
        bars = without(sample_bars(1400), (gap, gap + 6))
        found = backtester(bars).run(HOURS)
        synthetic = set(range(gap, gap + 6))
        assert synthetic.isdisjoint(found.walk.signals.decided_at - 1)
        assert synthetic.isdisjoint(fill.at for fill in found.requested.simulation.fills)
        assert len(found.requested.simulation.equity) == HOURS + 1

    def test_a_window_that_begins_within_a_short_gap_decides_when_it_is_over(self, backtester):
        first = self.end() - HOURS
        found = backtester(without(sample_bars(1400), (first - 3, first + 2))).run(HOURS)
        assert found.walk.signals.decided_at[0] == first + 3
        assert found.hours == HOURS

    def test_a_window_that_begins_within_a_long_gap_is_refused(self, backtester):
        first = self.end() - HOURS
        settings = replace(SETTINGS, refit_every=480)
        bars = without(sample_bars(1800).rows(0, 1800), (first - 50, first + 30))
        with pytest.raises(DataError, match="lies in a long gap"):
            backtester(bars, settings=settings).run(HOURS, end=self.end(), allow_gaps=True)

    def test_bars_that_stop_long_before_the_end_are_refused(self, backtester):
        with pytest.raises(DataError, match="before the end"):
            backtester().run(HOURS, end=self.end() + 4)

    def test_a_missing_last_bar_shortens_the_window(self, backtester):
        found = backtester(sample_bars(1400)).run(HOURS, end=self.end() + 1)
        assert int(found.window.closed[-1]) == self.end()
        assert len(found.requested.simulation.equity) == HOURS


class TestAtAlpaca:
    @pytest.mark.slow
    @pytest.mark.parametrize(
        "options",
        [
            ExecutionOptions(),
            ExecutionOptions(fee=0.0001, slippage_bps=3.0, exit=ExitRule.FADE, position_size=0.5),
            ExecutionOptions(stop_loss=0.01, strict=True),
            ExecutionOptions(max_drawdown=0.02),
        ],
    )
    def test_it_is_what_the_same_command_with_its_venue_and_fee_gives(self, backtester, options):
        found = backtester(options=options).run(HOURS)
        there = backtester(options=replace(options, venue="alpaca", fee=0.0025)).run(HOURS)
        assert found.alpaca.metrics == there.requested.metrics == there.alpaca.metrics
        assert found.alpaca.simulation.fills == there.requested.simulation.fills
        assert all(fill.side == 1 for fill in there.requested.simulation.fills if fill.reason == "entry")

    def test_the_venue_implies_its_fee(self, backtester):
        one, other = (
            backtester(options=ExecutionOptions(venue="alpaca", fee=fee)).run(HOURS) for fee in (None, 0.0025)
        )
        assert one.requested.metrics == other.requested.metrics

    def test_a_ticker_alpaca_does_not_trade_has_none(self, backtester):
        bars = sample_bars(1400, ADA)
        found = backtester(bars, ticker=ADA).run(HOURS)
        assert found.alpaca is None

    def test_and_cannot_be_run_there(self, backtester):
        with pytest.raises(UsageError, match="ADA/USD"):
            backtester(sample_bars(1400, ADA), ticker=ADA, options=ExecutionOptions(venue="alpaca"))


class TestPinned:
    @pytest.fixture
    def pinned(self, tmp_path):
        bars = sample_bars(1250)
        last = int(bars.closed[-1])
        data = training_rows(refit_periods(bars, last, last, SETTINGS)[0], SETTINGS)
        card, files = planted_card(data, SETTINGS, bars)
        return artifact.write(model_path(tmp_path / "models", BTC, "mine", simulated=True), card, **files)

    def test_it_decides_everything(self, backtester, fits, pinned):
        found = backtester(model="mine.keras").run(HOURS)
        assert set(found.walk.model_fingerprints) == {pinned.card.fingerprint}
        assert found.pinned == "mine"
        assert fits.calls == []

    def test_it_is_refused_where_it_has_seen_the_first_decision(self, backtester, pinned):
        last = int(sample_bars(1400).closed[-1])
        fits = last - pinned.card.trained_through
        backtester(model="mine").run(fits)
        with pytest.raises(ModelError, match="was trained on bars up to"):
            backtester(model="mine").run(fits + 1)

    def test_one_of_simulated_bars_never_decides_real_ones(self, backtester, pinned):
        real = remade(sample_bars(1400), source="files")
        with pytest.raises(ModelError, match="There is no model"):
            backtester(real, model="mine").run(HOURS)


@pytest.mark.parametrize(
    ("option", "asked"),
    [
        ("--hours", {"hours": 0}),
        ("--initial-balance", {"initial_balance": 0.0}),
        ("--initial-balance", {"initial_balance": float("inf")}),
    ],
)
def test_what_cannot_be_is_refused(backtester, option, asked):
    with pytest.raises(UsageError, match=option):
        backtester().run(**asked)


def test_models_change_at_their_cutoffs(backtester):
    found = backtester().run(HOURS)
    window = fill_gaps(sample_bars(1400))
    assert len(window) == 1400
    by_hour = dict(zip(found.walk.signals.decided_at.tolist(), found.walk.model_fingerprints, strict=True))
    changes = [hour for hour in by_hour if hour - 1 in by_hour and by_hour[hour] != by_hour[hour - 1]]
    assert changes == [hour for hour in by_hour if hour - 1 in by_hour and (hour - 1) % 48 == 0]
    assert {part.model.card.trained_through for part in found.walk.periods} == {
        cutoff_for(hour, SETTINGS) for hour in by_hour
    }


class TestJumps:
    """Closes that cannot be prices, in the window and in the history behind it."""

    @pytest.mark.parametrize("row", [-60, -400], ids=["window", "history"])
    @pytest.mark.parametrize("kind", ["bad tick", "bad tick of two bars", "decimal point", "redenomination"])
    def test_bars_with_them_are_refused_with_hour_and_remedy(self, backtester, kind, row):
        bars = planted(sample_bars(1400), 1400 + row)[kind]
        with pytest.raises(DataError, match="jump") as refused:
            backtester(bars).run(HOURS)
        assert to_iso(int(bars.opened[row])) in refused.value.what
        assert "--allow-jumps" in refused.value.remedy

    def test_a_crash_is_not_refused(self, backtester):
        found = backtester(planted(sample_bars(1400), 1340)["crash"]).run(HOURS)
        assert [share.jump.kind for share in found.jump_shares] == ["move"]

    @pytest.mark.parametrize("kind", ["bad tick", "bad tick of two bars", "decimal point", "redenomination"])
    def test_allowed_ones_count_for_nothing_and_the_audit_passes(self, backtester, kind):
        bars = sample_bars(1400)
        clean = backtester(bars).run(HOURS)
        found = backtester(planted(bars, 1340)[kind]).run(HOURS, allow_jumps=True)
        assert found.audit.passed, found.audit.to_dict()
        for name in ("requested", "alpaca", "buy_and_hold"):
            wanted, got = getattr(clean, name).metrics, getattr(found, name).metrics
            assert got.total_return == pytest.approx(wanted.total_return, abs=0.02), name
            assert got.max_drawdown == pytest.approx(wanted.max_drawdown, abs=0.02), name
            assert abs(np.diff(getattr(found, name).simulation.equity) / 100_000).max() < 0.05
        assert found.alpaca.simulation.halted_at == clean.alpaca.simulation.halted_at
        (share,) = found.jump_shares
        assert share.counted == 0

    def test_a_share_is_what_the_position_would_have_made_of_the_jump(self, backtester):
        bars = planted(sample_bars(1400), 1340)["redenomination"]
        found = backtester(bars).run(HOURS, allow_jumps=True)
        held = found.buy_and_hold.simulation
        (share,) = jump_shares(found.quality.jumps, found.window, held)
        row = int(np.searchsorted(found.window.opened, bars.opened[1340]))
        assert share.as_move == pytest.approx(
            9 * held.quantity[row] * found.window.close[row] / 100_000, rel=0.02
        )

    def test_they_teach_the_models_nothing(self, backtester):
        bars = sample_bars(1400)
        rows = {800: 0.5, 900: 3.0}
        clean, found = (
            backtester(each, folder=str(name)).run(HOURS, allow_jumps=True)
            for name, each in enumerate((bars, with_closes(bars, rows)))
        )
        for one, other in zip(clean.walk.periods, found.walk.periods, strict=True):
            labels = training_rows(other.period, SETTINGS).returns
            assert np.abs(labels).max() <= np.abs(training_rows(one.period, SETTINGS).returns).max()

    def test_units_before_and_after_a_break_give_the_same_signals(self, backtester):
        bars = sample_bars(1400)
        clean = backtester(bars).run(HOURS).walk.signals
        found = backtester(shifted(bars, 700, 10.0)).run(HOURS, allow_jumps=True).walk.signals
        assert found.decided_at.tolist() == clean.decided_at.tolist()
        assert (found.signal == clean.signal).mean() > 0.9

    def test_a_stop_waits_for_the_bar_after_a_crash_and_the_audit_agrees(self, backtester):
        bars = sample_bars(1400)
        options = ExecutionOptions(exit=ExitRule.OPPOSITE, stop_loss=0.1)
        calm = backtester(bars, options=options).run(HOURS)
        long = np.lib.stride_tricks.sliding_window_view(calm.requested.simulation.sides == 1, 4).all(axis=1)
        first = int(np.flatnonzero(long)[0])
        row = int(np.searchsorted(bars.opened, calm.window.opened[first])) + 1
        found = backtester(planted(bars, row)["crash"], options=options).run(HOURS)
        assert found.audit.passed, found.audit.to_dict()
        (stopped,) = [fill for fill in found.requested.simulation.fills if fill.reason == "stop_loss"]
        assert stopped.at == int(bars.opened[row + 2])
        assert stopped.price == planted(bars, row)["crash"].open[row + 2]
