"""Execution rules: everything that turns a signal and a position into orders, in one frozen value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from crypto_refactor.execution.option_spec import OptionSpec
from crypto_refactor.execution.venues import ALPACA_FEE, ALPACA_MAX_DRAWDOWN, VenueRules, require_alpaca_rules
from crypto_refactor.market.ticker import Ticker

DEFAULT_FEE = 0.001
HOURS_PER_YEAR = 8760


class ExitRule(StrEnum):
    """When a position whose signal has ended is closed."""

    NEUTRAL = "neutral"  # as soon as the signal is no longer the position's
    OPPOSITE = "opposite"  # at the opposite signal
    FADE = "fade"  # at the opposite signal, or once the forecast is on the other side of the close


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRules:
    """How decisions become fills: `ExecutionOptions` with the venue's defaults filled in."""

    fee: float = DEFAULT_FEE
    slippage_bps: float = 0.0
    position_size: float = 1.0
    exit: ExitRule = ExitRule.NEUTRAL
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


def _option(name: str, help_text: str, default: Any = None, **more: Any) -> Any:
    return field(
        default=default, metadata={"spec": OptionSpec(name=name, help=help_text, default=default, **more)}
    )


def _fraction(name: str, help_text: str, default_text: str = "off", **more: Any) -> Any:
    return _option(name, help_text, default_text=default_text, metavar="FRACTION", **more)


_UP_TO_ONE: dict[str, Any] = {
    "allows": lambda value: 0 < value <= 1,
    "expected": "a number above 0 and at most 1, for example 0.05",
}
_ABOVE_ZERO: dict[str, Any] = {"allows": lambda value: 0 < value < math.inf, "expected": "a number above 0"}
_VARIED = "fractions such as 0.05, or off"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionOptions:
    """The rules as asked for, before a venue's defaults are filled in; None where nothing was given.

    This is the one table of execution options: each field carries its `OptionSpec`.
    """

    venue: str = _option("venue", "Order rules of a venue.", "none", choices=("none", "alpaca"), kind=str)
    fee: float | None = _option(
        "fee",
        "Fraction of the notional on every fill.",
        default_text=f"{DEFAULT_FEE}; at Alpaca {ALPACA_FEE}",
        allows=lambda value: 0 <= value < 1,
        expected="a fraction from 0 to below 1, for example 0.001",
    )
    slippage_bps: float = _option(
        "slippage",
        "Basis points against the trader on every fill.",
        0.0,
        allows=lambda value: 0 <= value < 10_000,
        expected="basis points from 0 to below 10000",
    )
    position_size: float = _option(
        "position-size",
        "Entry money as a fraction of the cash.",
        1.0,
        allows=lambda value: 0 < value <= 1,
        expected="a fraction above 0, at most 1",
    )
    exit: ExitRule = _option(  # noqa: RUF009 - its default is immutable
        "exit",
        "Close when the signal ends, at the opposite signal, or also when the forecast turns.",
        ExitRule.NEUTRAL,
        choices=tuple(map(str, ExitRule)),
        kind=ExitRule,
    )
    long_only: bool = _option("long-only", "Let a short signal close a long and open nothing.", False)
    strict: bool = _option(
        "strict",
        "Enter only if the model has evidence and the expected move exceeds its cost.",
        False,
        negatable=True,
    )
    borrow: float = _option(
        "borrow",
        "Annual rate charged on shorts.",
        0.0,
        metavar="APR",
        allows=lambda value: 0 <= value < math.inf,
        expected="an annual rate of 0 or more",
    )
    stop_loss: float | None = _fraction(
        "stop-loss", "Exit when the close is this far against the entry.", variations=_VARIED, **_UP_TO_ONE
    )
    take_profit: float | None = _fraction(
        "take-profit", "Exit when the close is this far in favour.", variations=_VARIED, **_ABOVE_ZERO
    )
    max_drawdown: float | None = _fraction(
        "max-drawdown",
        "Halt entries this far below the peak equity.",
        f"off; at Alpaca {ALPACA_MAX_DRAWDOWN}",
        **_UP_TO_ONE,
    )
    max_notional: float | None = _option(
        "max-notional", "Largest amount of one entry.", default_text="none", metavar="AMOUNT", **_ABOVE_ZERO
    )

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


EXECUTION_OPTIONS: Mapping[str, OptionSpec] = {
    option.name: option.metadata["spec"] for option in fields(ExecutionOptions)
}
"""Every execution option by the name of its field."""
