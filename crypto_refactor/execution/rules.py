"""Execution rules: everything that turns a signal and a position into orders, in one frozen value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.venues import (
    ALPACA_FEE,
    ALPACA_MAX_DRAWDOWN,
    VenueRules,
    require_alpaca_rules,
)
from crypto_refactor.market.ticker import Ticker

DEFAULT_FEE = 0.001
HOURS_PER_YEAR = 8760


class ExitRule(StrEnum):
    """When a position whose signal has gone is closed.

    ``neutral``: as soon as the signal is no longer the position's.  ``opposite``: at the opposite signal.
    ``fade``: at the opposite signal, or once the forecast is on the other side of the close.
    """

    NEUTRAL = "neutral"
    OPPOSITE = "opposite"
    FADE = "fade"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionRules:
    """How decisions become fills.

    Attributes
    ----------
    fee : float
        Fraction of the notional, on every fill.
    slippage_bps : float
        Every fill is moved against the trader by this many basis points.
    position_size : float
        Entry money as a fraction of the cash at hand.
    exit : ExitRule
        When a position whose signal has gone is closed.
    long_only : bool
        A short signal closes a long and opens nothing.
    strict : bool
        Enter only where the model's evidence is positive and the expected move exceeds the round trip.
    borrow : float
        Annual rate charged on the notional of a short, per hour held.
    stop_loss, take_profit : float or None
        Fraction of the entry price, checked at each close, acted on at the next open.
    max_drawdown : float or None
        Fraction below the peak equity at which entries are halted for good.
    max_notional : float or None
        Upper bound of the entry money, in the quote currency.
    venue : VenueRules or None
        Order increments and minimums; where given, the fee is taken in what is received.
    """

    fee: float = DEFAULT_FEE
    slippage_bps: float = 0.0
    position_size: float = 1.0
    exit: ExitRule = ExitRule.NEUTRAL
    long_only: bool = False
    strict: bool = False
    borrow: float = 0.0
    stop_loss: float | None = None
    take_profit: float | None = None
    max_drawdown: float | None = None
    max_notional: float | None = None
    venue: VenueRules | None = None

    def __post_init__(self) -> None:
        if self.venue is not None and not self.long_only:
            raise ValueError("a venue that takes its fee in what is received offers no shorts")
        _require("--fee", self.fee, 0 <= self.fee < 1, "a fraction from 0 to below 1, for example 0.001")
        _require(
            "--slippage",
            self.slippage_bps,
            0 <= self.slippage_bps < 10_000,
            "basis points from 0 to below 10000",
        )
        _require(
            "--position-size",
            self.position_size,
            0 < self.position_size <= 1,
            "a fraction above 0, at most 1",
        )
        _require("--borrow", self.borrow, 0 <= self.borrow < math.inf, "an annual rate of 0 or more")
        for name, value, top in (
            ("--stop-loss", self.stop_loss, 1),
            ("--take-profit", self.take_profit, math.inf),
            ("--max-drawdown", self.max_drawdown, 1),
            ("--max-notional", self.max_notional, math.inf),
        ):
            if value is not None:
                expected = "a number above 0" + (" and at most 1, for example 0.05" if top == 1 else "")
                _require(name, value, 0 < value <= top and value < math.inf, expected)

    @property
    def slippage(self) -> float:
        """Slippage as a fraction of the price."""
        return self.slippage_bps * 1e-4

    @property
    def round_trip_cost(self) -> float:
        """What entering and leaving costs, as a fraction of the price."""
        return 2 * (self.fee + self.slippage)


def _require(option: str, value: float, holds: bool, expected: str) -> None:
    if not holds:
        raise UsageError(f"{option} is {value!r}.", expected=f"{expected}.", remedy=f"correct {option}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionOptions:
    """The rules as asked for, before a venue's defaults are filled in.  None: not given."""

    venue: str = "none"
    fee: float | None = None
    slippage_bps: float = 0.0
    position_size: float = 1.0
    exit: ExitRule = ExitRule.NEUTRAL
    long_only: bool = False
    strict: bool = False
    borrow: float = 0.0
    stop_loss: float | None = None
    take_profit: float | None = None
    max_drawdown: float | None = None
    max_notional: float | None = None

    def resolve(self, ticker: Ticker, *, stated: VenueRules | None = None) -> ExecutionRules:
        """Return the rules for `ticker`, with the venue's own defaults where nothing was given.

        `stated` are the order rules as the venue itself states them; by default the dated table's.

        Raises
        ------
        UsageError
            If a value is out of range, or the venue does not trade `ticker`.
        """
        at_alpaca = self.venue == "alpaca"
        fee, drawdown = self.fee, self.max_drawdown
        if fee is None:
            fee = ALPACA_FEE if at_alpaca else DEFAULT_FEE
        if drawdown is None and at_alpaca:
            drawdown = ALPACA_MAX_DRAWDOWN
        return ExecutionRules(
            fee=fee,
            slippage_bps=self.slippage_bps,
            position_size=self.position_size,
            exit=self.exit,
            long_only=self.long_only or at_alpaca,
            strict=self.strict,
            borrow=self.borrow,
            stop_loss=self.stop_loss,
            take_profit=self.take_profit,
            max_drawdown=drawdown,
            max_notional=self.max_notional,
            venue=(stated or require_alpaca_rules(ticker)) if at_alpaca else None,
        )
