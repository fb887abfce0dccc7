from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from support.strategies import holds_for
from support.stub_models import GAIN, PlantedFits, planted_card, sample_bars, walk_over, without
from support.trained_models import SETTINGS

from crypto_refactor.backtest.walk_forward import align_to_bars
from crypto_refactor.errors import DataError, ModelError
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.model import artifact
from crypto_refactor.model.named_models import model_path
from crypto_refactor.model.schedule import cutoff_for, refit_periods, series_start, training_rows
from crypto_refactor.model.training import jobs as shelf
from crypto_refactor.signals.conditions import SIGNAL_ARRAYS, SignalRules

RULES = SignalRules(min_confirmations=4)
LONGEST_HISTORY = 240 + 48 + 12 + 500


@pytest.fixture
def fits(monkeypatch):
    planted = PlantedFits()
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", planted)
    return planted


@pytest.fixture
def walk(tmp_path, fits):
    def walk(bars, first, last, settings=SETTINGS, *, pinned=None, folder=tmp_path):
        return walk_over(bars, first, last, settings, RULES, folder, pinned=pinned)

    return walk


def hours(count):
    """Return the closes of the last `count` of 1,400 simulated bars, first and last."""
    last = int(sample_bars(1400).closed[-1])
    return last - count + 1, last


def test_every_bar_is_decided_by_a_model_that_had_closed_its_books_before(walk):
    first, last = hours(130)
    found = walk(sample_bars(1400), first, last)
    assert found.signals.decided_at.tolist() == list(range(first, last + 1))
    assert len(found.periods) in {3, 4}
    for stretch in found.periods:
        card = stretch.model.card
        assert card.trained_through == stretch.period.cutoff
        assert (stretch.signals.decided_at > card.trained_through).all()
        assert {cutoff_for(int(hour), SETTINGS) for hour in stretch.signals.decided_at} == {
            stretch.period.cutoff
        }


def test_forecasts_are_those_of_the_network_on_the_bars_own_features(walk):
    first, last = hours(60)
    found = walk(sample_bars(1400), first, last)
    for stretch in found.periods:
        frame, made = stretch.period.frame, stretch.signals
        rows = np.searchsorted(frame.bars.closed, made.decided_at)
        last_input = frame.inputs[rows, frame.names.index("ema_20")].astype(np.float32)
        forecast = (np.float32(GAIN) * last_input).astype(float) * frame.column("realised_volatility")[rows]
        np.testing.assert_allclose(made.predicted, frame.bars.close[rows] * np.exp(forecast), rtol=1e-9)


def test_each_bar_names_the_model_that_decided_it(walk):
    found = walk(sample_bars(1400), *hours(130))
    by_hour = dict(zip(found.signals.decided_at.tolist(), found.model_fingerprints, strict=True))
    for stretch in found.periods:
        assert {by_hour[hour] for hour in stretch.signals.decided_at.tolist()} == {
            stretch.model.card.fingerprint
        }
    assert len(set(found.model_fingerprints)) == len(found.periods)


def test_a_second_walk_trains_nothing_and_says_the_same(walk, fits):
    first, second = (walk(sample_bars(1400), *hours(130)) for _ in range(2))
    assert (first.trained, second.trained) == (len(first.periods), 0)
    assert len(fits.calls) == 1
    for name in SIGNAL_ARRAYS:
        assert getattr(first.signals, name).tobytes() == getattr(second.signals, name).tobytes()


HOLES = st.lists(st.tuples(st.integers(0, 900), st.sampled_from([1, 5, 6, 7, 20])), max_size=2)


@holds_for(HOLES, st.integers(0, 90), st.integers(0, 99), st.integers(0, 99), examples=15)
def test_a_decision_is_the_same_to_the_last_bit_whatever_else_is_asked(
    tmp_path_factory, holes, offset, earlier, later
):
    bars = sample_bars(1400)
    hour = int(bars.opened[0]) + LONGEST_HISTORY + 150 + offset
    start = series_start(cutoff_for(hour, SETTINGS), SETTINGS)
    bars = without(bars, *((start + at, start + at + length) for at, length in holes))
    least = bars.between(start, hour)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shelf, "fit_all", PlantedFits())
        made = []
        for held, first, last in ((least, hour, hour), (bars, hour - earlier, hour + later)):
            found = walk_over(held, first, last, SETTINGS, RULES, tmp_path_factory.mktemp("models"))
            signals = found.signals
            here = signals.decided_at == hour
            fingerprints = [mark for mark, mine in zip(found.model_fingerprints, here, strict=True) if mine]
            made.append([fingerprints, *(getattr(signals, name)[here].tobytes() for name in SIGNAL_ARRAYS)])
    assert made[0] == made[1]


