"""What the charts show: falls from a peak, months, rolling ratios, forecasts beside outcomes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray, RowArray
from crypto_refactor.backtest.metrics import hourly_returns
from crypto_refactor.execution.rules import HOURS_PER_YEAR
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.signals.conditions import SignalFrame

ROLLING_HOURS = 168
BINS = 10
MIN_IN_A_BIN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """A fall of the equity below an earlier peak; positions in the equity curve.

    Attributes
    ----------
    depth : float
        A fraction, below 0.
    peak, trough : int
        The last point at the peak, and the deepest one.
    recovered : int or None
        The first point at the peak's height again; None where there is none.
    """

    depth: float
    peak: int
    trough: int
    recovered: int | None


def drawdown_series(equity: FloatArray) -> FloatArray:
    """Return how far each point lies below the highest one so far, a fraction of at most 0."""
    return np.asarray(equity / np.maximum.accumulate(equity) - 1, dtype=np.float64)


def worst_drawdowns(equity: FloatArray, count: int = 5) -> list[Drawdown]:
    """Return the deepest falls, deepest first; no two of them overlap."""
    depth = drawdown_series(equity)
    # A fall is a stretch of points below the peak; the point before it is the peak.
    below = np.concatenate([[False], depth < 0, [False]])
    edges = np.flatnonzero(below[1:] != below[:-1])
    falls = []
    for start, stop in edges.reshape(-1, 2).tolist():
        trough = start + int(np.argmin(depth[start:stop]))
        falls.append(
            Drawdown(
                depth=float(depth[trough]),
                peak=start - 1,
                trough=trough,
                recovered=stop if stop < len(equity) else None,
            )
        )
    return sorted(falls, key=lambda fall: fall.depth)[:count]


def month_starts(closed: HourArray, tz: ZoneInfo) -> list[tuple[str, int, int]]:
    """Return each calendar month in `tz`: its name, and the points its returns lie between.

    Parameters
    ----------
    closed : ndarray of int64, shape (n + 1,)
        The hour of each point of the equity curve.
    tz : ZoneInfo
        Whose months.
    """
    # The hour that ends at midnight belongs to the month it passed in.
    names = [(to_datetime(hour - 1).astimezone(tz)).strftime("%Y-%m") for hour in closed[1:].tolist()]
    firsts = [at for at, name in enumerate(names) if not at or names[at - 1] != name]
    return [(names[first], first, stop) for first, stop in pairwise([*firsts, len(names)])]


def rolling_sharpe(equity: FloatArray, span: int) -> list[float | None]:
    """Return the annualised Sharpe ratio of the last `span` hourly returns at each point.

    None where fewer are known yet, or where they do not vary.
    """
    returns = hourly_returns(equity)
    values: list[float | None] = [None] * min(span, len(equity))
    if len(returns) < span:
        return values
    windows = np.lib.stride_tricks.sliding_window_view(returns, span)
    mean, deviation = windows.mean(axis=1), windows.std(axis=1, ddof=1)
    scaled = np.divide(mean, deviation, out=np.full(len(mean), np.nan), where=deviation > 0)
    year = math.sqrt(HOURS_PER_YEAR)
    return values + [None if math.isnan(value) else value * year for value in scaled.tolist()]


def sharpe_noise(span: int) -> float:
    """Return two standard errors of a Sharpe ratio of nothing at all over `span` hours, annualised.

    The error of the hourly ratio is 1 / sqrt(span) where its true value is 0: Lo, "The statistics of
    Sharpe ratios", Financial Analysts Journal 58 (2002).
    """
    return 2 * math.sqrt(HOURS_PER_YEAR / span)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """Forecasts and what came of them, for the bars whose next bar is real and adjacent; shape (m,).

    Attributes
    ----------
    forecast, outcome : ndarray of float64
        Log returns from the close of the bar to the next.
    rows : ndarray of int64
        Positions in the signals.
    """

    forecast: FloatArray
    outcome: FloatArray
    rows: RowArray


def outcomes(made: SignalFrame, window: Bars) -> Outcomes:
    """Put the forecasts of a window beside their outcomes."""
    at = np.searchsorted(window.closed, made.made_at)
    known = at + 1 < len(window)
    following = np.where(known, at + 1, at)
    known &= (window.closed[following] == made.made_at + 1) & ~window.synthetic[following]
    rows = np.flatnonzero(known)
    return Outcomes(
        forecast=np.log(made.predicted[rows] / made.close[rows]),
        outcome=np.log(window.close[following[rows]] / made.close[rows]),
        rows=rows,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Forecasts of like size: their mean, the mean of what came, two standard errors of that, how many."""

    forecast: float
    outcome: float
    noise: float
    count: int


def binned(found: Outcomes) -> list[Bin]:
    """Divide forecasts by their size into bins of equal count, ten at most; none where there are too few."""
    bins = min(BINS, len(found.forecast) // MIN_IN_A_BIN)
    if bins < 2:
        return []
    order = np.argsort(found.forecast, kind="stable")
    result = []
    for part in np.array_split(order, bins):
        outcome = found.outcome[part]
        result.append(
            Bin(
                forecast=float(found.forecast[part].mean()),
                outcome=float(outcome.mean()),
                noise=2 * float(outcome.std(ddof=1)) / math.sqrt(len(part)),
                count=len(part),
            )
        )
    return result
