"""Correlation coefficients."""

from __future__ import annotations

import numpy as np

from crypto_refactor.arrays import FloatArray


def is_constant(values: FloatArray) -> bool:
    """Whether all values are equal, or there are fewer than two."""
    return len(values) < 2 or bool((values == values[0]).all())


def ranks(values: FloatArray) -> FloatArray:
    """Return the rank of each value, from 1; ties share their mean rank."""
    import pandas as pd

    return np.asarray(pd.Series(values).rank(), dtype=np.float64)


def pearson(x: FloatArray, y: FloatArray) -> float | None:
    """Return Pearson's r, None if either side is constant."""
    return None if is_constant(x) or is_constant(y) else float(np.corrcoef(x, y)[0, 1])


def spearman(x: FloatArray, y: FloatArray) -> float | None:
    """Return Spearman's rank correlation, None if either side is constant."""
    return pearson(ranks(x), ranks(y))
