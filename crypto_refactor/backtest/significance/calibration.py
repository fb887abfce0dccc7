"""Calibration: confidence against the share of correct directions, intervals against closes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray

EDGES = tuple(round(0.5 + 0.05 * step, 2) for step in range(11))
"""0.50, 0.55 … 1.00: fixed, so that the tables of several tickers can be added up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """`n` forecasts with a confidence in (low, high], the first bin including 0.5.

    `stated` is their mean confidence, `observed` the share with the correct direction.
    """

    low: float
    high: float
    n: int
    stated: float
    observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Confidence compared with outcomes.

    Attributes
    ----------
    bins : tuple of CalibrationBin
        The bins that are not empty.
    brier : float or None
        Mean of (confidence - correct)^2, correct being 1 or 0: 0.25 for a coin toss, lower is better.  G. W. Brier,
        "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).
    """

    bins: tuple[CalibrationBin, ...]
    brier: float | None


def calibration(
    confidence: FloatArray, forecast: FloatArray, outcome: FloatArray, *, edges: Sequence[float] = EDGES
) -> Calibration:
    """Compare confidence with the direction of outcomes.

    Forecasts of exactly 0 and hours without a move have no direction and are left out.

    Parameters
    ----------
    confidence : ndarray, shape (n,)
        Probability that the direction of the forecast is correct, 0.5 to 1.
    forecast, outcome : ndarray, shape (n,)
        Log returns.
    edges : sequence of float
        Where bins end, from 0.5 to 1.
    """
    directed = (forecast != 0) & (outcome != 0)
    stated = confidence[directed]
    correct = (forecast[directed] > 0) == (outcome[directed] > 0)
    place = np.clip(np.searchsorted(edges, stated, side="left") - 1, 0, len(edges) - 2)
    bins = [
        CalibrationBin(
            low=edges[number],
            high=edges[number + 1],
            n=int((place == number).sum()),
            stated=float(stated[place == number].mean()),
            observed=float(correct[place == number].mean()),
        )
        for number in np.unique(place).tolist()
    ]
    brier = float(np.mean((stated - correct) ** 2)) if len(stated) else None
    return Calibration(bins=tuple(bins), brier=brier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of `n` bars; None if there are none."""

    n: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Share of next closes inside the 90 % interval: of all bars, and of each third of them by ATR / close."""

    overall: Share
    calm: Share
    middle: Share
    wild: Share


def coverage(covered: BoolArray, relative_atr: FloatArray) -> Coverage:
    """Return the share of `covered` bars by their ATR / close, arguments of shape (n,)."""
    third = np.zeros(len(covered), dtype=np.int64)
    # By rank, so that the thirds have equal size; bars of equal ATR / close stay in time order.
    third[np.argsort(relative_atr, kind="stable")] = np.arange(len(covered)) * 3 // max(len(covered), 1)
    calm, middle, wild = (_share(covered[third == number]) for number in range(3))
    return Coverage(overall=_share(covered), calm=calm, middle=middle, wild=wild)


def _share(covered: BoolArray) -> Share:
    return Share(n=len(covered), share=float(covered.mean()) if len(covered) else None)
