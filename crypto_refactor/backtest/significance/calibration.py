"""Whether what was stated came true: confidence against the share of right directions, intervals against closes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray

EDGES = tuple(round(0.5 + 0.05 * step, 2) for step in range(11))
"""0.50, 0.55 … 1.00: fixed, so that the tables of several tickers can be added up."""
COIN_TOSS = 0.25
"""The Brier score of stating 0.5 at all times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationBin:
    """Forecasts whose confidence lies in (low, high], the first bin with 0.5 itself.

    Attributes
    ----------
    low, high : float
        The bin.
    n : int
        Forecasts in it.
    stated, observed : float
        Mean confidence, and the share whose direction was right.
    """

    low: float
    high: float
    n: int
    stated: float
    observed: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How stated confidence compares with what happened.

    Attributes
    ----------
    bins : tuple of CalibrationBin
        Those that are not empty.
    brier : float or None
        Mean of (confidence - right)^2, right being 1 or 0: 0.25 for a coin toss, lower is better.  G. W. Brier,
        "Verification of forecasts expressed in terms of probability", Monthly Weather Review 78 (1950).
    """

    bins: tuple[CalibrationBin, ...]
    brier: float | None


def calibration(confidence: FloatArray, forecast: FloatArray, outcome: FloatArray) -> Calibration:
    """Compare confidence with direction.

    Forecasts of exactly 0 and hours whose close did not move have no direction and are left out.

    Parameters
    ----------
    confidence : ndarray, shape (n,)
        0.5 to 1, that the forecast's direction is right.
    forecast, outcome : ndarray, shape (n,)
        Log returns.
    """
    directed = (forecast != 0) & (outcome != 0)
    stated = confidence[directed]
    right = (forecast[directed] > 0) == (outcome[directed] > 0)
    place = np.clip(np.searchsorted(EDGES, stated, side="left") - 1, 0, len(EDGES) - 2)
    bins = [
        CalibrationBin(
            low=EDGES[number],
            high=EDGES[number + 1],
            n=int((place == number).sum()),
            stated=float(stated[place == number].mean()),
            observed=float(right[place == number].mean()),
        )
        for number in np.unique(place).tolist()
    ]
    brier = float(np.mean((stated - right) ** 2)) if len(stated) else None
    return Calibration(bins=tuple(bins), brier=brier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of `n` bars; None of none."""

    n: int
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How often the next close lay in the 90 % interval, its ends included.

    `calm`, `middle` and `wild` are the thirds of the bars by ATR / close, `overall` is all of them.
    """

    overall: Share
    calm: Share
    middle: Share
    wild: Share


def coverage(covered: BoolArray, relative_atr: FloatArray) -> Coverage:
    """Return the coverage of bars whose interval held (`covered`), by their ATR / close, shape (n,) each."""
    third = np.zeros(len(covered), dtype=np.int64)
    # By rank, so that the thirds are equally large; bars of the same ATR / close stay in time order.
    third[np.argsort(relative_atr, kind="stable")] = np.arange(len(covered)) * 3 // max(len(covered), 1)
    calm, middle, wild = (_share(covered[third == number]) for number in range(3))
    return Coverage(overall=_share(covered), calm=calm, middle=middle, wild=wild)


def _share(covered: BoolArray) -> Share:
    return Share(n=len(covered), share=float(covered.mean()) if len(covered) else None)
