"""Which bars the audit looks at: the same ones for the same run, and those where something happened."""

from __future__ import annotations

import numpy as np

from crypto_refactor.arrays import HourArray
from crypto_refactor.backtest.result import AccountRun, BacktestResult

FILLS, SPREAD = 8, 8
"""How many bars that led to a fill, and how many others, evenly spread over the window."""


def audited_accounts(result: BacktestResult) -> list[tuple[str, AccountRun]]:
    """Return the accounts to audit, each with the suffix of its column names."""
    accounts = [("", result.requested)]
    return accounts if result.alpaca is None else [*accounts, (" at Alpaca", result.alpaca)]


def real_closes(result: BacktestResult) -> HourArray:
    """Return the closes of the window at which a decision was or could have been made, shape (n,)."""
    return result.window.closed[~result.window.synthetic]


def sampled_closes(result: BacktestResult) -> HourArray:
    """Return the closes to check: the edges of each stretch, what led to fills, and an even spread.

    Returns
    -------
    ndarray of int64, shape (m,)
        Ascending, each once.
    """
    closes = real_closes(result)
    filled = np.array([fill.at for fill in result.requested.simulation.fills], dtype=np.int64)
    led = np.unique(_last_at(closes, filled))
    edges = [
        closes[position]
        for stretch in result.walk.periods
        for position in _edges(closes, stretch.period.first, stretch.period.last)
    ]
    chosen = [np.array(edges, dtype=np.int64), _evenly(led, FILLS), _evenly(closes, SPREAD)]
    return np.unique(np.concatenate(chosen))


def _last_at(closes: HourArray, hours: HourArray) -> HourArray:
    positions = np.searchsorted(closes, hours, side="right") - 1
    return closes[positions[positions >= 0]]


def _edges(closes: HourArray, first: int, last: int) -> list[int]:
    start, stop = (int(at) for at in np.searchsorted(closes, [first, last + 1]))
    return [start, stop - 1] if stop > start else []


def _evenly(hours: HourArray, count: int) -> HourArray:
    """Return up to `count` of `hours`, the first and the last among them."""
    if len(hours) <= count:
        return hours
    return hours[np.linspace(0, len(hours) - 1, count).round().astype(np.int64)]
