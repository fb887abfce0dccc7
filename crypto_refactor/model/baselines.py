"""Forecasts without a model, which any model must beat: an hour's move tends to be taken back."""

from collections.abc import Callable

from crypto_refactor.arrays import Float32Array, FloatArray
from crypto_refactor.features.catalogue import indicator_names

RIDGE = "ridge"
"""The name of the skip where it is compared with a network."""

BASELINES: dict[str, Callable[[Float32Array | FloatArray], FloatArray]] = {
    "minus_last_return": lambda inputs: -_column(inputs, "log_return"),
    "minus_ema_20_distance": lambda inputs: -_column(inputs, "ema_20"),
}
"""By name: raw model inputs, shape (n, k) -> forecasts, shape (n,), of which only sign and rank mean something."""


def _column(inputs: Float32Array | FloatArray, name: str) -> FloatArray:
    return inputs[:, indicator_names().index(name)].astype(float)
