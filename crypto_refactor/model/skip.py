"""The skip: a linear forecast of the conditional median from the last bar of a window, in closed form.

Small moves of an hour reverse and large ones go on, so that the direction of the next hour is known a little, and its
mean is not.  Least squares lets the few large moves decide.  One step of a robust fit (P. J. Huber, "Robust estimation
of a location parameter", Annals of Mathematical Statistics 35 (1964)) does not: the targets are clipped at half a
volatility, and what clipping takes from them is given back by the share of targets inside.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np

from crypto_refactor.arrays import Float32Array, FloatArray
from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.model.dataset import InputScale, robust_scale
from crypto_refactor.model.recipe import RECIPE

_MIN_SHARE_INSIDE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skip:
    """A linear forecast from k raw model inputs, in units of volatility: (scaled inputs - centre) . weights."""

    scale: InputScale
    centre: FloatArray  # (k,), mean of the scaled inputs that were fitted
    weights: FloatArray  # (k,)

    @property
    def bias(self) -> float:
        """The forecast for scaled inputs of 0."""
        return -float(self.centre @ self.weights)

    def forecast(self, inputs: Float32Array | FloatArray) -> FloatArray:
        """Return the forecasts from raw `inputs`, shape (n, k), in units of volatility, shape (n,)."""
        return np.asarray((self.scale.apply(inputs) - self.centre) @ self.weights)

    def without_forecast(self) -> Self:
        """Return a skip that forecasts 0 whatever its inputs."""
        return type(self)(scale=self.scale, centre=self.centre, weights=np.zeros_like(self.weights))


def fit_skip(inputs: Float32Array, target: FloatArray) -> Skip:
    """Fit a skip.

    With Z the scaled inputs less their mean and c the targets clipped to +-0.5::

        w = (Z'Z + 2000 I)^-1 Z'(c - mean c) / share of |target| < 0.5

    There is no intercept: the mean of an hour is not known, and estimating it costs more than it gives.  The penalty
    does not grow with the rows: it is the prior that single hours say next to nothing.

    Parameters
    ----------
    inputs : ndarray, shape (n, k)
        Raw model inputs of the bars that forecast.
    target : ndarray, shape (n,)
        Log returns to the next close over volatility.
    """
    scale = robust_scale(inputs)
    scaled = scale.apply(inputs)
    centre = scaled.mean(axis=0)
    centred = scaled - centre
    clipped = np.clip(target, -RECIPE.target_clip, RECIPE.target_clip)
    inside = max(float((np.abs(target) < RECIPE.target_clip).mean()), _MIN_SHARE_INSIDE)
    penalty = RECIPE.skip_penalty * np.eye(centred.shape[1])
    weights = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (clipped - clipped.mean())) / inside
    return Skip(scale=scale, centre=centre, weights=np.asarray(weights))


CHAIN_START = 0.25
CHAIN_BLOCKS = 9


def chained_forecasts(inputs: Float32Array, target: FloatArray) -> tuple[slice, FloatArray]:
    """Return forecasts of training rows that the skips behind them have not seen, and which rows these are.

    The rows from 25 % on are divided into 9 equal blocks; each is forecast by a skip fitted on all rows before it but
    the last one, whose label is not known when the block begins.  Unlike in cross-fitting no outcome is fitted that
    lies after a forecast, so that the forecasts' errors are independent where there is nothing to know.

    Parameters
    ----------
    inputs, target : ndarray, shape (n, k) and (n,)
        As `fit_skip` takes them, in time order.
    """
    first = int(CHAIN_START * len(target))
    edges = np.linspace(first, len(target), CHAIN_BLOCKS + 1).astype(int).tolist()
    blocks = [
        fit_skip(inputs[: start - 1], target[: start - 1]).forecast(inputs[start:stop])
        for start, stop in pairwise(edges)
    ]
    return slice(first, len(target)), np.concatenate(blocks)


RIDGE = "ridge"
"""The name of the skip where it is compared with a network."""

BASELINES: dict[str, Callable[[Float32Array | FloatArray], FloatArray]] = {
    "minus_last_return": lambda inputs: -_column(inputs, "log_return"),
    "minus_ema_20_distance": lambda inputs: -_column(inputs, "ema_20"),
}
"""Forecasts without a model, which any model must beat: an hour's move tends to be taken back.

By name: raw model inputs, shape (n, k) -> forecasts, shape (n,), of which only sign and rank mean something.
"""


def _column(inputs: Float32Array | FloatArray, name: str) -> FloatArray:
    return inputs[:, indicator_names().index(name)].astype(float)
