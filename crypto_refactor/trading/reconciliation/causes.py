"""Why an account did not do what its backtest does: the causes, in the order in which they are swapped in."""

from dataclasses import dataclass
from enum import StrEnum


class Cause(StrEnum):
    """A named cause of a difference, in the order of substitution.

    First what the account knew and decided, then what it did about it, then at which price, fee and size: so each price is
    that of a trade which the account made.  `docs/reconcile.md` explains the order.
    """

    MODEL = "model"
    BARS = "bars"
    MISSED = "missed"
    HALTS = "halts"
    MANUAL = "manual"
    PROTECTIONS = "protections"
    ORDERS = "orders"
    LATE = "late"
    FILLS = "fills"
    FEES = "fees"
    SIZES = "sizes"

    @property
    def text(self) -> str:
        """What it means, in a few words."""
        return _TEXTS[self]


_TEXTS = {
    Cause.MODEL: "another model decided (late, retrained or revised)",
    Cause.BARS: "bars were revised after the decision",
    Cause.MISSED: "no decision was made",
    Cause.HALTS: "entries were halted or blocked",
    Cause.MANUAL: "sold, bought or resumed by hand",
    Cause.PROTECTIONS: "a protection acted between two closes",
    Cause.ORDERS: "orders were filled in part or not at all",
    Cause.LATE: "late decisions filled away from the open",
    Cause.FILLS: "fills away from the open",
    Cause.FEES: "fees charged against fees assumed",
    Cause.SIZES: "orders in cents and whole increments",
}


@dataclass(frozen=True, slots=True)
class CauseHour:
    """One hour in which a cause was at work, with what happened in words; `bps` is that of a fill against the open."""

    cause: Cause
    hour: int
    text: str
    bps: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CauseMoney:
    """What one cause has brought (above 0) or cost (below 0), in the quote currency, and the hours it was at work in."""

    cause: Cause
    money: float
    hours: tuple[CauseHour, ...]
