"""What the ledger keeps of a sub-account's life beside its decisions: settings, bars as they were, and events."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.execution.sub_account import Fill


class LedgerEvent(StrEnum):
    """What changes a sub-account and is neither a bar nor a fill; `amount` is 0 unless stated."""

    COINS_LESS = "coins_less"
    """Coins that went without a sale: fees above those assumed, or dust; the amount is theirs."""
    RESUMED = "resumed"
    """A person has lifted the drawdown halt; the amount is the new peak."""
    CLOSE_ORDERED = "close_ordered"
    """A person has replaced what was pending by an exit at the next open."""
    HALTED_BETWEEN = "halted_between"
    """The drawdown has halted entries at a price between two closes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One event; it happened after the close `after` and after `fills` fills of the sub-account."""

    after: int
    fills: int
    kind: str
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsRow:
    """What a sub-account was traded with from the close `bar` on.

    `about` is the account's (see `TradingSession.snapshot`), `rules` are the execution rules, `before` is the state at that
    close before the decision.
    """

    bar: int
    about: dict[str, Any]
    rules: dict[str, Any]
    before: SubAccountState


@dataclass(frozen=True, slots=True)
class BookedFill:
    """A fill, and the close after which it was booked."""

    fill: Fill
    after: int
