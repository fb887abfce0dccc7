"""The series behind the charts: drawdowns, months, rolling Sharpe ratios, forecasts beside outcomes."""

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
MAX_BINS = 10
MIN_BIN_SIZE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawdown:
    """A fall of the equity below an earlier peak, by positions in the equity curve."""

    depth: float  # a fraction below 0
    peak: int  # the last point at the peak
    trough: int
    recovered: int | None  # the first point back at the peak


def drawdown_series(equity: FloatArray) -> FloatArray:
    """Return how far each point is below the highest one so far, a fraction of at most 0; 0 where that is not positive."""
    peak = np.maximum.accumulate(equity)
    return np.divide(equity, peak, out=np.ones(len(equity)), where=peak > 0) - 1


def worst_drawdowns(equity: FloatArray, count: int = 5) -> list[Drawdown]:
    """Return the deepest drawdowns, deepest first; no two of them overlap."""
    depth = drawdown_series(equity)
    # A drawdown is a run of points below the peak; the point before it is the peak.
    below = np.concatenate([[False], depth < 0, [False]])
    edges = np.flatnonzero(below[1:] != below[:-1])
    drawdowns = []
    for start, stop in edges.reshape(-1, 2).tolist():
        trough = start + int(np.argmin(depth[start:stop]))
        recovered = stop if stop < len(equity) else None
        drawdowns.append(
            Drawdown(depth=float(depth[trough]), peak=start - 1, trough=trough, recovered=recovered)
        )
    return sorted(drawdowns, key=lambda drawdown: drawdown.depth)[:count]


def month_starts(closed: HourArray, tz: ZoneInfo) -> list[tuple[str, int, int]]:
    """Return the name of each calendar month in `tz`, and the points between which its returns lie.

    `closed`, shape (n + 1,), holds the hour of each point of the equity curve.
    """
    # The hour that ends at midnight belongs to the month in which it passed.
    names = [(to_datetime(hour - 1).astimezone(tz)).strftime("%Y-%m") for hour in closed[1:].tolist()]
    firsts = [at for at, name in enumerate(names) if not at or names[at - 1] != name]
    return [(names[first], first, stop) for first, stop in pairwise([*firsts, len(names)])]


def rolling_sharpe(equity: FloatArray, closed: HourArray, span: int) -> list[float | None]:
    """Return the annualised Sharpe ratio of the last `span` hours at each point, whose hours are `closed`.

    None where there are fewer hours, where a long gap lies among them, or where the returns do not vary.
    """
    returns = hourly_returns(equity)
    values: list[float | None] = [None] * min(span, len(equity))
    if len(returns) < span:
        return values
    windows = np.lib.stride_tricks.sliding_window_view(returns, span)
    mean, deviation = windows.mean(axis=1), windows.std(axis=1, ddof=1)
    unbroken = closed[span:] - closed[:-span] == span
    scaled = np.divide(mean, deviation, out=np.full(len(mean), np.nan), where=(deviation > 0) & unbroken)
    year = math.sqrt(HOURS_PER_YEAR)
    return values + [None if math.isnan(value) else value * year for value in scaled.tolist()]


def sharpe_noise(span: int) -> float:
    """Return two standard errors, annualised, of a Sharpe ratio over `span` hours whose true value is 0.

    The error of the hourly ratio is then 1 / sqrt(span): Lo, "The statistics of Sharpe ratios", Financial Analysts
    Journal 58 (2002).
    """
    return 2 * math.sqrt(HOURS_PER_YEAR / span)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """Forecast and actual log returns of the bars whose next bar is real and adjacent; shape (m,)."""

    forecast: FloatArray
    outcome: FloatArray
    rows: RowArray  # positions in the signals


def outcomes(signals: SignalFrame, window: Bars) -> Outcomes:
    """Put the forecasts of a window beside their outcomes."""
    at = np.searchsorted(window.closed, signals.decided_at)
    has_next = at + 1 < len(window)
    following = np.where(has_next, at + 1, at)
    has_next &= (window.closed[following] == signals.decided_at + 1) & ~(window.synthetic | window.held)[
        following
    ]
    rows = np.flatnonzero(has_next)
    return Outcomes(
        forecast=np.log(signals.predicted[rows] / signals.close[rows]),
        outcome=np.log(window.close[following[rows]] / signals.close[rows]),
        rows=rows,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Forecasts of similar size: their mean, the mean outcome, two standard errors of that, and their number."""

    forecast: float
    outcome: float
    noise: float
    count: int


def binned(outcomes: Outcomes) -> list[Bin]:
    """Divide forecasts by size into at most ten bins of equal count; none where there are too few."""
    count = min(MAX_BINS, len(outcomes.forecast) // MIN_BIN_SIZE)
    if count < 2:
        return []
    order = np.argsort(outcomes.forecast, kind="stable")
    return [_bin(outcomes.forecast[rows], outcomes.outcome[rows]) for rows in np.array_split(order, count)]


def _bin(forecast: FloatArray, outcome: FloatArray) -> Bin:
    return Bin(
        forecast=float(forecast.mean()),
        outcome=float(outcome.mean()),
        noise=2 * float(outcome.std(ddof=1)) / math.sqrt(len(outcome)),
        count=len(outcome),
    )
