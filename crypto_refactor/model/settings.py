"""The settings of a model."""

from dataclasses import dataclass

from crypto_refactor.arguments import is_whole
from crypto_refactor.errors import UsageError
from crypto_refactor.model.networks import NETWORKS

MIN_LABELLED_ROWS = 120
"""With fewer rows the three slices of a training set are too short to mean anything."""
RESIDUALS = ("auto", "always", "never")
"""``auto`` adds a network to the skip only where that clearly lowers the loss of the stop slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Settings shared by every model of a run."""

    lookback: int = 60  # bars per window
    network: str = "documented"  # a name in `NETWORKS`
    residual: str = "auto"  # whether its forecast is added to the skip's: a name in `RESIDUALS`
    seed: int = 0  # of the initial weights, dropout and the order of rows
    train_hours: int = 2160  # length of the training span
    refit_every: int = 720  # hours between cut-offs; see `schedule`

    def __post_init__(self) -> None:
        self._require_range("lookback", 2, 1000, " bars")
        self._require_range("seed", 0, 2**31 - 1)
        self._require_range("train_hours", 2 * MIN_LABELLED_ROWS, 87_600, " hours")
        self._require_range("refit_every", 1, 87_600, " hours")
        self._require_choice("network", tuple(NETWORKS))
        self._require_choice("residual", RESIDUALS)

    @property
    def fits_network(self) -> bool:
        """Whether a fit trains a network, which takes seconds to minutes; the skip alone takes milliseconds."""
        return self.residual != "never" and NETWORKS[self.network] is not None

    def _require_choice(self, name: str, choices: tuple[str, ...]) -> None:
        value: str = getattr(self, name)
        if value not in choices:
            raise UsageError(
                f"--{name} is {value!r}.", expected=f"{' or '.join(choices)}.", remedy=f"correct --{name}."
            )

    def _require_range(self, name: str, low: int, high: int, unit: str = "") -> None:
        value: object = getattr(self, name)
        if not is_whole(value) or not low <= value <= high:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{option} is {value!r}.", expected=f"{low} to {high}{unit}.", remedy=f"correct {option}."
            )
        object.__setattr__(self, name, int(value))  # numpy's integers are not JSON
