from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from support.strategies import holds_for

from crypto_refactor.features.frame import FeatureExtras, FeatureFrame, compute_features
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.dataset import (
    has_full_window,
    labelled_rows,
    last_bars,
    split,
    take_windows,
    training_set,
)

READY = 500
FIRST = 400_000


def drawn(*stretches, before=READY):
    """Return a frame of bars drawn as `#` (real) and `.` (carried); a long hole lies between stretches.

    `before` bars come before the first bar drawn of each stretch, out of sight.
    """
    tape = "".join(stretches)
    opened = [FIRST + 200 * i + at for i, text in enumerate(stretches) for at in range(len(text))]
    position = [before + at for text in stretches for at in range(len(text))]
    count = len(tape)
    close = 100.0 + np.arange(count)
    bars = Bars(
        ticker=Ticker("BTC", "USD"),
        source="files",
        opened=np.array(opened),
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.ones(count),
        synthetic=np.array([bar == "." for bar in tape]),
    )
    values = np.arange(count)[:, None] * 100.0 + np.arange(14)
    names = ("atr", "realised_volatility", *(f"other_{i}" for i in range(12)))
    nothing = {name: np.zeros(count) for name in FeatureExtras.__slots__}
    return FeatureFrame(
        bars=bars,
        names=names,
        values=values.copy(),
        inputs=values.copy(),
        ready=np.array(position) >= READY,
        position=np.array(position),
        extras=FeatureExtras(**nothing),
    )


def drawn_as(mask):
    return "".join("x" if value else "-" for value in mask)


@pytest.mark.parametrize(
    ("lookback", "bars", "before", "expected"),
    [
        (2, "#####", 500, "-xxxx"),
        (3, "#####", 500, "--xxx"),
        (3, "#####", 498, "----x"),  # the first window begins at the 501st bar of the stretch
        (2, "#####", 496, "-----"),
        (2, "##.##", 500, "-x-xx"),  # no decision on a carried bar
        (8, "#......#", 507, "x------x"),  # six carried bars in the window
        (9, "#.......#", 508, "x--------"),  # seven
        (9, "#.......##", 508, "x---------"),
        (9, "#.......###", 508, "x---------x"),  # the oldest has left the window
        (8, "#.......##", 507, "x--------x"),
        (8, "#.......#", 507, "x--------"),
    ],
)
def test_a_bar_is_decided_on_if_it_is_real_and_its_window_whole(lookback, bars, before, expected):
    assert drawn_as(has_full_window(drawn(bars, before=before), lookback)) == expected


def test_after_a_long_hole_the_warm_up_begins_again():
    frame = drawn("###", "###", before=499)
    assert drawn_as(has_full_window(frame, 2)) == "--x--x"


@pytest.mark.parametrize(
    ("bars", "expected"),
    [
        ("####", "xxx-"),  # what follows the last bar is not known yet
        ("#", "-"),
        ("##.##", "x--x-"),  # the second bar's next close is carried, and so is the third's own
        ("#..#.#", "------"),
        ("##..##.", "x---x--"),
    ],
)
def test_a_label_needs_two_real_closes_an_hour_apart(bars, expected):
    frame = drawn(bars, before=600)
    marks = np.zeros(len(frame), dtype=bool)
    marks[labelled_rows(frame, 3)] = True
    assert drawn_as(marks) == expected


def test_no_label_reaches_across_a_long_hole():
    assert labelled_rows(drawn("###", "###", before=600), 2).tolist() == [0, 1, 3, 4]


def test_the_rows_of_real_features_are_those_the_drawing_says(random_bars):
    bars = random_bars(600)
    kept = np.ones(600, dtype=bool)
    kept[550:553] = False
    holed = Bars(
        ticker=bars.ticker,
        source=bars.source,
        opened=bars.opened[kept],
        **{name: getattr(bars, name)[kept] for name in ("open", "high", "low", "close", "volume")},
    )
    frame = compute_features(fill_gaps(holed))
    first = 500 + 10 - 1
    expected = [row for row in range(first, 599) if row not in {549, 550, 551, 552}]
    assert labelled_rows(frame, 10).tolist() == expected
    assert has_full_window(frame, 10).sum() == len(range(first, 600)) - 3


@pytest.mark.parametrize("lookback", [2, 3, 7])
def test_a_window_holds_the_lookback_bars_that_end_with_its_row(lookback):
    inputs = drawn("#" * 12).inputs.astype(np.float32)
    rows = np.array([lookback - 1, lookback, 9, 11])
    windows = take_windows(inputs, rows, lookback)
    assert windows.shape == (4, lookback, 14)
    assert windows.flags.c_contiguous
    for window, row in zip(windows, rows.tolist(), strict=True):
        assert window[:, 0].tolist() == [100 * bar for bar in range(row - lookback + 1, row + 1)]
        assert window[-1].tolist() == [100 * row + column for column in range(14)]


