"""A gap that keeps bars from being decided on is named, with the first close that can be decided on again."""

from __future__ import annotations

import numpy as np
import pytest
from support.stub_models import sample_bars, without

from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.model.dataset import has_full_window
from crypto_refactor.signals.window_gaps import window_gap, window_gaps

LOOKBACK = 24


def holed(*holes):
    """Return 1,900 bars without the hours ``first … stop - 1`` of each hole, counted from the first bar."""
    bars = sample_bars(1900)
    start = int(bars.opened[0])
    return start, fill_gaps(without(bars, *((start + first, start + stop) for first, stop in holes)))


@pytest.mark.parametrize(
    ("holes", "named"),
    [
        ([(1000, 1010)], (1000, 1010)),
        ([(1000, 1007)], (1000, 1007)),
        ([(1000, 1072)], (1000, 1072)),
        ([(1000, 1090)], (1000, 1090)),  # a split: the warm-up begins anew
        ([(1000, 1004), (1010, 1015)], (1010, 1015)),
        ([(1000, 1005), (1008, 1010), (1012, 1014)], (1000, 1005)),
        ([(1000, 1090), (1100, 1110)], (1000, 1090)),
        ([(1000, 1090), (1640, 1660)], None),
    ],
)
def test_the_first_close_that_works_again_is_the_first_that_can_be_decided_on(holes, named):
    start, bars = holed(*holes)
    decidable = has_full_window(compute_features(bars), LOOKBACK)
    blind = np.flatnonzero(~decidable & ~bars.synthetic & (bars.opened >= start + 1000))
    assert len(blind)
    gaps = window_gaps(bars, bars.closed[blind].tolist(), LOOKBACK)
    for row in blind.tolist():
        gap = window_gap(bars, int(bars.closed[row]), LOOKBACK)
        following = decidable & (bars.closed > bars.closed[row])
        # Where another gap follows before it, the promise is void, as it says.
        broken = bars.synthetic | np.append(False, np.diff(bars.opened) > 1)
        if not (broken & (bars.closed > bars.closed[row]) & (bars.closed <= gap.decided_from)).any():
            assert gap.decided_from == int(bars.closed[np.argmax(following)])
    if named is not None:
        last = gaps[-1]
        assert (last.start - start, last.stop - start) == named
        assert f"the gap of {named[1] - named[0]} h from " in last.text()


def test_bars_that_can_be_decided_on_or_begin_too_late_have_no_gap():
    _, bars = holed((1000, 1006))
    assert window_gap(bars, int(bars.closed[1100]), LOOKBACK) is None
    assert window_gap(bars, int(bars.closed[300]), LOOKBACK) is None
    assert window_gaps(bars, bars.closed[700:990].tolist(), LOOKBACK) == []
