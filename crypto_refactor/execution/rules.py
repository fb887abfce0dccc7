"""Execution rules: everything that turns a signal and a position into orders, in one frozen value."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crypto_refactor.arguments import is_number
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.options import EXECUTION_OPTIONS
from crypto_refactor.execution.venues import ALPACA_FEE, ALPACA_MAX_DRAWDOWN, VenueRules, require_alpaca_rules
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.plugins import PluginFile, all_exits, require_new_names

DEFAULT_FEE = 0.001
HOURS_PER_YEAR = 8760


class ExitRule(StrEnum):
    """When a position whose signal has ended is closed."""

    NEUTRAL = "neutral"  # as soon as the signal is no longer the position's
    OPPOSITE = "opposite"  # at the opposite signal
    FADE = "fade"  # at the opposite signal, or once the forecast is on the other side of the close


def known_exits(plugins: tuple[PluginFile, ...]) -> tuple[str, ...]:
    """Return the names of the built-in exits and of those of `plugins`.

    Raises
    ------
    PluginError
        If a plug-in cannot be loaded, or a name is taken.
    """
    declared = all_exits(plugins)
    require_new_names(declared, tuple(ExitRule), "exit")
    return (*ExitRule, *(each.name for each in declared))


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRules:
    """How decisions become fills: `ExecutionOptions` with the venue's defaults filled in."""

    fee: float = DEFAULT_FEE
    slippage_bps: float = 0.0
    position_size: float = 1.0
    exit: str = ExitRule.NEUTRAL  # or the name of a plug-in's exit
    long_only: bool = False
    strict: bool = False
    borrow: float = 0.0  # annual rate on the notional of a short, charged for each hour held
    stop_loss: float | None = None
    take_profit: float | None = None
    max_drawdown: float | None = None
    max_notional: float | None = None
    venue: VenueRules | None = None  # where given, the fee is taken in what is received

    def __post_init__(self) -> None:
        if self.venue is not None and not self.long_only:
            raise ValueError("a venue that takes its fee in what is received offers no shorts")
        for name, spec in EXECUTION_OPTIONS.items():
            if spec.expected:
                spec.check(getattr(self, name))

    @property
    def slippage(self) -> float:
        """Slippage as a fraction of the price."""
        return self.slippage_bps * 1e-4

    @property
    def round_trip_cost(self) -> float:
        """Cost of entering and leaving, as a fraction of the price."""
        return 2 * (self.fee + self.slippage)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionOptions:
    """The rules as asked for, before a venue's defaults are filled in; None where nothing was given."""

    venue: str = "none"
    fee: float | None = None
    slippage_bps: float = 0.0
    position_size: float = 1.0
    exit: str = ExitRule.NEUTRAL
    long_only: bool = False
    strict: bool = False
    borrow: float = 0.0
    stop_loss: float | None = None
    take_profit: float | None = None
    max_drawdown: float | None = None
    max_notional: float | None = None

    def __post_init__(self) -> None:
        for name, spec in EXECUTION_OPTIONS.items():
            value = getattr(self, name)
            if is_number(value) and not isinstance(value, int | float):
                object.__setattr__(self, name, float(value))  # numpy's integers are not JSON
            elif not spec.is_of_kind(value):
                if spec.choices:
                    raise UsageError.not_one_of(f"--{spec.name}", value, spec.choices)
                raise UsageError.invalid(f"--{spec.name}", value, spec.kind_text)

    def require_known_exit(self, plugins: tuple[PluginFile, ...]) -> None:
        """Raise UsageError if the exit is neither a built-in one nor one of `plugins`."""
        names = known_exits(plugins)
        if self.exit not in names:
            raise UsageError.not_one_of("--exit", self.exit, names)

    def resolve(self, ticker: Ticker, *, stated: VenueRules | None = None) -> ExecutionRules:
        """Return the rules for `ticker`, with the venue's own defaults where nothing was given.

        `stated` are the order rules as the venue itself states them; by default the dated table's.  Raises
        UsageError if a value is out of range or the venue does not trade `ticker`.
        """
        at_alpaca = self.venue == "alpaca"
        values: dict[str, Any] = {name: getattr(self, name) for name in EXECUTION_OPTIONS}
        values["venue"] = (stated or require_alpaca_rules(ticker)) if at_alpaca else None
        values["long_only"] = self.long_only or at_alpaca
        if self.fee is None:
            values["fee"] = ALPACA_FEE if at_alpaca else DEFAULT_FEE
        if self.max_drawdown is None and at_alpaca:
            values["max_drawdown"] = ALPACA_MAX_DRAWDOWN
        return ExecutionRules(**values)
