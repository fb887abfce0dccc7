"""What a replay came to in figures, one ticker or all of them together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.trading.historical.replay import TickerReplay


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFigures:
    """Of one ticker, or the sums of several; money in the quote currency.

    Attributes
    ----------
    initial, final : float
        Equity before the first bar and at the last close.
    hold : float
        Equity at the last close of whoever bought at the first open and held.
    trades, wins : int
        Closed positions, and those of them that earned more than their fees.
    fees : float
        Fees and borrow.
    """

    initial: float
    final: float
    hold: float
    trades: int
    wins: int
    fees: float

    @property
    def gain(self) -> float:
        """Total return, a fraction of the initial balance."""
        return self.final / self.initial - 1

    @property
    def hold_gain(self) -> float:
        """Total return of buying and holding."""
        return self.hold / self.initial - 1

    @property
    def win_rate(self) -> float | None:
        """Share of the closed trades that earned something; None where none was closed."""
        return self.wins / self.trades if self.trades else None


def ticker_figures(replayed: TickerReplay) -> ReplayFigures:
    """Return the figures of one ticker, as the ledger has them."""
    backtest = replayed.backtest
    # What a position that is still held has cost in borrow is in no row of the ledger; the backtest knows
    # it, where it went the same way.
    fees = (
        backtest.requested.metrics.fees_paid
        if replayed.same
        else sum((fill.fee for fill in replayed.fills), 0.0)
    )
    return ReplayFigures(
        initial=replayed.equity[0][1],
        final=replayed.equity[-1][1],
        hold=backtest.buy_and_hold.metrics.final_balance,
        trades=len(replayed.trades),
        wins=sum(trade.net_pnl > 0 for trade in replayed.trades),
        fees=fees,
    )


def total_figures(figures: Iterable[ReplayFigures]) -> ReplayFigures:
    """Return the sums."""
    figures = tuple(figures)
    return ReplayFigures(
        initial=sum(each.initial for each in figures),
        final=sum(each.final for each in figures),
        hold=sum(each.hold for each in figures),
        trades=sum(each.trades for each in figures),
        wins=sum(each.wins for each in figures),
        fees=sum(each.fees for each in figures),
    )


def total_curve(curves: Sequence[Sequence[tuple[int, float]]]) -> tuple[int, FloatArray]:
    """Add equity curves up, hour by hour.

    Parameters
    ----------
    curves : sequence of sequence of (int, float)
        Hour and equity there, hours increasing; at least one point each.  Before its first point a curve is
        taken to lie at it already, and after each point to stay there until the next.

    Returns
    -------
    first : int
        The first hour of any of them.
    total : ndarray of float64, shape (n,)
        The sum at each hour from the first to the last of any of them.
    """
    first = min(curve[0][0] for curve in curves)
    last = max(curve[-1][0] for curve in curves)
    hours = np.arange(first, last + 1)
    total = np.zeros(len(hours))
    for curve in curves:
        known, values = np.array([at for at, _ in curve]), np.array([value for _, value in curve])
        total += values[np.maximum(np.searchsorted(known, hours, side="right") - 1, 0)]
    return first, total