def test_no_rows_give_no_windows():
    inputs = drawn("#" * 12).inputs.astype(np.float32)
    assert take_windows(inputs, np.zeros(0, dtype=np.int64), 5).shape == (0, 5, 14)


def test_120_rows_are_divided_82_17_19():
    parts = split(120)
    assert (parts.fit, parts.stop, parts.calibrate) == (slice(0, 82), slice(83, 100), slice(101, 120))


@holds_for(st.integers(20, 90_000))
def test_the_slices_are_70_15_15_with_one_row_between(count):
    parts = split(count)
    assert parts.fit.start == 0
    assert parts.stop.start == parts.fit.stop + 1
    assert parts.calibrate.start == parts.stop.stop + 1
    assert parts.calibrate.stop == count
    for part, share in ((parts.fit, 0.7), (parts.stop, 0.15), (parts.calibrate, 0.15)):
        assert abs((part.stop - part.start) - share * (count - 2)) < 2


@holds_for(st.text("####.", min_size=60, max_size=120))
def test_no_close_is_in_the_labels_of_two_slices(bars):
    frame = drawn(bars, before=600)
    rows = labelled_rows(frame, 1)
    if len(rows) < 20:
        return
    parts = split(len(rows))
    closes = [
        {t for row in rows[part] for t in (row, row + 1)} for part in (parts.fit, parts.stop, parts.calibrate)
    ]
    assert max(closes[0]) < min(closes[1])
    assert max(closes[1]) < min(closes[2])


class TestTrainingSet:
    def test_labels_are_the_next_log_return(self):
        data = training_set(drawn("######"), np.array([2, 3, 4]), 2)
        assert data.close.tolist() == [102, 103, 104]
        np.testing.assert_allclose(
            data.returns, np.log([103 / 102, 104 / 103, 105 / 104]), rtol=0, atol=1e-15
        )
        assert data.atr.tolist() == [200, 300, 400]
        assert data.volatility.tolist() == [201, 301, 401]

    def test_it_begins_with_the_first_window_and_ends_with_the_last_label(self):
        data = training_set(drawn("########"), np.array([3, 4, 5]), 3)
        assert data.trained_from == FIRST + 1
        assert data.trained_through == FIRST + 6 + 1
        assert data.inputs[:, 0].tolist() == [100, 200, 300, 400, 500]
        assert len(data) == 3

    def test_its_windows_are_those_of_the_frame(self):
        frame, rows = drawn("####.#####"), np.array([3, 6, 7, 8])
        data = training_set(frame, rows, 3)
        inputs = frame.inputs.astype(np.float32)
        np.testing.assert_array_equal(data.windows(), take_windows(inputs, rows, 3))
        np.testing.assert_array_equal(data.windows(slice(1, 3)), take_windows(inputs, rows[1:3], 3))

    def test_its_last_inputs_are_those_of_the_bars_that_forecast(self):
        data = training_set(drawn("##########"), np.array([3, 4, 8]), 2)
        assert data.last_inputs[:, 0].tolist() == [300, 400, 800]
        assert data.closed.tolist() == [FIRST + 4, FIRST + 5, FIRST + 9]

    def test_its_target_is_in_volatilities_of_at_least_a_tenth_of_the_median(self):
        data = replace(
            training_set(drawn("##########"), np.array([3, 4, 8]), 2),
            returns=np.array([0.02, 0.02, 0.02]),
            volatility=np.array([0.02, 0.01, 0.0]),
        )
        assert data.volatility_floor == pytest.approx(0.001)
        np.testing.assert_allclose(data.target, [1, 2, 20])

    def test_nothing_after_the_last_label_has_any_part_in_it(self):
        rows = np.array([3, 4, 5])
        data, shorter = (training_set(drawn(bars), rows, 2) for bars in ("#########", "#######"))
        assert (data.trained_through, data.last_bars) == (shorter.trained_through, shorter.last_bars)
        for name in ("inputs", "rows", "returns", "volatility", "close", "atr"):
            np.testing.assert_array_equal(getattr(data, name), getattr(shorter, name))


def test_the_fingerprint_covers_exactly_the_last_24_hours(random_bars):
    bars = random_bars(60)
    through = int(bars.closed[50])

    def changed(row):
        volume = bars.volume.copy()
        volume[row] += 1
        columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close")}
        return Bars(ticker=bars.ticker, source=bars.source, opened=bars.opened, volume=volume, **columns)

    same = [row for row in range(60) if last_bars(changed(row), through) == last_bars(bars, through)]
    assert same == [*range(27), *range(51, 60)]


def test_the_fingerprint_does_not_depend_on_carrying(random_bars):
    bars = random_bars(60)
    kept = np.arange(60) != 45
    columns = {
        name: getattr(bars, name)[kept] for name in ("opened", "open", "high", "low", "close", "volume")
    }
    holed = Bars(ticker=bars.ticker, source=bars.source, **columns)
    through = int(bars.closed[50])
    assert last_bars(holed, through) == last_bars(fill_gaps(holed), through) != last_bars(bars, through)
