"""Random arrangements of trades that never overlap.

Drawing each entry from all hours leaves overlaps, and drawing again until there are none would take for ever.  A Markov
chain moves one trade at a time instead: to a random hour, if no other trade is in the way.  Every move is as
likely as its reverse, so that all arrangements are equally likely in the long run.

How long is long enough need not be known.  The chain runs backward from the run to some arrangement, and from there as many
steps forward for each draw.  If the run itself was one of the equally likely arrangements, it and the draws cannot be told
apart, however few steps there are (J. Besag and P. Clifford, "Generalized Monte Carlo significance tests", Biometrika 76
(1989), the parallel method): p is exact.  More steps only add to its power.
"""

import numpy as np

from crypto_refactor.arrays import RowArray

SWEEPS = 6
"""How often each trade may move."""


def arrangements(
    rng: np.random.Generator, entries: RowArray, lengths: RowArray, span: int, draws: int
) -> RowArray:
    """Return the entry of each trade in each draw, shape (draws, k).

    Parameters
    ----------
    entries, lengths : ndarray of int64, shape (k,)
        The bar at which each trade of the run began, and how many bars it lasted; no two overlap.
    span : int
        Number of bars.
    """
    trades = np.arange(len(entries))
    away = _Chains(entries[None], lengths, span)
    for _ in range(SWEEPS):
        away.sweep(rng, trades[::-1])
    chains = _Chains(np.repeat(away.starts, draws, axis=0), lengths, span)
    for _ in range(SWEEPS):
        chains.sweep(rng, trades)
    return chains.starts


class _Chains:
    """Arrangements that change side by side, shape (c, k)."""

    def __init__(self, starts: RowArray, lengths: RowArray, span: int) -> None:
        self.starts = starts.copy()
        self._lengths = lengths.tolist()
        self._span = span
        # One row per chain, laid end to end.
        self._first = np.arange(len(starts)) * self._span
        self._taken = np.zeros(len(starts) * self._span, dtype=np.bool_)
        for trade in range(len(lengths)):
            self._taken[self._bars(trade, starts[:, trade])] = True

    def sweep(self, rng: np.random.Generator, trades: RowArray) -> None:
        """Offer each of `trades` in turn another start."""
        for trade in trades.tolist():
            old = self.starts[:, trade]
            new = rng.integers(0, self._span, len(old))
            fits = new + self._lengths[trade] <= self._span
            new = np.where(fits, new, old)
            self._taken[self._bars(trade, old)] = False
            free = ~self._taken[self._bars(trade, new)].any(axis=1)
            moved = np.where(free, new, old)
            self._taken[self._bars(trade, moved)] = True
            self.starts[:, trade] = moved

    def _bars(self, trade: int, starts: RowArray) -> RowArray:
        """Return the places of the bars of a trade, shape (c, length)."""
        return (self._first + starts)[:, None] + np.arange(self._lengths[trade])
