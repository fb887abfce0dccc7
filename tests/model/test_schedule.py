from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from support.strategies import holds_for
from support.stub_models import remade, sample_bars, without

from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.market.hours import parse_hour
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.dataset import has_full_window
from crypto_refactor.model.recipe import RECIPE
from crypto_refactor.model.schedule import (
    cutoff_for,
    hours_needed,
    model_key,
    refit_periods,
    series_start,
    training_rows,
)
from crypto_refactor.model.settings import ModelSettings

SETTINGS = ModelSettings(lookback=12, network="small", train_hours=240, refit_every=48)
BEFORE = 240 + 12 + WARMUP


def test_the_cutoff_is_the_last_multiple_at_least_an_hour_before_the_decision():
    at = 48 * 9000
    found = [cutoff_for(at + hour, SETTINGS) - at for hour in (-47, 0, 1, 2, 48, 49, 50)]
    assert found == [-48, -48, 0, 0, 0, 48, 48]


def test_with_the_default_settings_cutoffs_are_30_days_apart_since_1970():
    cutoff = cutoff_for(parse_hour("2024-06-01T00:00Z"), ModelSettings())
    assert cutoff % 720 == 0
    assert cutoff < parse_hour("2024-06-01T00:00Z") <= cutoff + 720


def test_refitting_every_hour_leaves_one_hour_to_train():
    hourly = replace(SETTINGS, refit_every=1)
    assert [cutoff_for(hour, hourly) for hour in (400_000, 400_001)] == [399_999, 400_000]


def test_the_series_begins_so_that_the_first_row_of_the_span_has_a_window_past_the_warm_up():
    assert series_start(400_000, SETTINGS) == 400_000 - 240 - 12 - 500


def test_the_history_needed_reaches_back_to_the_earliest_series():
    for end in range(430_000, 430_000 + 2 * 48):
        first = end - 100
        assert series_start(cutoff_for(first, SETTINGS), SETTINGS) >= end - hours_needed(100, SETTINGS)
    assert hours_needed(720, ModelSettings()) == 720 + 2160 + 720 + 60 + 500


@holds_for(st.integers(0, 400), st.integers(0, 400), st.sampled_from([1, 7, 48, 100]), examples=40)
def test_every_decision_has_one_model_that_has_not_seen_it(offset, length, refit_every):
    settings = replace(SETTINGS, refit_every=refit_every)
    bars = sample_bars(1700)
    first = int(bars.opened[0]) + BEFORE + 100 + offset
    # Hourly refits are many; a few of them say as much.
    last = first + (length if refit_every > 1 else length % 20)
    parts = refit_periods(bars, first, last, settings)
    decided = [hour for part in parts for hour in range(part.first, part.last + 1)]
    assert decided == list(range(first, last + 1))
    for part in parts:
        assert {cutoff_for(hour, settings) for hour in (part.first, part.last)} == {part.cutoff}
        frame = part.frame.bars
        assert frame.opened[0] == series_start(part.cutoff, settings)
        assert frame.closed[-1] == part.last
        data = training_rows(part, settings)
        assert data.trained_through == part.cutoff < part.first
        # The first target closes an hour into the span, its window begins `lookback` bars before.
        assert len(data) == settings.train_hours
        assert data.trained_from == part.cutoff - settings.train_hours - settings.lookback


def first_part(bars, first, last, settings=SETTINGS):
    """Return the first period of the decisions ``first … last``, what its model learns, and its key."""
    part = refit_periods(bars, first, last, settings)[0]
    data = training_rows(part, settings)
    return part, data, model_key(bars, data, settings)


def assert_same_part(a, b):
    """Two answers about the same cut-off: equal to the last bit, as far as both reach."""
    (part, data, key), (other_part, other_data, other_key) = a, b
    assert part.cutoff == other_part.cutoff
    assert key == other_key
    for name in ("inputs", "rows", "returns", "volatility", "close", "atr"):
        assert getattr(data, name).tobytes() == getattr(other_data, name).tobytes(), name
    both = min(len(part.frame), len(other_part.frame))
    for name in ("values", "inputs", "position"):
        mine, theirs = (getattr(p.frame, name)[:both] for p in (part, other_part))
        assert mine.tobytes() == theirs.tobytes(), name
    assert (has_full_window(part.frame, 12)[:both] == has_full_window(other_part.frame, 12)[:both]).all()


HOLES = st.lists(st.tuples(st.integers(-80, 1000), st.sampled_from([1, 2, 6, 7, 30, 72])), max_size=3)


@pytest.mark.slow
@holds_for(HOLES, st.integers(0, 90), st.integers(0, 60), st.integers(0, 130), examples=60)
def test_a_model_is_the_same_wherever_the_bars_at_hand_begin_and_end(holes, offset, earlier, later):
    bars = sample_bars(1600)
    first = int(bars.opened[0]) + BEFORE + 48 + 80 + offset
    start = series_start(cutoff_for(first, SETTINGS), SETTINGS)
    bars = without(bars, *((start + at, start + at + hours) for at, hours in holes))
    try:
        expected = first_part(bars, first, first)
    except DataError:
        return  # the holes left too few rows
    least = bars.between(start, first)
    assert_same_part(first_part(least, first, first), expected)
    more = bars.between(start - earlier, first + later)
    assert_same_part(first_part(more, first, first + later), expected)


