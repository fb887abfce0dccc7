"""One bar in the life of a sub-account, in two halves: its open and its close.

The backtest, the demo account and a replay go through these functions bar by bar.
"""

from collections.abc import Sequence
from typing import NamedTuple

from crypto_refactor.execution.decisions import Decision, Exit
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import (
    Fill,
    SubAccount,
    Trade,
    charge_borrow,
    close_position,
    open_position,
    ruin_if_spent,
)

_MAX_PARTS = 1000
"""Two hundred million USD an order at Alpaca."""


class BarOutcome(NamedTuple):
    """A sub-account after half a bar, and what was executed in it."""

    account: SubAccount
    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()


def fill_at_open(
    account: SubAccount,
    pending: Sequence[Decision],
    price: float,
    at: int,
    *,
    adjacent: bool,
    rules: ExecutionRules,
) -> BarOutcome:
    """Execute the decisions of the last real close at the open `price` of a real bar.

    `adjacent` says whether that close was at this very hour; otherwise an entry has lapsed.
    """
    fills: list[Fill] = []
    trades: list[Trade] = []
    for decision in pending:
        fill: Fill | None = None
        if isinstance(decision, Exit):
            # A short whose exit waited for a real open may have been ruined by its borrow meanwhile.
            if account.side:
                account, fill, trade = close_position(account, price, at, decision.reason, rules)
                if trade is not None:
                    trades.append(trade)
        # The exit half of a flip may have been refused by the venue, or have ended in ruin.
        elif adjacent and account.side == 0 and not account.ruined:
            account, fill = open_position(account, decision.side, decision.fraction, price, at, rules)
        if fill is not None:
            fills += split_fill(fill, rules)
    return BarOutcome(account, tuple(fills), tuple(trades))


def split_fill(fill: Fill, rules: ExecutionRules) -> tuple[Fill, ...]:
    """Return the fills of the orders that the venue's largest order splits `fill` into.

    Beyond `_MAX_PARTS` it stays whole: its parts change no amount, and a fortune would have millions of them.
    """
    venue = rules.venue
    if venue is None:
        return (fill,)
    legs = venue.buy_legs(fill.notional) if fill.side > 0 else venue.sale_legs(fill.quantity, fill.price)
    if not 1 < legs <= _MAX_PARTS:
        return (fill,)
    return tuple(
        fill._replace(quantity=part, fee=rules.fee * part * fill.price)
        for part in venue.split(fill.quantity, legs)
    )


def carry_over_exits(pending: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return the decisions that outlive a bar without a real open: exits wait, entries lapse."""
    return tuple(decision for decision in pending if isinstance(decision, Exit))


def settle_at_close(account: SubAccount, close: float, at: int, rules: ExecutionRules) -> BarOutcome:
    """Charge a short one hour's borrow at the bar's close, and end it where it has used up the equity."""
    if account.side >= 0:
        return BarOutcome(account)
    account, fill, trade = ruin_if_spent(charge_borrow(account, close, rules), close, at, rules)
    if fill is None or trade is None:
        return BarOutcome(account)
    return BarOutcome(account, (fill,), (trade,))
