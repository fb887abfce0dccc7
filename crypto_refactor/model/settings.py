"""What identifies a model before it is trained."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version

from crypto_refactor.errors import UsageError

NETWORK_NAMES = ("documented", "small")
SMALL_FIT_ROWS = 1000
MIN_LABELLED_ROWS = 120
"""Below this the three slices of a training set are too short to mean anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a network is fitted; part of a model's identity.

    Attributes
    ----------
    batch_rows, small_batch_rows : int
        Rows per step; the small one where fewer than 1,000 rows are fitted.
    learning_rate, clip_value : float
        Adam's rate, and the bound on each gradient component.
    l2 : float
        Weight of the L2 penalty, which early stopping does not look at.
    max_epochs, patience, rate_patience : int
        Early stopping and halving of the learning rate, both on the data loss of the stop slice.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Settings shared by every model of a run.

    Attributes
    ----------
    lookback : int
        Bars per window.
    network : str
        ``documented`` or ``small``.
    seed : int
        Seeds the initial weights, dropout and the order of rows.
    train_hours, refit_every : int
        Length of the training span and distance of the cut-offs, for `selection`.
    """

    lookback: int = 60
    network: str = "documented"
    seed: int = 0
    train_hours: int = 2160
    refit_every: int = 720

    def __post_init__(self) -> None:
        _require("--lookback", self.lookback, 2 <= self.lookback <= 1000, "2 to 1000 bars")
        _require("--seed", self.seed, 0 <= self.seed < 2**31, "0 to 2147483647")
        _require(
            "--train-hours",
            self.train_hours,
            2 * MIN_LABELLED_ROWS <= self.train_hours <= 87_600,
            f"{2 * MIN_LABELLED_ROWS} to 87600 hours",
        )
        _require("--refit-every", self.refit_every, 1 <= self.refit_every <= 87_600, "1 to 87600 hours")
        if self.network not in NETWORK_NAMES:
            raise UsageError(
                f"--network is {self.network!r}.",
                expected=" or ".join(NETWORK_NAMES) + ".",
                remedy="correct --network.",
            )


def _require(option: str, value: int, holds: bool, expected: str) -> None:
    if not holds:
        raise UsageError(f"{option} is {value}.", expected=f"{expected}.", remedy=f"correct {option}.")


def library_versions() -> dict[str, str]:
    """Return the versions that decide which weights a fit ends with."""
    return {name: version(name) for name in ("keras", "numpy", "tensorflow")}
