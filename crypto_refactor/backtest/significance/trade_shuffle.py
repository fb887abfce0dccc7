"""Random arrangements of trades that never overlap.

An arrangement of k trades on m bars is an order of the trades and a way to divide the free bars among the k + 1 gaps before,
between and behind them.  Both are drawn evenly, so that every arrangement is equally likely, also where hardly a bar is free.
"""

import numpy as np

from crypto_refactor.arrays import RowArray


def arrangements(rng: np.random.Generator, lengths: RowArray, span: int, draws: int) -> RowArray:
    """Return the bar at which each trade begins in each draw, shape (draws, k).

    Parameters
    ----------
    rng : Generator
        Where the draws come from.
    lengths : ndarray of int64, shape (k,)
        How many bars each trade lasts; together at most `span`.
    span : int
        Number of bars.
    draws : int
        Number of arrangements.
    """
    count = len(lengths)
    places = span - int(lengths.sum()) + count
    # Trades shrunk to one place each: any of their places among the free bars is as likely as any other.
    chosen = np.argpartition(rng.random((draws, places)), count - 1, axis=1)[:, :count]
    chosen.sort(axis=1)
    order = rng.permuted(np.tile(np.arange(count), (draws, 1)), axis=1)
    held = lengths[order]
    begun = chosen - np.arange(count) + np.cumsum(held, axis=1) - held
    starts: RowArray = np.empty_like(begun)
    np.put_along_axis(starts, order, begun, axis=1)
    return starts
