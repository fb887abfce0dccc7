"""Why a real bar cannot be decided on: the gap in its window, and the first close that can be decided on again."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.market.bars import Bars, segment_starts
from crypto_refactor.market.hours import Hour, to_iso
from crypto_refactor.model.dataset import MAX_SYNTHETIC_IN_WINDOW


@dataclass(frozen=True, slots=True)
class WindowGap:
    """A gap that keeps closes from being decided on; hours since 1970."""

    start: Hour  # when its first bar would have opened
    stop: Hour  # when the bar after it opened
    decided_from: Hour  # the first close that can be decided on, if no further bar is missing

    def text(self, clock: Callable[[Hour], str] = to_iso) -> str:
        """Name the gap and what comes after it, times by `clock`."""
        return (
            f"the gap of {self.stop - self.start} h from {clock(self.start)} to {clock(self.stop)}; the first close that can "
            f"be decided on again is {clock(self.decided_from)}, if no further bar is missing"
        )


def window_gap(bars: Bars, close: Hour, lookback: int) -> WindowGap | None:
    """Return the gap for which the real bar that closed at `close` cannot be decided on.

    `bars` are those of `model.dataset.has_full_window`, gaps filled.  None where the bar can be decided on, or where
    the data merely begin too late.
    """
    row = int(np.searchsorted(bars.closed, close))
    found = [_split_before(bars, row, lookback), _missing_in_window(bars, row, lookback)]
    return max((gap for gap in found if gap is not None), key=lambda gap: gap.decided_from, default=None)


def window_gaps(bars: Bars, closes: Iterable[Hour], lookback: int) -> list[WindowGap]:
    """Return each gap for which one of the rising `closes` cannot be decided on."""
    gaps: list[WindowGap] = []
    for close in closes:
        if gaps and close < gaps[-1].decided_from:
            continue
        gap = window_gap(bars, close, lookback)
        if gap is not None:
            gaps.append(gap)
    return gaps


def _split_before(bars: Bars, row: int, lookback: int) -> WindowGap | None:
    """Return the gap too long to be filled that is too close before the bar at `row`."""
    starts = segment_starts(bars)
    start = int(starts[np.searchsorted(starts, row, side="right") - 1])
    wait = WARMUP + lookback - 1 - (row - start)
    if not start or wait <= 0:
        return None
    return WindowGap(
        int(bars.closed[start - 1]), int(bars.opened[start]), decided_from=int(bars.closed[row]) + wait
    )


def _missing_in_window(bars: Bars, row: int, lookback: int) -> WindowGap | None:
    """Return the longest filled gap in the window of the bar at `row`, if too many of its bars are filled."""
    first = max(row - lookback + 1, 0)
    absent = first + np.flatnonzero(bars.synthetic[first : row + 1])
    if len(absent) <= MAX_SYNTHETIC_IN_WINDOW:
        return None
    runs = np.split(absent, np.flatnonzero(np.diff(absent) > 1) + 1)
    longest = max(runs, key=len)
    real = np.flatnonzero(~bars.synthetic)
    after = int(np.searchsorted(real, int(longest[0])))
    # The window is short of bars until all but six of the absent ones have left it.
    last_to_leave = int(bars.closed[absent[-MAX_SYNTHETIC_IN_WINDOW - 1]])
    return WindowGap(
        int(bars.closed[real[after - 1]]),
        int(bars.opened[real[after]]),
        decided_from=last_to_leave + lookback,
    )