def test_bars_without_a_whole_window_are_left_out(walk):
    first, last = hours(60)
    bars = without(sample_bars(1400), (first + 9, first + 16))
    made = set(walk(bars, first, last).signals.decided_at.tolist())
    # Bars 10 to 16 are missing; with more than 6 of them in the window of 12, none is decided on after that.
    undecided = set(range(first + 10, first + 17)) | set(range(first + 17, first + 22))
    assert made == set(range(first, last + 1)) - undecided


def test_cutoffs_within_one_hole_share_a_model(walk, fits):
    """A split before the span and a hole after it leave two cut-offs with the very same rows."""
    settings = replace(SETTINGS, train_hours=300, refit_every=10)
    bars = sample_bars(1400)
    cutoff = int(bars.closed[-1]) // 10 * 10 - 20
    bars = without(bars, (cutoff - 800, cutoff - 720), (cutoff - 8, cutoff + 15))
    first, last = cutoff + 1, cutoff + 15
    cuts = refit_periods(bars, first, last, settings)
    sets = [training_rows(part, settings) for part in cuts]
    assert len(cuts) == 2
    assert sets[0].trained_through == sets[1].trained_through
    found = walk(bars, first, int(bars.closed[-1]), settings)
    assert [stretch.period.cutoff for stretch in found.periods][:2] == [cutoff, cutoff + 10]
    assert found.periods[0].model.card.trained_through == cutoff - 8


def test_the_whole_walk_is_refused_where_one_cutoff_has_too_little_to_learn_from(walk, fits):
    first, last = hours(20)
    cutoff = cutoff_for(first, SETTINGS)
    with pytest.raises(DataError, match="can be trained on only"):
        walk(without(sample_bars(1400), (cutoff - 300, cutoff - 200)), first, last)
    assert fits.calls == []


class TestPinned:
    @pytest.fixture
    def pinned(self, tmp_path):
        bars = sample_bars(1200)
        data = training_rows(
            refit_periods(bars, int(bars.closed[-1]), int(bars.closed[-1]), SETTINGS)[0], SETTINGS
        )
        card, files = planted_card(data, SETTINGS, bars)
        return artifact.write(model_path(tmp_path, bars.ticker, "mine", simulated=True), card, **files)

    def test_one_model_decides_everything_and_nothing_is_trained(self, walk, fits, pinned):
        first, last = hours(130)
        assert first >= pinned.card.trained_through
        found = walk(sample_bars(1400), first, last, pinned="mine")
        assert set(found.model_fingerprints) == {pinned.card.fingerprint}
        assert len(found.signals) == 130
        assert (found.trained, fits.calls) == (0, [])

    def test_it_must_not_have_seen_the_window(self, walk, pinned):
        first = pinned.card.trained_through
        assert len(walk(sample_bars(1400), first, first + 5, pinned="mine").signals) == 6
        with pytest.raises(ModelError, match="was trained on bars up to"):
            walk(sample_bars(1400), first - 1, first + 5, pinned="mine")


def test_signals_are_laid_out_over_the_bars_of_the_window(walk):
    first, last = hours(60)
    bars = without(sample_bars(1400), (first + 9, first + 16))
    found = walk(bars, first, last)
    window = fill_gaps(bars).between(first - 1, last)
    laid = align_to_bars(found.signals, window)
    assert {len(column) for column in laid.values()} == {60}
    assert laid["decidable"].sum() == len(found.signals)
    assert not laid["decidable"][window.synthetic].any()
    for hour, signal in zip(found.signals.decided_at, found.signals.signal, strict=True):
        assert laid["signal"][hour - first] == signal
    assert not laid["signal"][~laid["decidable"]].any()
    assert not laid["expected_move"][~laid["decidable"]].any()
