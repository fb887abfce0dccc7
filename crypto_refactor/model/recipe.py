"""How networks are fitted; part of the identity of a model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version

SMALL_FIT_ROWS = 1000
CLIP = 5.0
"""Scaled inputs are clipped to +- this; also the labels of the ridge baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is fitted.

    Attributes
    ----------
    batch_rows, small_batch_rows : int
        Rows per step; the small number if fewer than 1,000 rows are fitted.
    learning_rate, clip_value : float
        Adam's rate, and the bound on each gradient component.
    l2 : float
        Weight of the L2 penalty, which early stopping ignores.
    max_epochs, patience, rate_patience : int
        Early stopping and halving of the learning rate, both by the data loss of the stop slice.
    threads : int
        Threads of one fit.  More are not faster at these sizes, and another number gives other weights.
    """

    batch_rows: int = 256
    small_batch_rows: int = 64
    learning_rate: float = 5e-4
    clip_value: float = 0.5
    l2: float = 1e-4
    max_epochs: int = 25
    patience: int = 6
    rate_patience: int = 3
    threads: int = 1

    def batch_size(self, fit_rows: int) -> int:
        """Return the rows per step for a fit slice of `fit_rows`."""
        return self.small_batch_rows if fit_rows < SMALL_FIT_ROWS else self.batch_rows

    def hash(self) -> str:
        """Return a short hash that changes with any value."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:12]


RECIPE = Recipe()


def library_versions() -> dict[str, str]:
    """Return the versions that decide the weights of a fit."""
    return {name: version(name) for name in ("keras", "numpy", "tensorflow")}
