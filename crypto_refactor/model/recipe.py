"""How networks are fitted; part of the identity of a model."""

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version

SMALL_FIT_ROWS = 1000
CLIP = 5.0
"""Scaled inputs are clipped to +- this; also the labels of the ridge baseline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is fitted."""

    batch_rows: int = 256  # rows per step
    small_batch_rows: int = 64  # the same if fewer than 1,000 rows are fitted
    learning_rate: float = 5e-4  # of Adam
    clip_value: float = 0.5  # bound on each gradient component
    l2: float = 1e-4  # weight of the L2 penalty, which early stopping ignores
    max_epochs: int = 25
    patience: int = 6  # of early stopping, by the data loss of the stop slice
    rate_patience: int = 3  # of halving the learning rate, by the same loss
    threads: int = 1  # of one fit: more are not faster at these sizes, and another number gives other weights

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
