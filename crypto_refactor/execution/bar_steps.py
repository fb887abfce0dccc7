"""One bar in the life of an account, in two halves: what happens at its open, and at its close.

The backtest, the demo account and a replay go through these functions bar by bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from crypto_refactor.execution.decisions import Decision, Exit
from crypto_refactor.execution.rules import Rules
from crypto_refactor.execution.sub_account import (
    Account,
    Fill,
    Trade,
    charge_borrow,
    enter,
    leave,
    ruin_if_spent,
)


class Outcome(NamedTuple):
    """An account after half a bar, and what was executed in it."""

    account: Account
    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()


def at_open(
    account: Account, pending: Sequence[Decision], price: float, at: int, *, adjacent: bool, rules: Rules
) -> Outcome:
    """Execute what was decided before, at the open `price` of a real bar.

    Parameters
    ----------
    account : Account
        Before the bar.
    pending : sequence of Decision
        Decided at the last real close.
    price : float
        The bar's open.
    at : int
        Hour of the open.
    adjacent : bool
        Whether the decision was made at this very hour; an entry that had to wait has lapsed.
    rules : Rules
        The execution rules.
    """
    fills: list[Fill] = []
    trades: list[Trade] = []
    for decision in pending:
        fill: Fill | None = None
        if isinstance(decision, Exit):
            # A short whose exit waited for a real open may have been ruined by its borrow meanwhile.
            if account.side:
                account, fill, trade = leave(account, price, at, decision.reason, rules)
                if trade is not None:
                    trades.append(trade)
        # The exit half of a flip may have been refused by the venue, or have ended in ruin.
        elif adjacent and account.side == 0 and not account.ruined:
            account, fill = enter(account, decision.side, decision.fraction, price, at, rules)
        if fill is not None:
            fills.append(fill)
    return Outcome(account, tuple(fills), tuple(trades))


def waiting(pending: Sequence[Decision]) -> tuple[Decision, ...]:
    """Return what is left of `pending` after a bar without a real open: exits wait, entries lapse."""
    return tuple(decision for decision in pending if isinstance(decision, Exit))


def at_close(account: Account, close: float, at: int, rules: Rules) -> Outcome:
    """Charge a short one hour's borrow, and end it where it has used up the equity.

    Parameters
    ----------
    account : Account
        After the bar's open.
    close : float
        Of the bar; the carried one of a synthetic bar.
    at : int
        Hour of the close.
    rules : Rules
        The execution rules.
    """
    if account.side >= 0:
        return Outcome(account)
    account, fill, trade = ruin_if_spent(charge_borrow(account, close, rules), close, at, rules)
    if fill is None or trade is None:
        return Outcome(account)
    return Outcome(account, (fill,), (trade,))
