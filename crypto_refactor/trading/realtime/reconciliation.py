"""What the account at a broker holds, held against what the ledger says it should."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import SubAccount, book_sell
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import Broker, OrderReport, Position
from crypto_refactor.trading.ledger.order_record import PREFIX
from crypto_refactor.trading.realtime.order_lifecycle import block_reentry
from crypto_refactor.trading.realtime.trader import ExecutionResult

_FEES_APART = 0.01
"""Share of a position by which fees, which Alpaca takes in coins and books late, may move it."""
_SECOND_LOOK_SECONDS = 2.0
_WORTH_A_NOTE = 1.0


def foreign_orders(reports: Iterable[OrderReport], known: set[str]) -> tuple[str, ...]:
    """Return a note for each open order of others.

    Raises
    ------
    BrokerError
        If one is this tool's, but not `known` to this ledger.
    """
    strange = [report for report in reports if report.client_order_id not in known]
    for report in strange:
        if report.client_order_id.startswith(PREFIX):
            raise BrokerError(
                f"Order {report.client_order_id} of this tool is open at the broker, but not in this ledger.",
                expected="one ledger for an account.",
                remedy="use the state folder that sent it, or cancel that order at the broker.",
            )
    return tuple(
        f"order {report.broker_order_id} for {report.ticker} is open at the broker and not this tool's: left alone"
        for report in strange
    )


def confirmed_position(
    broker: Broker, ticker: Ticker, quantity: float, sleep: Callable[[float], None]
) -> Position:
    """Ask for the position; one that is smaller than `quantity` is believed only when it is seen twice.

    Raises
    ------
    BrokerError
        If it cannot be asked for.
    """
    position = broker.position(ticker)
    if position.quantity < quantity * (1 - _FEES_APART):
        sleep(_SECOND_LOOK_SECONDS)
        position = broker.position(ticker)
    return position


def reconcile(
    account: SubAccount,
    position: Position,
    price: float,
    hour: int,
    rules: ExecutionRules,
    *,
    bought_lately: float = 0.0,
) -> tuple[SubAccount, ExecutionResult]:
    """Return the sub-account with no more than what the broker holds, and what that means.

    Parameters
    ----------
    account : SubAccount
        As the ledger has it.
    position : Position
        As the broker has it.
    price : float
        The last close, at which what is gone is booked.
    hour : int
        When that was.
    rules : ExecutionRules
        The execution rules.
    bought_lately : float
        Quantity whose fee, taken in coins, may not have been booked by the broker yet.
    """
    missing = account.quantity - position.quantity
    if missing <= 0:
        return account, ExecutionResult(notes=_foreign_quantity_note(account, position, price, bought_lately))
    if missing <= account.quantity * _FEES_APART or account.side == 0:
        return _reduce(account, position.quantity), ExecutionResult()
    left, fill, trade = book_sell(account, missing, price, hour, "external", replace(rules, fee=0.0))
    note = (
        f"{missing:.9g} {position.ticker.base} were sold or moved outside this tool: "
        "booked at the last close, reason external"
    )
    left = block_reentry(left, trade)._replace(
        quantity=position.quantity
    )  # free of the subtraction's rounding
    return left, ExecutionResult(fills=(fill,), trades=(trade,), notes=(note,))


def _reduce(account: SubAccount, held: float) -> SubAccount:
    """Return `account` with what is `held`: fees were higher than reckoned, or dust is gone."""
    if not held:
        return account._replace(quantity=0.0, average_price=0.0, open_fees=0.0)
    lost = (account.quantity - held) * account.average_price
    return account._replace(quantity=held, open_fees=account.open_fees + lost)


def _foreign_quantity_note(
    account: SubAccount, position: Position, price: float, bought_lately: float
) -> tuple[str, ...]:
    foreign = position.quantity - account.quantity
    if foreign <= max(account.quantity, bought_lately) * _FEES_APART or foreign * price < _WORTH_A_NOTE:
        return ()
    return (
        f"the account holds {foreign:.9g} {position.ticker.base} that this ledger did not open: left alone",
    )
