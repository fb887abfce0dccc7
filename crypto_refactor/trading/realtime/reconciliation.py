"""The broker's positions and orders compared with the ledger's."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import SubAccount, book_sell
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import Broker, OrderReport, Position
from crypto_refactor.trading.ledger.order_record import ID_PREFIX
from crypto_refactor.trading.realtime.executor import ExecutionResult
from crypto_refactor.trading.realtime.order_lifecycle import block_reentry

_FEE_TOLERANCE = 0.01
"""Share of a position by which fees, which Alpaca takes in coins and books late, may move it."""
_CONFIRMATION_SECONDS = 2.0
_MIN_NOTED_VALUE = 1.0


def foreign_orders(reports: Iterable[OrderReport], ledger_ids: set[str]) -> tuple[str, ...]:
    """Return a note for each open order that others have sent.

    Raises
    ------
    BrokerError
        If this tool has sent one that is not among `ledger_ids`.
    """
    foreign = [report for report in reports if report.client_order_id not in ledger_ids]
    for report in foreign:
        if report.client_order_id.startswith(ID_PREFIX):
            raise BrokerError(
                f"Order {report.client_order_id} of this tool is open at the broker, but not in this ledger.",
                expected="one ledger for an account.",
                remedy="use the state folder that sent it, or cancel that order at the broker.",
            )
    return tuple(
        f"order {report.broker_order_id} for {report.ticker} is open at the broker and not this tool's: left alone"
        for report in foreign
    )


def confirmed_position(
    broker: Broker, ticker: Ticker, quantity: float, sleep: Callable[[float], None]
) -> Position:
    """Return the position; one smaller than `quantity` is accepted only after a second request."""
    position = broker.position(ticker)
    if position.quantity < quantity * (1 - _FEE_TOLERANCE):
        sleep(_CONFIRMATION_SECONDS)
        position = broker.position(ticker)
    return position


def reconcile(
    account: SubAccount,
    position: Position,
    price: float,
    hour: int,
    rules: ExecutionRules,
    *,
    recently_bought: float = 0.0,
) -> tuple[SubAccount, ExecutionResult]:
    """Return the sub-account with no more than what the broker holds, and what was booked for it.

    Missing coins are booked as sold at the last close: `price` at `hour`.  `recently_bought` is the quantity whose
    fee, taken in coins, the broker may not have booked yet.
    """
    missing = account.quantity - position.quantity
    if missing <= 0:
        notes = _foreign_quantity_note(account, position, price, recently_bought)
        return account, ExecutionResult(notes=notes)
    if missing <= account.quantity * _FEE_TOLERANCE or account.side == 0:
        return _reduce(account, position.quantity), ExecutionResult()
    reduced, fill, trade = book_sell(account, missing, price, hour, "external", replace(rules, fee=0.0))
    note = (
        f"{missing:.9g} {position.ticker.base} were sold or moved outside this tool: "
        "booked at the last close, reason external"
    )
    # The broker's quantity is free of the subtraction's rounding.
    reduced = block_reentry(reduced, trade)._replace(quantity=position.quantity)
    return reduced, ExecutionResult(fills=(fill,), trades=(trade,), notes=(note,))


def _reduce(account: SubAccount, quantity: float) -> SubAccount:
    """Return `account` with `quantity`, where fees were higher than estimated or dust is gone."""
    if not quantity:
        return account._replace(quantity=0.0, average_price=0.0, open_fees=0.0)
    lost = (account.quantity - quantity) * account.average_price
    return account._replace(quantity=quantity, open_fees=account.open_fees + lost)


def _foreign_quantity_note(
    account: SubAccount, position: Position, price: float, recently_bought: float
) -> tuple[str, ...]:
    foreign = position.quantity - account.quantity
    tolerance = max(account.quantity, recently_bought) * _FEE_TOLERANCE
    if foreign <= tolerance or foreign * price < _MIN_NOTED_VALUE:
        return ()
    return (
        f"the account holds {foreign:.9g} {position.ticker.base} that this ledger did not open: left alone",
    )