@pytest.mark.parametrize("hours", [1, 7, 72, 73])
def test_a_hole_across_the_start_of_the_series_looks_the_same_from_both_sides(hours):
    bars = sample_bars(1600)
    first = 48 * ((int(bars.opened[0]) + BEFORE + 200) // 48) + 10
    start = series_start(cutoff_for(first, SETTINGS), SETTINGS)
    holed = without(bars, (start - 1, start - 1 + hours), (start + 300, start + 303))
    cut = holed.between(start, first)
    assert len(cut) < len(holed)
    assert_same_part(first_part(cut, first, first), first_part(holed, first, first))


class TestKey:
    def asked(self, bars, settings=SETTINGS):
        first = int(sample_bars(1600).opened[0]) + BEFORE + 100
        return first_part(bars, first, first, settings)

    def test_it_is_the_same_for_the_same_question(self):
        assert self.asked(sample_bars(1600))[2] == self.asked(sample_bars(1600))[2]

    def test_one_price_of_the_span_changes_it(self):
        bars = sample_bars(1600)
        part, _, key = self.asked(bars)
        volume = bars.volume.copy()
        volume[np.searchsorted(bars.opened, part.cutoff) - 50] *= 1.001
        assert self.asked(remade(bars, volume=volume))[2] != key

    def test_a_price_after_the_cutoff_does_not(self):
        bars = sample_bars(1600)
        part, _, key = self.asked(bars)
        volume = bars.volume.copy()
        volume[np.searchsorted(bars.opened, part.cutoff) :] *= 2
        assert self.asked(remade(bars, volume=volume))[2] == key

    @pytest.mark.parametrize(
        "changed", [{"lookback": 13}, {"network": "documented"}, {"seed": 1}, {"train_hours": 241}]
    )
    def test_every_setting_of_a_fit_changes_it(self, changed):
        part, data, key = self.asked(sample_bars(1600))
        settings = replace(SETTINGS, **changed)
        if set(changed) & {"lookback", "train_hours"}:
            assert self.asked(sample_bars(1600), settings)[2] != key
        else:
            assert model_key(part.frame.bars, data, settings) != key

    @pytest.mark.parametrize("changed", [{"source": "files"}, {"ticker": Ticker("ETH", "USD")}])
    def test_another_market_changes_it(self, changed):
        _, _, key = self.asked(sample_bars(1600))
        assert self.asked(remade(sample_bars(1600), **changed))[2] != key

    @pytest.mark.parametrize(
        ("name", "other"),
        [
            ("library_versions", lambda: {"keras": "0"}),
            ("catalogue_hash", lambda _: "another catalogue"),
            ("RECIPE", replace(RECIPE, l2=1e-3)),
        ],
    )
    def test_another_library_catalogue_or_recipe_changes_it(self, monkeypatch, name, other):
        _, _, key = self.asked(sample_bars(1600))
        monkeypatch.setattr(f"crypto_refactor.model.identity.{name}", other)
        assert self.asked(sample_bars(1600))[2] != key


class TestTooLittleToLearnFrom:
    def rows_left(self, kept):
        """Split the series so that only the last `kept` rows of the span have a window past the warm-up."""
        bars = sample_bars(1600)
        first = 48 * ((int(bars.opened[0]) + BEFORE + 200) // 48) + 1
        cutoff = cutoff_for(first, SETTINGS)
        # 511 bars after the hole the first window is whole, and its target closes two hours later.
        return cutoff, without(bars, (cutoff - 512 - kept - 73, cutoff - 512 - kept)), first

    def test_half_of_the_span_is_enough(self):
        cutoff, bars, first = self.rows_left(120)
        (part,) = refit_periods(bars, first, first, SETTINGS)
        data = training_rows(part, SETTINGS)
        assert len(data) == 120
        assert data.trained_through == cutoff

    def test_one_row_less_is_refused(self):
        _, bars, first = self.rows_left(119)
        (part,) = refit_periods(bars, first, first, SETTINGS)
        with pytest.raises(DataError, match="only 119 hours") as caught:
            training_rows(part, SETTINGS)
        assert caught.value.exit_code == 3
        assert "240" in caught.value.expected


@pytest.mark.parametrize(
    ("option", "changed"),
    [
        ("--lookback", {"lookback": 1}),
        ("--seed", {"seed": -1}),
        ("--train-hours", {"train_hours": 239}),
        ("--refit-every", {"refit_every": 0}),
        ("--network", {"network": "large"}),
        ("--residual", {"residual": "sometimes"}),
        ("--residual always", {"network": "linear", "residual": "always"}),
    ],
)
def test_settings_that_cannot_be_are_refused(option, changed):
    with pytest.raises(UsageError, match=option):
        ModelSettings(**changed)
