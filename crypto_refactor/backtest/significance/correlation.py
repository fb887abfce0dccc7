"""Correlation of forecasts with outcomes (the information coefficient, IC) and its error by days."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray, RowArray
from crypto_refactor.correlation import is_constant, ranks

BLOCK_HOURS = 24
MIN_BLOCKS = 10
"""Fewer days say too little of how much days differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """A correlation and its standard error.

    Attributes
    ----------
    value : float or None
        -1 to 1; None where either side is constant.
    se : float or None
        None below ten days, too.
    """

    value: float | None
    se: float | None


def pearson(x: FloatArray, y: FloatArray, hours: RowArray) -> Correlation:
    """Return Pearson's r of `x` and `y`, with the day-block error of `_associate`."""
    return _associate(x, y, hours)


def spearman(x: FloatArray, y: FloatArray, hours: RowArray) -> Correlation:
    """Return Spearman's rho, which is Pearson's r of the ranks (ties share their mean rank)."""
    return _associate(ranks(x), ranks(y), hours)


def _associate(x: FloatArray, y: FloatArray, hours: RowArray) -> Correlation:
    """Return the correlation of `x` and `y` made at `hours`, all of shape (n,).

    Neighbouring hours are not independent, days nearly are.  With u and v the standardised sides, r is the
    mean of uv, and hour i moves it by its influence (F. R. Hampel, "The influence curve
    and its role in robust estimation", JASA 69 (1974))::

        psi_i = u_i v_i - r (u_i^2 + v_i^2) / 2

    and the error adds up within each UTC day before it is squared (the cluster-robust form of K.-Y. Liang and
    S. L. Zeger, Biometrika 73 (1986)), with G days::

        SE^2 = G / (G - 1) sum over days (sum of psi in the day)^2 / n^2

    For ranks it leaves out that the ranks are estimated too, which matters only far from a correlation of 0.
    Where single hours outweigh all others, as in Pearson's r of fat-tailed returns, it is a fifth too small;
    ranks have no such hours, and the verdict looks at ranks.
    """
    count = len(x)
    if is_constant(x) or is_constant(y):
        return Correlation(value=None, se=None)
    u, v = ((side - side.mean()) / side.std() for side in (x, y))
    value = float((u * v).mean())
    influence = u * v - value * (u**2 + v**2) / 2
    _, day = np.unique(hours // BLOCK_HOURS, return_inverse=True)
    sums = np.bincount(day, weights=influence)
    days = len(sums)
    if days < MIN_BLOCKS:
        return Correlation(value=value, se=None)
    return Correlation(value=value, se=math.sqrt(days / (days - 1) * float(sums @ sums)) / count)
