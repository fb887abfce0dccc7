from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bars import empty_bars

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import (
    COLUMNS,
    MAX_FILLED_GAP_HOURS,
    Bars,
    fill_gaps,
    segment_starts,
)
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
FIRST = 473_352  # 2024-01-01T00:00Z


def tape(hours, **changes):
    """Bars with close 101, 102, … at FIRST + each of `hours`."""
    count = len(hours)
    close = 101.0 + np.arange(count)
    columns = {
        "opened": FIRST + np.array(hours, dtype=np.int64),
        "open": close - 1,
        "high": close + 1,
        "low": close - 2,
        "close": close,
        "volume": np.full(count, 5.0),
    }
    return Bars(ticker=BTC, source="files", **(columns | changes))


def changed(name, row, value, count=4):
    column = np.array(getattr(tape(range(count)), name))
    column[row] = value
    return {name: column}


@pytest.mark.parametrize(
    ("changes", "row", "rule"),
    [
        (changed("close", 2, np.nan), 3, "finite"),
        (changed("open", 0, np.inf), 1, "finite"),
        (changed("volume", 3, np.nan), 4, "finite"),
        (changed("opened", 2, FIRST + 1), 3, "strictly increasing"),
        (changed("opened", 1, FIRST - 5), 2, "strictly increasing"),
        (changed("low", 1, 0.0), 2, "above 0"),
        (changed("low", 1, -1.0), 2, "above 0"),
        (changed("volume", 2, -0.1), 3, "volume"),
        (changed("low", 3, 103.5), 4, "low <= open"),
        (changed("high", 1, 101.5), 2, "close <= high"),
        (changed("close", 0, 102.5), 1, "close <= high"),
    ],
)
def test_a_row_that_is_no_bar_is_refused_and_shown(changes, row, rule):
    with pytest.raises(DataError) as caught:
        tape(range(4), **changes)
    assert f"Row {row} of 4 BTC/USD bars from files" in caught.value.what
    assert rule in caught.value.expected


def test_the_first_offending_row_is_the_one_shown():
    changes = changed("volume", 3, -1.0) | changed("close", 1, np.nan)
    with pytest.raises(DataError, match=r"Row 2 .*2024-01-01T01:00:00Z: .*close nan"):
        tape(range(4), **changes)


def test_flat_bars_and_bars_without_volume_are_bars():
    flat = dict.fromkeys(("open", "high", "low", "close"), np.full(3, 7.0))
    assert len(tape(range(3), **flat, volume=np.zeros(3))) == 3


def test_columns_of_another_length_are_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="close has shape"):
        tape(range(4), close=np.ones(3))
    with pytest.raises(ValueError, match="synthetic has shape"):
        tape(range(4), synthetic=np.array([True]))


def test_opening_times_between_two_hours_cannot_be_written_down():
    with pytest.raises(ValueError, match="whole hours"):
        tape(range(2), opened=np.array([FIRST, FIRST + 0.5]))


def test_bars_cannot_be_changed_from_inside_or_outside():
    close = np.array([101.0, 102.0])
    bars = tape(range(2), close=close)
    close[0] = 100.5
    assert bars.close[0] == 101.0
    for name in ("opened", "synthetic", *COLUMNS):
        with pytest.raises(ValueError, match="read-only"):
            getattr(bars, name)[0] = 1


def test_between_takes_bars_that_opened_and_closed_inside_the_range():
    bars = tape([0, 1, 2, 5, 6])
    assert bars.between(FIRST + 1, FIRST + 6).opened.tolist() == [FIRST + 1, FIRST + 2, FIRST + 5]
    assert bars.between(FIRST + 2, FIRST + 2).opened.tolist() == []
    assert bars.closed.tolist() == (bars.opened + 1).tolist()


def test_equal_bars_have_equal_fingerprints_and_any_change_shows():
    bars = tape(range(50))
    assert bars.fingerprint() == tape(range(50)).fingerprint()
    volume = np.array(bars.volume)
    volume[17] = np.nextafter(5.0, 6.0)
    assert tape(range(50), volume=volume).fingerprint() != bars.fingerprint()
    assert bars.prefix(49).fingerprint() != bars.fingerprint()


def test_only_the_sample_is_simulated():
    assert not tape(range(2)).simulated
    assert empty_bars(BTC, "sample").simulated


