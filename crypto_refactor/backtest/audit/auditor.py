"""The audit that every backtest runs on itself.

It recomputes each decision from only the bars that had closed by then, and each amount from the fills: any difference is
look-ahead, or an account that does not add up.  Wrong prices in the source cannot be detected.
"""

import numpy as np

from crypto_refactor.arrays import HourArray
from crypto_refactor.backtest.audit.accounting import check_accounting
from crypto_refactor.backtest.audit.fills import check_fills
from crypto_refactor.backtest.audit.look_ahead import check_signals, check_start, recompute_closes
from crypto_refactor.backtest.audit.models import check_models
from crypto_refactor.backtest.audit_findings import Audit
from crypto_refactor.backtest.result import BacktestResult

SAMPLED_DECISIONS, SAMPLED_CLOSES = 8, 8
"""How many closes that led to a fill the sample holds, and how many others."""


def audit(result: BacktestResult, *, full: bool = False) -> Audit:
    """Check that a run used nothing of the future and that its accounts add up.

    `full` recomputes every close, not a sample of them.  Models, fills and accounts are always checked completely.
    """
    closes = real_closes(result)
    sample = closes if full else sampled_closes(result)
    recomputed = recompute_closes(result, sample)
    checks = (
        check_signals(recomputed, len(closes)),
        check_models(result),
        check_start(result, sample),
        check_fills(result, recomputed),
        check_accounting(result),
    )
    return Audit(checks=checks, bars_checked=len(recomputed), bars=len(closes), full=full)


def real_closes(result: BacktestResult) -> HourArray:
    """Return the closes of the window whose bars are real, shape (n,)."""
    return result.window.closed[~result.window.synthetic]


def sampled_closes(result: BacktestResult) -> HourArray:
    """Return the closes to check, ascending, shape (m,), always the same ones for the same run.

    They are the first and last close of each period, closes that led to fills, and closes spread evenly over the window.
    """
    closes = real_closes(result)
    fills = np.array([fill.at for fill in result.requested.simulation.fills], dtype=np.int64)
    decisions = np.searchsorted(closes, fills, side="right") - 1
    edges = [_edges(closes, part.period.first, part.period.last) for part in result.walk.periods]
    before_fills = _evenly(np.unique(closes[decisions[decisions >= 0]]), SAMPLED_DECISIONS)
    return np.unique(np.concatenate([*edges, before_fills, _evenly(closes, SAMPLED_CLOSES)]))


def _edges(closes: HourArray, first: int, last: int) -> HourArray:
    inside = closes[(closes >= first) & (closes <= last)]
    return inside[[0, -1]] if len(inside) else inside


def _evenly(hours: HourArray, count: int) -> HourArray:
    """Return up to `count` of `hours`, the first and the last among them."""
    if len(hours) <= count:
        return hours
    return hours[np.linspace(0, len(hours) - 1, count).round().astype(np.int64)]
