"""Correlation coefficients, and their standard error on hourly values."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray

BLOCK_HOURS = 24
MIN_BLOCKS = 10
"""Fewer days say too little about how much days differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A correlation, None if either side is constant, and its standard error, None also below ten days."""

    value: float | None
    se: float | None


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


def hourly_spearman(x: FloatArray, y: FloatArray, hours: HourArray) -> Correlation:
    """Return Spearman's rank correlation with the error of `hourly_pearson`.

    The error ignores that ranks are estimates too, which matters only far from a correlation of 0.
    """
    return hourly_pearson(ranks(x), ranks(y), hours)


def hourly_pearson(x: FloatArray, y: FloatArray, hours: HourArray) -> Correlation:
    """Return Pearson's r of `x` and `y` at `hours`, all of shape (n,), with its standard error.

    Neighbouring hours are not independent, days nearly are.  With u and v the standardised sides, r is the
    mean of uv, and hour i moves it by its influence (F. R. Hampel, "The influence curve and its role in robust
    estimation", JASA 69 (1974))::

        psi_i = u_i v_i - r (u_i^2 + v_i^2) / 2

    The error adds it up within each UTC day before squaring (the cluster-robust form of K.-Y. Liang and
    S. L. Zeger, Biometrika 73 (1986)), with G days::

        SE^2 = G / (G - 1) sum over days (sum of psi in the day)^2 / n^2

    Where single hours outweigh all others, as in Pearson's r of fat-tailed returns, it is a fifth too small.
    Ranks have no such hours, and the verdict looks at ranks.
    """
    if is_constant(x) or is_constant(y):
        return Correlation(value=None, se=None)
    value, influence = _with_influence(x, y)
    return Correlation(value=value, se=_day_clustered_error(influence, hours))


def _with_influence(x: FloatArray, y: FloatArray) -> tuple[float, FloatArray]:
    """Return Pearson's r, and by how much each hour moves it."""
    u, v = ((side - side.mean()) / side.std() for side in (x, y))
    value = float((u * v).mean())
    return value, u * v - value * (u**2 + v**2) / 2


def pooled_spearman(series: Sequence[tuple[FloatArray, FloatArray, HourArray]]) -> Correlation:
    """Return the mean of the rank correlations of several series, (x, y, hours) each, and its standard error.

    Series whose sides do not vary are left out.  An hour moves the mean by its influence on its own series over the
    number of series, and these are added up within each UTC day over all series together, as in `hourly_pearson`.
    """
    varied = [part for part in series if not is_constant(part[0]) and not is_constant(part[1])]
    if not varied:
        return Correlation(value=None, se=None)
    values, influences = zip(*(_with_influence(ranks(x), ranks(y)) for x, y, _ in varied), strict=True)
    total = sum(len(influence) for influence in influences)
    weighted = [influence * (total / len(influence) / len(varied)) for influence in influences]
    hours = np.concatenate([hours for _, _, hours in varied])
    error = _day_clustered_error(np.concatenate(weighted), hours)
    return Correlation(value=float(np.mean(values)), se=error)


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean of hourly values and its standard error, None below ten days."""

    value: float
    se: float | None

    @property
    def t(self) -> float | None:
        """The mean in units of its error, None if that is unknown or 0."""
        return self.value / self.se if self.se else None


def hourly_mean(values: FloatArray, hours: HourArray) -> Mean:
    """Return the mean of `values` at `hours`, both of shape (n,) with n > 0, its error clustered by UTC day."""
    mean = float(values.mean())
    return Mean(mean, _day_clustered_error(values - mean, hours))


def _day_clustered_error(influence: FloatArray, hours: HourArray) -> float | None:
    """Return the error of a mean whose hours move it by `influence`, shape (n,), None below ten days."""
    _, day = np.unique(hours // BLOCK_HOURS, return_inverse=True)
    sums = np.bincount(day, weights=influence)
    days = len(sums)
    if days < MIN_BLOCKS:
        return None
    return math.sqrt(days / (days - 1) * float(sums @ sums)) / len(influence)
