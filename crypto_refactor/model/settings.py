"""The settings of a model."""

from dataclasses import dataclass

from crypto_refactor.errors import UsageError
from crypto_refactor.model.networks import NETWORKS

MIN_LABELLED_ROWS = 120
"""With fewer rows the three slices of a training set are too short to mean anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Settings shared by every model of a run."""

    lookback: int = 60  # bars per window
    network: str = "documented"  # a name in `NETWORKS`
    seed: int = 0  # of the initial weights, dropout and the order of rows
    train_hours: int = 2160  # length of the training span
    refit_every: int = 720  # hours between cut-offs; see `schedule`

    def __post_init__(self) -> None:
        self._require_range("lookback", 2, 1000, " bars")
        self._require_range("seed", 0, 2**31 - 1)
        self._require_range("train_hours", 2 * MIN_LABELLED_ROWS, 87_600, " hours")
        self._require_range("refit_every", 1, 87_600, " hours")
        if self.network not in NETWORKS:
            raise UsageError(
                f"--network is {self.network!r}.",
                expected=" or ".join(NETWORKS) + ".",
                remedy="correct --network.",
            )

    def _require_range(self, name: str, low: int, high: int, unit: str = "") -> None:
        value: int = getattr(self, name)
        if not low <= value <= high:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{option} is {value}.", expected=f"{low} to {high}{unit}.", remedy=f"correct {option}."
            )
