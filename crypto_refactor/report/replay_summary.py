"""The figures of a replay, for one ticker or all of them together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.metrics import sum_curves
from crypto_refactor.trading.historical.replay import TickerReplay


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayFigures:
    """Figures of one ticker, or the sums of several; money in the quote currency."""

    initial: float  # equity before the first bar
    final: float  # equity at the last close
    hold: float  # final equity of the buy-and-hold account
    trades: int  # closed positions
    wins: int  # closed positions that earned more than their fees
    fees: float  # borrow included

    @property
    def gain(self) -> float:
        """Total return, a fraction of the initial balance."""
        return self.final / self.initial - 1

    @property
    def hold_gain(self) -> float:
        """Total return of buy and hold."""
        return self.hold / self.initial - 1

    @property
    def win_rate(self) -> float | None:
        """Share of the closed trades that earned something; None without a closed trade."""
        return self.wins / self.trades if self.trades else None


def ticker_figures(replayed: TickerReplay) -> ReplayFigures:
    """Return the figures of one ticker, as the ledger has them."""
    backtest = replayed.backtest
    # The ledger has no row for the borrow of a position that is still open. The backtest knows it, where both agree.
    fees = backtest.requested.metrics.fees_paid if replayed.same else sum(fill.fee for fill in replayed.fills)
    return ReplayFigures(
        initial=replayed.equity[0][1],
        final=replayed.equity[-1][1],
        hold=backtest.buy_and_hold.metrics.final_balance,
        trades=len(replayed.trades),
        wins=sum(trade.net_pnl > 0 for trade in replayed.trades),
        fees=float(fees),
    )


def total_figures(figures: Iterable[ReplayFigures]) -> ReplayFigures:
    """Return the sums."""
    parts = tuple(figures)
    return ReplayFigures(
        initial=sum(part.initial for part in parts),
        final=sum(part.final for part in parts),
        hold=sum(part.hold for part in parts),
        trades=sum(part.trades for part in parts),
        wins=sum(part.wins for part in parts),
        fees=sum(part.fees for part in parts),
    )


def total_curve(curves: Sequence[Sequence[tuple[int, float]]]) -> tuple[int, FloatArray]:
    """Return the first hour of any curve, and the sum of all curves at each hour from there to their last."""
    first = min(curve[0][0] for curve in curves)
    last = max(curve[-1][0] for curve in curves)
    columns = [np.array(curve, dtype=np.float64).T for curve in curves]
    parts = [(hours.astype(np.int64), values) for hours, values in columns]
    return first, sum_curves(parts, np.arange(first, last + 1))
