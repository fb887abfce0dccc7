"""How forecasts are fitted; part of the identity of a model."""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from crypto_refactor.arrays import FloatArray

SMALL_FIT_ROWS = 1000
TRAINING_LIBRARIES = ("tensorflow", "keras", "tf2onnx", "onnx")
"""What fits and exports; a machine that serves models which were trained elsewhere needs none of them."""
CLIP = 5.0
"""Scaled inputs are clipped to +- this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a model is fitted: the linear skip, then the network on what the skip leaves."""

    target_clip: float = 0.5  # of the skip's targets, in volatilities
    skip_penalty: float = 2000.0  # L2, whatever the number of rows
    huber_delta: float = 0.5  # of the network's loss, in volatilities
    batch_rows: int = 256  # rows per step
    small_batch_rows: int = 64  # the same if fewer than 1,000 rows are fitted
    learning_rate: float = 5e-4  # of Adam
    clip_value: float = 0.5  # bound on each gradient component
    l2: float = 1e-4  # weight of the L2 penalty, which early stopping ignores
    max_epochs: int = 12
    patience: int = 3  # of early stopping, by the data loss of the stop slice
    rate_patience: int = 2  # of halving the learning rate, by the same loss
    residual_t: float = 2.0  # errors by which a residual must lower the stop slice's loss to be kept
    statistics_rows: int = (
        2048  # rows of the fit slice, at most, that give the statistics of batch normalisation
    )
    threads: int = 1  # of one fit: more are not faster at these sizes, and another number gives other weights

    def batch_size(self, fit_rows: int) -> int:
        """Return the rows per step for a fit slice of `fit_rows`."""
        return self.small_batch_rows if fit_rows < SMALL_FIT_ROWS else self.batch_rows

    def hash(self) -> str:
        """Return a short hash that changes with any value."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


RECIPE = Recipe()


def huber_loss(error: FloatArray) -> FloatArray:
    """Return Huber's loss of each error, in volatilities, with the delta of the recipe."""
    size, delta = np.abs(error), RECIPE.huber_delta
    return np.where(size <= delta, size**2 / 2, delta * (size - delta / 2))


MISSING = "not installed"


def library_versions() -> dict[str, str]:
    """Return the versions that decide the weights of a fit; `MISSING` for a library that only training needs."""
    return {name: _version(name) for name in ("keras", "numpy", "tensorflow")}


def missing_to_train() -> list[str]:
    """Return which of the libraries that training needs are not installed; none of them is imported."""
    return [name for name in TRAINING_LIBRARIES if _version(name) == MISSING]


def _version(name: str) -> str:
    try:
        return _installed(name)
    except PackageNotFoundError:
        return MISSING


@cache
def _installed(name: str) -> str:
    """Return the version that this process has found first: what is imported stays, whatever is installed later."""
    return version(name)
