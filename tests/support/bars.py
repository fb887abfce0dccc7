"""Bars that tests of several rooms need."""

from __future__ import annotations

import numpy as np

from crypto_refactor.market.bars import COLUMNS, Bars


def empty_bars(ticker, source):
    """Return no bars at all, as a source answers for a range in which it has none."""
    columns = {name: np.zeros(0) for name in COLUMNS}
    return Bars(ticker=ticker, source=source, opened=np.zeros(0, dtype=np.int64), **columns)
