"""Confidence intervals of a result, from resampled hours.

The stationary bootstrap of D. N. Politis and J. P. Romano, "The stationary bootstrap", Journal of the American
Statistical Association 89 (1994), section 2, draws a series of the same length from blocks that begin at random
hours, wrap around at the end, and are geometrically long: P(length = k) = p (1 - p)^(k - 1), with mean 1 / p.
Within a block, hours keep their order, and with it the dependence between neighbouring returns.
"""

import math
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray, RowArray
from crypto_refactor.backtest.metrics import sharpe_ratio
from crypto_refactor.execution.rules import HOURS_PER_YEAR

RESAMPLES = 1000
MEAN_BLOCK_HOURS = 24
"""A day: it covers the daily cycle and most positions, and leaves 90 blocks in 90 days."""
LEVEL = 0.95

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intervals:
    """95 % percentile intervals, (low, high).

    Attributes
    ----------
    total_return : tuple of float or None
        Fractions; None below two mean blocks (48 hours).
    sharpe : tuple of float or None
        Annualised; None also if returns do not vary.
    """

    total_return: Interval | None
    sharpe: Interval | None


def bootstrap_intervals(
    returns: FloatArray, *, resamples: int = RESAMPLES, mean_block: float = MEAN_BLOCK_HOURS, seed: int = 0
) -> Intervals:
    """Return the intervals of total return and Sharpe ratio of hourly `returns`.

    Both figures need only three sums per block, sum(log(1 + r)), sum(r) and sum(r^2), which are differences of
    running sums.  A resample whose returns do not vary (without a position) has a Sharpe ratio of 0.

    Parameters
    ----------
    returns : ndarray, shape (n,)
        Simple returns, each at least -1; -1 is ruin, in a resample too.
    resamples : int
        Number of series.
    mean_block : float
        Mean length of a block, hours.
    seed : int
        The same seed gives the same intervals.
    """
    count = len(returns)
    if count < 2 * mean_block:
        return Intervals(total_return=None, sharpe=None)
    starts, lengths = _blocks(np.random.default_rng(seed), count, resamples, mean_block)
    totals = _total_returns(returns, starts, lengths)
    varies = sharpe_ratio(returns)[0] is not None
    return Intervals(
        total_return=_percentiles(totals),
        sharpe=_percentiles(_sharpe_ratios(returns, starts, lengths)) if varies else None,
    )


def _blocks(
    rng: np.random.Generator, count: int, resamples: int, mean_block: float
) -> tuple[RowArray, RowArray]:
    """Return starts and lengths of blocks, shape (resamples, k); each row's lengths sum to `count`."""
    columns = max(int(1.5 * count / mean_block), 1)
    lengths = rng.geometric(1 / mean_block, (resamples, columns))
    while int(lengths.sum(axis=1).min()) < count:
        lengths = np.hstack([lengths, rng.geometric(1 / mean_block, (resamples, columns))])
    ends = np.minimum(np.cumsum(lengths, axis=1), count)
    return rng.integers(0, count, ends.shape), np.diff(ends, axis=1, prepend=0)


def _sums(values: FloatArray, starts: RowArray, lengths: RowArray) -> FloatArray:
    """Return the sum of `values` over the blocks of each row, shape (resamples,)."""
    running = np.concatenate([[0.0], np.cumsum(np.concatenate([values, values]))])
    return np.asarray((running[starts + lengths] - running[starts]).sum(axis=1))


def _total_returns(returns: FloatArray, starts: RowArray, lengths: RowArray) -> FloatArray:
    ruined = returns <= -1
    growth = np.log1p(np.where(ruined, 0.0, returns))
    totals = np.expm1(_sums(growth, starts, lengths))
    if ruined.any():
        totals[_sums(ruined.astype(np.float64), starts, lengths) > 0.5] = -1.0
    return totals


def _sharpe_ratios(returns: FloatArray, starts: RowArray, lengths: RowArray) -> FloatArray:
    count, mean = len(returns), float(returns.mean())
    # Centred, so that the variance is not a small difference of large numbers.
    centred = returns - mean
    shift = _sums(centred, starts, lengths) / count
    variance = (_sums(centred**2, starts, lengths) - count * shift**2) / (count - 1)
    varies = variance > 1e-12 * float(centred @ centred) / count
    deviation = np.sqrt(np.where(varies, variance, 1.0))
    ratios = np.where(varies, (mean + shift) / deviation, 0.0)
    return np.asarray(ratios * math.sqrt(HOURS_PER_YEAR))


def _percentiles(values: FloatArray) -> Interval:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]).tolist()
    return low, high
