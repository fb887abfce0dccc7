"""Performance metrics of an hourly equity curve and its trades.

Crypto markets never close, so a year has 8,760 bars.  Undefined figures are None, never infinite or 0.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.execution.rules import HOURS_PER_YEAR
from crypto_refactor.execution.sub_account import Fill, Trade
from crypto_refactor.sides import Side

MIN_HOURS_TO_ANNUALISE = 90 * 24
"""Below this, CAGR and Calmar would only magnify a short window, and are None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Figures of one run: shares and returns as fractions, money in the quote currency.

    Attributes
    ----------
    initial_balance, final_balance, total_return : float
        `total_return` is a fraction of the initial balance.
    cagr, calmar : float or None
        None below 90 days.
    volatility, sharpe, sharpe_se, sortino : float or None
        Annualised from hourly returns (x sqrt(8760), ddof 1; Sortino's downside over all bars).
    max_drawdown : float
        At hourly closes, from -1 to 0, the initial balance included.
    max_drawdown_hours : int
        From the peak before it to the recovery, or to the end.
    trades : int
        Closed positions; open ones and dust count in none of the trade figures.
    win_rate, profit_factor, expectancy, avg_holding_hours : float or None
        Net of fees; expectancy is money per trade.
    exposure : float
        Share of bars with a position at their close.
    turnover : float
        Traded notional over the mean equity.
    fees_paid : float
        Fees and borrow.
    """

    initial_balance: float
    final_balance: float
    total_return: float
    cagr: float | None
    volatility: float | None
    sharpe: float | None
    sharpe_se: float | None
    sortino: float | None
    max_drawdown: float
    max_drawdown_hours: int
    calmar: float | None
    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    avg_holding_hours: float | None
    exposure: float
    turnover: float
    fees_paid: float

    def to_dict(self) -> dict[str, object]:
        """Return the figures under their documented names."""
        return asdict(self)


def sum_curves(curves: Iterable[tuple[HourArray, FloatArray]], hours: HourArray) -> FloatArray:
    """Add curves up at each of `hours`.

    Parameters
    ----------
    curves : iterable of (ndarray of int64, ndarray of float64)
        Increasing hours and the value there, at least one.  A curve keeps its value until its next hour, and has
        its first value already before its first hour.
    hours : ndarray of int64, shape (n,)
        Where to add them up.
    """
    total = np.zeros(len(hours))
    for at, values in curves:
        total += values[np.maximum(np.searchsorted(at, hours, side="right") - 1, 0)]
    return total


def hourly_returns(equity: FloatArray) -> FloatArray:
    """Return simple returns between the n + 1 points of `equity`, shape (n,); 0 once no equity is left."""
    before = equity[:-1]
    return np.divide(np.diff(equity), before, out=np.zeros(len(before)), where=before > 0)


def sharpe_ratio(returns: FloatArray) -> tuple[float | None, float | None]:
    """Return the annualised Sharpe ratio (risk-free rate 0) and its standard error.

    The error allows for skewness and fat tails: Mertens (2002), as in Bailey and Lopez de Prado, "The Sharpe ratio
    efficient frontier", Journal of Risk 15 (2012), eq. 4.  Both are None if returns do not vary.
    """
    count = len(returns)
    if count < 2 or not (returns != returns[0]).any():
        return None, None
    mean = float(returns.mean())
    centred = returns - mean
    squares = centred * centred
    variance = float(squares.mean())
    if variance <= 0:
        return None, None
    hourly = mean / math.sqrt(variance * count / (count - 1))
    skewness = float((squares * centred).mean()) / variance**1.5
    kurtosis = float((squares * squares).mean()) / variance**2
    spread = (1 - skewness * hourly + (kurtosis - 1) / 4 * hourly**2) / (count - 1)
    year = math.sqrt(HOURS_PER_YEAR)
    return hourly * year, math.sqrt(max(spread, 0.0)) * year


def sortino_ratio(returns: FloatArray) -> float | None:
    """Return the annualised Sortino ratio (target 0), None if no return is negative."""
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0) ** 2))) if len(returns) else 0.0
    return float(returns.mean()) / downside * math.sqrt(HOURS_PER_YEAR) if downside > 0 else None


def drawdown(equity: FloatArray, closed: HourArray) -> tuple[float, int]:
    """Return the deepest fall below an earlier peak (a fraction, at most 0) and its length in hours.

    It lasts from its peak to the first close at that height again, or to the end.  `closed` is the hour of each point
    of `equity`, shape (n + 1,): across a long gap there are fewer points than hours.
    """
    peak = np.maximum.accumulate(equity)
    depth = equity / peak - 1
    trough = int(np.argmin(depth))
    if depth[trough] == 0:
        return 0.0, 0
    start = int(np.flatnonzero(equity[: trough + 1] == peak[trough])[-1])
    recovered = np.flatnonzero(equity[trough:] >= peak[trough])
    end = trough + int(recovered[0]) if len(recovered) else len(equity) - 1
    return float(depth[trough]), int(closed[end] - closed[start])


def compute_metrics(
    equity: FloatArray,
    exposed: FloatArray,
    trades: Sequence[Trade],
    fills: Sequence[Fill],
    *,
    closed: HourArray,
    hours: int,
) -> Metrics:
    """Compute the metrics of one run.

    Parameters
    ----------
    equity : ndarray of float64, shape (n + 1,)
        Quote currency; point zero is the initial balance.
    exposed : ndarray, shape (n,)
        Share of the account, or of its sub-accounts, with a position at each close.
    trades, fills : sequence
        All of the run, open positions included.
    closed : ndarray of int64, shape (n + 1,)
        Hour of each point of `equity`.
    hours : int
        Length of the window, gaps included.
    """
    returns = hourly_returns(equity)
    sharpe, sharpe_se = sharpe_ratio(returns)
    deepest, length = drawdown(equity, closed)
    growth = float(equity[-1] / equity[0])
    cagr = growth ** (HOURS_PER_YEAR / hours) - 1 if hours >= MIN_HOURS_TO_ANNUALISE else None
    return Metrics(
        initial_balance=float(equity[0]),
        final_balance=float(equity[-1]),
        total_return=growth - 1,
        cagr=cagr,
        volatility=float(returns.std(ddof=1)) * math.sqrt(HOURS_PER_YEAR) if len(returns) > 1 else None,
        sharpe=sharpe,
        sharpe_se=sharpe_se,
        sortino=sortino_ratio(returns),
        max_drawdown=deepest,
        max_drawdown_hours=length,
        calmar=cagr / -deepest if cagr is not None and deepest < 0 else None,
        **trade_figures(trades)._asdict(),
        exposure=float(exposed.mean()),
        turnover=sum((fill.notional for fill in fills), 0.0) / float(equity.mean()),
        fees_paid=sum((trade.fees for trade in trades), 0.0),
    )


class TradeFigures(NamedTuple):
    """Figures of closed trades, net of fees; see `Metrics`."""

    trades: int
    win_rate: float | None
    profit_factor: float | None
    expectancy: float | None
    avg_holding_hours: float | None


def trade_figures(trades: Sequence[Trade]) -> TradeFigures:
    """Compute the figures of the closed ones of `trades`."""
    closed = [trade for trade in trades if trade.closed]
    pnl = [trade.net_pnl for trade in closed]
    losses = -sum(value for value in pnl if value < 0)
    count = len(closed)
    return TradeFigures(
        trades=count,
        win_rate=sum(value > 0 for value in pnl) / count if count else None,
        profit_factor=sum(value for value in pnl if value > 0) / losses if losses > 0 else None,
        expectancy=sum(pnl) / count if count else None,
        avg_holding_hours=sum(trade.bars_held for trade in closed) / count if count else None,
    )


def figures_by_side(trades: Sequence[Trade]) -> dict[str, dict[str, float | None]]:
    """Return the trade figures, net profit and fees of longs and of shorts.

    Net profit and fees include open positions, as the totals do.
    """
    result = {}
    for side in (Side.LONG, Side.SHORT):
        rows = [trade for trade in trades if trade.direction == side]
        result[side.label] = {
            **trade_figures(rows)._asdict(),
            "net_pnl": sum((trade.net_pnl for trade in rows), 0.0),
            "fees_paid": sum((trade.fees for trade in rows), 0.0),
        }
    return result
