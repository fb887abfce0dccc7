"""The broker interface.

Quantities are in the base currency, money in the quote currency.  A broker never guesses: what it could not
find out is an error, never "flat" and never "no such order".
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.venues import VenueRules
from crypto_refactor.market.ticker import Ticker

MAX_CLIENT_ORDER_ID = 48
ID_PREFIX = "cr-"
"""Begins every client order id of this tool, which tells its orders from those of others."""


class OrderRefusedError(BrokerError):
    """The broker refused this order: nothing was, or will be, executed."""


class UnknownOutcomeError(BrokerError):
    """The order may or may not have been accepted; only a look-up by its id shows which."""


class UnreachableError(BrokerError):
    """The broker gave no usable answer; nothing is known."""


class NotTradedError(BrokerError):
    """The broker does not trade this ticker."""


class OrderState(StrEnum):
    """The state of an order at the broker.  All but `OPEN` are final."""

    OPEN = "open"
    FILLED = "filled"
    PARTLY_FILLED = "partly_filled"
    """Ended with a part executed; the rest is decided anew."""
    UNFILLED = "unfilled"
    """Ended (cancelled, expired, rejected) with nothing executed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRequest:
    """A market order, immediate or cancel."""

    client_order_id: str  # a broker accepts each only once
    ticker: Ticker
    side: int  # 1 buy, -1 sell
    notional: float | None = None  # money to spend; buys only
    quantity: float | None = None  # amount to sell; sales only

    def __post_init__(self) -> None:
        if not 0 < len(self.client_order_id) <= MAX_CLIENT_ORDER_ID:
            raise ValueError(f"{self.client_order_id!r} does not have 1 to {MAX_CLIENT_ORDER_ID} characters")
        amount = self.notional if self.side == 1 else self.quantity
        other = self.quantity if self.side == 1 else self.notional
        if self.side not in {1, -1} or other is not None or amount is None or not 0 < amount < float("inf"):
            raise ValueError("a buy names a notional above 0, a sale a quantity above 0, and nothing else")


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReport:
    """One order as the broker reports it."""

    client_order_id: str
    broker_order_id: str
    ticker: Ticker
    side: int  # 1 buy, -1 sell
    state: OrderState
    filled_quantity: float  # executed so far, before any fee taken in the base currency
    average_price: float | None  # of the executions; None where there are none
    notional: float | None  # money it was to spend, where it names money
    quantity: float | None  # amount it was to trade, where it names an amount
    created_at: str  # ISO-8601 UTC
    at: str  # ISO-8601 UTC of the last change
    detail: str  # the broker's own word for the state


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderList:
    """Orders of the account, and a note for each of another tool that could not be read."""

    orders: tuple[OrderReport, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution of the account, of whichever order."""

    broker_order_id: str
    ticker: Ticker
    side: int  # 1 bought, -1 sold
    quantity: float
    price: float
    at: str  # ISO-8601 UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeCharge:
    """A fee that the account was charged in one ticker: in coins after purchases, in money after sales."""

    ticker: Ticker
    coins: float
    money: float
    at: str  # ISO-8601 UTC; the end of its day where the broker states the day alone


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountSnapshot:
    """The account's figures."""

    account_id: str
    buying_power: float  # money crypto can be bought with
    equity: float  # of the whole account, including what this tool does not trade
    blocked: str | None  # why it accepts no orders; None where it does


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The account's position in one ticker."""

    ticker: Ticker
    quantity: float
    available: float  # the part of it that can be sold now
    average_price: float | None  # of the entries


class Broker(Protocol):
    """Accepts orders.  Every method raises `UnreachableError` if there is no usable answer in bounded time."""

    @property
    def clock_skew_seconds(self) -> float | None:
        """How far the local clock was ahead of the broker's at the last answer; None where that had no date."""
        ...

    def account(self) -> AccountSnapshot:
        """Return the account's figures."""
        ...

    def venue_rules(self, ticker: Ticker) -> VenueRules:
        """Return the order rules of `ticker`; `NotTradedError` where it is not tradable."""
        ...

    def position(self, ticker: Ticker) -> Position:
        """Return the position in `ticker`."""
        ...

    def positions(self) -> dict[Ticker, Position]:
        """Return every crypto position of the account."""
        ...

    def open_orders(self) -> OrderList:
        """Return every open order."""
        ...

    def orders_since(self, instant: datetime) -> OrderList:
        """Return every order created after `instant`, open or not."""
        ...

    def executions_since(self, instant: datetime) -> tuple[Execution, ...]:
        """Return what was executed after `instant`."""
        ...

    def fees_since(self, instant: datetime) -> tuple[FeeCharge, ...]:
        """Return the fees that were charged after `instant`."""
        ...

    def order(self, client_order_id: str) -> OrderReport | None:
        """Return the order with this id; None only where the broker says that there is none."""
        ...

    def submit(self, request: OrderRequest) -> OrderReport:
        """Send an order, once.

        Raises
        ------
        OrderRefusedError
            If the broker refused it.
        UnknownOutcomeError
            If it may have been accepted.
        """
        ...

    def cancel(self, report: OrderReport) -> None:
        """Request the cancellation of an open order; it may fill first."""
        ...
