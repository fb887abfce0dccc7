"""The settings of a model."""

from dataclasses import dataclass, fields
from typing import Any

from crypto_refactor.arguments import is_whole
from crypto_refactor.errors import UsageError
from crypto_refactor.features.plugin_indicators import catalogue_of
from crypto_refactor.model.networks import networks_of
from crypto_refactor.plugins import AnyPlugin, NetworkBuilder, PluginFile, read_plugins

MIN_LABELLED_ROWS = 120
"""With fewer rows the three slices of a training set are too short to mean anything."""
RESIDUALS = ("auto", "always", "never")
"""``auto`` adds a network to the skip only where that clearly lowers the loss of the stop slice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """Settings shared by every model of a run.

    Raises
    ------
    UsageError
        If a setting is out of range, or a plug-in cannot be used.
    """

    lookback: int = 60  # bars per window
    network: str = "documented"  # a name in `NETWORKS`, or of a network of `plugins`
    residual: str = "auto"  # whether its forecast is added to the skip's: a name in `RESIDUALS`
    seed: int = 0  # of the initial weights, dropout and the order of rows
    train_hours: int = 2160  # length of the training span
    refit_every: int = 720  # hours between cut-offs; see `schedule`
    plugins: tuple[PluginFile, ...] = ()  # given as files that were read, paths or names of installed ones

    def __post_init__(self) -> None:
        given: AnyPlugin | tuple[AnyPlugin, ...] = self.plugins
        object.__setattr__(self, "plugins", read_plugins(given))
        catalogue_of(self.plugins)  # a name that is taken is found before anything is read
        self._require_range("lookback", 2, 1000, " bars")
        self._require_range("seed", 0, 2**31 - 1)
        self._require_range("train_hours", 2 * MIN_LABELLED_ROWS, 87_600, " hours")
        self._require_range("refit_every", 1, 87_600, " hours")
        self._require_choice("network", tuple(networks_of(self.plugins)))
        self._require_choice("residual", RESIDUALS)
        if self.residual == "always" and self.builder is None:
            raise UsageError(
                f"--residual always was given with --network {self.network}.",
                expected="a network whose forecast can be added to the skip's; this one is the skip alone.",
                remedy="leave out --residual, or name another --network.",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as outputs and records state them."""
        values: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        return values | {"plugins": [file.to_dict() for file in self.plugins]}

    @property
    def builder(self) -> NetworkBuilder | None:
        """What builds the network; None for the skip alone."""
        return networks_of(self.plugins)[self.network]

    @property
    def fits_network(self) -> bool:
        """Whether a fit trains a network, which takes seconds to minutes; the skip alone takes milliseconds."""
        return self.residual != "never" and self.builder is not None

    def _require_choice(self, name: str, choices: tuple[str, ...]) -> None:
        value: str = getattr(self, name)
        if value not in choices:
            raise UsageError.not_one_of(f"--{name}", value, choices)

    def _require_range(self, name: str, low: int, high: int, unit: str = "") -> None:
        value: object = getattr(self, name)
        if not is_whole(value) or not low <= value <= high:
            option = "--" + name.replace("_", "-")
            raise UsageError(
                f"{option} is {value!r}.",
                expected=f"{low} to {high}{unit}.",
                remedy=f"write {option} {getattr(type(self)(), name)}, which is its default.",
            )
        object.__setattr__(self, name, int(value))  # numpy's integers are not JSON
