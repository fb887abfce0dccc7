"""When two computations of the same feature are the same."""

from typing import Any

import numpy as np
import numpy.typing as npt

from crypto_refactor.arrays import BoolArray, FloatArray

START_TOLERANCE = 1e-6
"""Relative to a column's interquartile range: how much the hour at which the data begin may matter."""
_ROUNDING = 1e-9


def same_bits(values: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """Whether two arrays hold the same bits: NaN equals itself, 0 and -0 differ."""
    return values.shape == other.shape and values.dtype == other.dtype and values.tobytes() == other.tobytes()


def different_bits(values: npt.NDArray[Any], other: npt.NDArray[Any]) -> BoolArray:
    """Return where two arrays of one shape and dtype hold other bits."""
    bits = np.dtype(f"i{values.dtype.itemsize}")
    return np.asarray(np.ascontiguousarray(values).view(bits) != np.ascontiguousarray(other).view(bits))


def start_tolerance(column: FloatArray) -> float:
    """Return how far a value may move with the start of the data; a column that never varies, by its rounding."""
    lower, upper = np.percentile(column, [25, 75])
    return START_TOLERANCE * float(upper - lower) + _ROUNDING * float(np.abs(column).max())
