"""Moving windows and averages that see only the past.

Windowed sums are added lag by lag, in the same order for every row, so a row depends on its own window only.
An online algorithm that adds the newest value and subtracts the oldest would accumulate rounding errors, and a
flat window would have a tiny standard deviation instead of none.

Every function returns an array as long as its input; rows before the first full window are NaN.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from crypto_refactor.arrays import FloatArray

FLAT = 1e-9
"""A price move below this fraction of the price counts as none.

It is far below any tick and far above rounding errors, so that in a flat market neither the unit of the quote
nor the remains of old moves in an exponential average decide anything.
"""
NO_VOLUME = 1e-100
"""A traded amount up to this counts as none: dividing by less would leave the range of normal numbers."""
_BLOCK = 16_384
"""Rows computed at a time, so that their arrays stay in the processor's cache while the lags are added."""


def _blocks(values: FloatArray, window: int) -> Iterator[tuple[slice, list[FloatArray]]]:
    """Yield blocks of rows with a full window, and for each the views ``x[t - window + 1], …, x[t]``."""
    for start in range(window - 1, len(values), _BLOCK):
        stop = min(start + _BLOCK, len(values))
        first = start - window + 1
        yield slice(start, stop), [values[first + lag : stop - window + 1 + lag] for lag in range(window)]


def _nans(values: FloatArray) -> FloatArray:
    return np.full(len(values), np.nan)


def rolling_dot(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return ``Σ weights[i] · x[t - w + 1 + i]`` over the last ``w = len(weights)`` values, shape (n,)."""
    result = _nans(values)
    for rows, lags in _blocks(values, len(weights)):
        total = np.zeros(len(lags[0]))
        for weight, lag in zip(weights, lags, strict=True):
            total += weight * lag
        result[rows] = total
    return result


def rolling_sum(values: FloatArray, window: int) -> FloatArray:
    """Return the sum of the last `window` values, shape (n,)."""
    result = _nans(values)
    for rows, lags in _blocks(values, window):
        total = np.zeros(len(lags[0]))
        for lag in lags:
            total += lag
        result[rows] = total
    return result


def rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Return the mean of the last `window` values, shape (n,)."""
    return rolling_sum(values, window) / window


def rolling_range(values: FloatArray, window: int) -> tuple[FloatArray, FloatArray]:
    """Return the lowest and the highest of the last `window` values, each of shape (n,)."""
    lowest, highest = _nans(values), _nans(values)
    for rows, (first, *others) in _blocks(values, window):
        low, high = first.copy(), first.copy()
        for lag in others:
            np.minimum(low, lag, out=low)
            np.maximum(high, lag, out=high)
        lowest[rows], highest[rows] = low, high
    return lowest, highest


def rolling_moments(values: FloatArray, window: int, *, ddof: int) -> tuple[FloatArray, FloatArray]:
    """Return mean - last value and the standard deviation of the last `window` values, each of shape (n,).

    Both are computed from the distances to the last value of the window, so that a flat window has exactly 0
    and 0, and large prices lose no digits.
    """
    offset, deviation = _nans(values), _nans(values)
    for rows, (*lags, last) in _blocks(values, window):
        total, squares, distance = np.zeros(len(last)), np.zeros(len(last)), np.empty(len(last))
        for lag in lags:
            np.subtract(lag, last, out=distance)
            total += distance
            distance *= distance
            squares += distance
        offset[rows] = total / window
        deviation[rows] = np.sqrt((squares - total * total / window) / (window - ddof))
    return offset, deviation


def wilder_mean(values: FloatArray, window: int) -> FloatArray:
    """Return ``m[t] = m[t-1] + (x[t] - m[t-1]) / window`` from ``m[0] = x[0]``, shape (n,)."""
    mean = pd.Series(values).ewm(alpha=1 / window, adjust=False).mean()
    return np.asarray(mean, dtype=np.float64)


def change(values: FloatArray) -> FloatArray:
    """Return ``x[t] - x[t-1]``, 0 in the first row, shape (n,)."""
    return np.diff(values, prepend=values[:1])


def ratio(
    numerator: FloatArray, denominator: FloatArray, *, otherwise: float, above: FloatArray | float = 0.0
) -> FloatArray:
    """Return numerator / denominator, and `otherwise` where the denominator is not above `above`, shape (n,).

    A NaN denominator gives NaN, so that an overflow is never mistaken for 0/0.
    """
    result = np.full(len(numerator), otherwise)
    np.divide(numerator, denominator, out=result, where=~(denominator <= above))
    return result