def test_a_gap_is_filled_flat_at_the_last_close_without_volume():
    filled = fill_gaps(tape([0, 1, 4]))
    assert (filled.opened - FIRST).tolist() == [0, 1, 2, 3, 4]
    assert filled.synthetic.tolist() == [False, False, True, True, False]
    for name in ("open", "high", "low", "close"):
        assert getattr(filled, name)[2:4].tolist() == [102.0, 102.0]
    assert filled.volume.tolist() == [5, 5, 0, 0, 5]
    assert filled.open[4] == 102.0  # the real bar after the gap keeps its own values
    assert filled.close.tolist() == [101, 102, 102, 102, 103]


def test_a_gap_of_72_hours_is_filled_and_one_of_73_splits():
    longest = fill_gaps(tape([0, 1, 74]))
    assert longest.synthetic.sum() == MAX_FILLED_GAP_HOURS == 72
    assert segment_starts(longest).tolist() == [0]

    split = fill_gaps(tape([0, 1, 75]))
    assert len(split) == 3
    assert not split.synthetic.any()
    assert segment_starts(split).tolist() == [0, 2]


def test_synthetic_bars_stay_marked_when_another_gap_is_filled():
    marked = tape([0, 1, 2, 5], synthetic=np.array([False, True, False, False]))
    assert fill_gaps(marked).synthetic.tolist() == [False, True, False, True, True, False]


def test_short_and_long_gaps_live_together():
    filled = fill_gaps(tape([0, 2, 100, 101, 104]))
    assert (filled.opened - FIRST).tolist() == [0, 1, 2, 100, 101, 102, 103, 104]
    assert segment_starts(filled).tolist() == [0, 3]


def test_bars_without_gaps_are_returned_as_they_are():
    bars = tape(range(5))
    assert fill_gaps(bars) is bars
    nothing = empty_bars(BTC, "files")
    assert fill_gaps(nothing) is nothing
    assert segment_starts(nothing).tolist() == []
    assert segment_starts(tape([3])).tolist() == [0]


GAPS = st.lists(st.sampled_from([1, 1, 1, 1, 2, 3, 72, 73, 74, 200]), min_size=0, max_size=25)


@st.composite
def bars_with_gaps(draw):
    hours = np.concatenate([[0], np.cumsum(draw(GAPS))])
    return tape(hours.astype(np.int64))


@given(bars_with_gaps(), st.data())
def test_later_bars_never_change_an_earlier_synthetic_bar(bars, data):
    known = data.draw(st.integers(min_value=1, max_value=len(bars)))
    early, late = fill_gaps(bars.prefix(known)), fill_gaps(bars)
    for name in ("opened", "synthetic", *COLUMNS):
        assert np.array_equal(getattr(early, name), getattr(late, name)[: len(early)])


@given(bars_with_gaps())
def test_filling_keeps_every_real_bar_and_invents_no_information(bars):
    filled = fill_gaps(bars)
    real = ~filled.synthetic
    for name in ("opened", *COLUMNS):
        assert np.array_equal(getattr(filled, name)[real], getattr(bars, name))
    assert not filled.synthetic[[0, -1]].any()  # nothing before the first bar, nothing past the last
    assert (filled.volume[~real] == 0).all()
    before = np.flatnonzero(~real) - 1
    assert np.array_equal(filled.close[~real], filled.close[before])
    assert np.array_equal(fill_gaps(filled).opened, filled.opened)


@given(bars_with_gaps())
def test_within_a_segment_every_hour_is_there_and_between_them_more_than_72_are_missing(bars):
    filled = fill_gaps(bars)
    starts = segment_starts(filled)
    for start, stop in zip(starts, [*starts[1:], len(filled)], strict=True):
        assert (np.diff(filled.opened[start:stop]) == 1).all()
    missing = filled.opened[starts[1:]] - filled.opened[starts[1:] - 1] - 1
    assert (missing > MAX_FILLED_GAP_HOURS).all()


@given(bars_with_gaps())
def test_without_synthetic_bars_the_real_ones_are_left(bars):
    assert fill_gaps(bars).without_synthetic().fingerprint() == bars.fingerprint()
    assert bars.without_synthetic() is bars


def test_a_prompt_shows_what_the_bars_are_of_and_no_array():
    assert repr(tape(range(48))) == (
        "<Bars of BTC/USD from files: 48 hours, 2024-01-01T00:00:00Z to 2024-01-03T00:00:00Z>"
    )
    assert repr(empty_bars(BTC, "files")) == "<Bars of BTC/USD from files: 0 hours>"
