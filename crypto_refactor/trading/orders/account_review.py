"""What happened in the account since the last pass: orders of other ledgers, and holdings nobody manages."""

import logging
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import ID_PREFIX, Broker, OrderList, OrderReport, Position
from crypto_refactor.trading.ledger import Ledger, OrderRecord, OrderStatus, Review

_log = logging.getLogger(__name__)

FIRST_REVIEW = timedelta(hours=48)
"""How far back a ledger looks that has not traded this account before."""
OVERLAP = timedelta(minutes=10)
"""Orders that the broker lists late are seen by the next review."""
EXTERNAL, ADOPTED = "external", "adopted"
"""Reasons of an exit that was made outside this ledger, and of coins that were taken into it."""
_DOUBTFUL = timedelta(hours=24)
"""How long an order without an execution is looked for in the list of orders: one answer about it may be wrong."""
MIN_VALUE = 1.0
"""A difference of less, in the quote currency, is not worth a word."""
FEE_TOLERANCE = 0.01
"""Share of a purchase by which fees, which Alpaca takes in coins and books late, may move the position."""
_FEE_BOOKING_HOURS = 48
"""Alpaca books the coins it takes as a fee at the end of the day."""


class SecondLedgerError(BrokerError):
    """Another ledger of this tool trades the account."""


def review_orders(broker: Broker, ledger: Ledger, account: str, now: datetime) -> OrderList:
    """Return the account's orders since the last review, and record this one.

    Raises
    ------
    SecondLedgerError
        If another ledger of this tool has sent one of them, or this one has lost the record of a purchase.
    BrokerError
        If the broker gives no usable answer.
    """
    review = ledger.review(account)
    since = review_start(review, now)
    orders = broker.orders_since(min(since, _first_doubtful(ledger, account, now) or since))
    recent = (order for order in orders.orders if datetime.fromisoformat(order.created_at) > since)
    strangers = tuple(unrecorded(recent, ledger, account))
    if strangers:
        raise _second_ledger_error(strangers, ledger)
    for report in orders.orders:
        _reopen(report, ledger, account)
    if review is None or not review.accepted or now - review.through > OVERLAP:
        note_review(ledger, account, now)
    return orders


def review_start(review: Review | None, now: datetime) -> datetime:
    """Return from when on orders are looked at; what a person has accepted is not looked at again."""
    if review is None:
        return now - FIRST_REVIEW
    return review.through if review.accepted else review.through - OVERLAP


def _first_doubtful(ledger: Ledger, account: str, now: datetime) -> datetime | None:
    """Return from when on the orders of the last day are to be listed of which no execution is known."""
    sent = [
        datetime.fromisoformat(order.decided_at or order.sent_at)
        for ticker in ledger.states(account)
        for order in ledger.orders(account, ticker)
        if not order.filled_quantity
    ]
    doubtful = [instant for instant in sent if now - instant < _DOUBTFUL]
    return min(doubtful) - OVERLAP if doubtful else None


def _reopen(report: OrderReport, ledger: Ledger, account: str) -> None:
    """Let an order be looked up again that ended without an execution in the ledger, and has one at the broker."""
    if not (report.filled_quantity and report.client_order_id.startswith(ID_PREFIX)):
        return
    order = next(
        (
            order
            for order in ledger.orders(account, report.ticker)
            if order.client_order_id == report.client_order_id
        ),
        None,
    )
    if order is None or order.filled_quantity or order.stage is OrderStatus.UNSETTLED:
        return
    if _explained_otherwise(order, ledger, account):
        return
    _log.warning("Order %s was executed after all: it is looked up again.", order.client_order_id)
    try:
        with ledger.transaction(account, order.ticker) as transaction:
            transaction.update_order(replace(order, stage=OrderStatus.UNSETTLED, detail=""))
    except BrokerError as error:  # the next review does it again
        _log.info("%s", error.what)


def _explained_otherwise(order: OrderRecord, ledger: Ledger, account: str) -> bool:
    """Whether its coins may have been booked since as what a person or the position said."""
    reason = ADOPTED if order.is_entry else EXTERNAL
    fills = ledger.fills(account, order.ticker)
    return any(fill.at >= order.bar and fill.reason == reason for fill in fills)


def note_review(ledger: Ledger, account: str, now: datetime, ticker: Ticker | None = None) -> None:
    """Record a review; where the ledger cannot be written, the next one only reaches further back."""
    try:
        ledger.record_review(account, now, ticker)
    except BrokerError as error:
        _log.info("%s", error.what)


def unrecorded(orders: Iterable[OrderReport], ledger: Ledger, account: str) -> Iterable[OrderReport]:
    """Return the orders of this tool that this ledger does not explain.

    A sale under this ledger's own ids is explained: it was sent while nothing could be recorded.
    """
    known = ledger.order_ids(account)
    suffix = f"-{ledger.order_suffix(account)}"
    for order in orders:
        name = order.client_order_id
        if not name.startswith(ID_PREFIX) or name in known:
            continue
        if order.side > 0 or not name.endswith(suffix):
            yield order


def unrecorded_sales(
    reports: Iterable[OrderReport], ledger: Ledger, account: str, ticker: Ticker
) -> tuple[OrderReport, ...]:
    """Return the sales of `ticker` that this ledger has sent while it could not be written."""
    known = ledger.order_ids(account)
    suffix = f"-{ledger.order_suffix(account)}"
    return tuple(
        report
        for report in reports
        if (report.ticker, report.side) == (ticker, -1)
        and report.client_order_id.startswith(ID_PREFIX)
        and report.client_order_id.endswith(suffix)
        and report.client_order_id not in known
    )


def _second_ledger_error(orders: Collection[OrderReport], ledger: Ledger) -> SecondLedgerError:
    names = ", ".join(order.client_order_id for order in list(orders)[:3])
    return SecondLedgerError(
        f"The account has {len(orders)} orders of this tool that this ledger did not send: {names}"
        f"{', ...' if len(orders) > 3 else ''}.",
        expected=f"one ledger for an account; this one is {ledger.path}.",
        remedy="stop the other process and trade from one state folder only; once that is so, "
        "`crypto-refactor reconcile --accept` lets this ledger trade again. Nothing was sent.",
    )


def unmanaged_holdings(
    broker: Broker, ledger: Ledger, account: str, managed: Collection[Ticker], now: datetime
) -> dict[Ticker, str]:
    """Return each holding of the ledger, or of the account, that a run over `managed` does not manage, in words."""
    notes = unmanaged_in_ledger(ledger, account, managed)
    for ticker, position in broker.positions().items():
        note = foreign_note(ledger, account, position, position.average_price, floor_hour(now))
        if note is not None and ticker not in notes:
            notes[ticker] = f"{note} (`crypto-refactor adopt --ticker {ticker}` puts them under its care)"
    return notes


def foreign_note(
    ledger: Ledger, account: str, position: Position, price: float | None, hour: int
) -> str | None:
    """Return a note where the account holds more than the ledger; fees that are booked late, and cents, aside."""
    ticker = position.ticker
    state = ledger.state(account, ticker)
    held = 0.0 if state is None else state.account.quantity
    bought = sum(
        fill.quantity
        for fill in ledger.fills(account, ticker)
        if fill.side > 0 and fill.at > hour - _FEE_BOOKING_HOURS
    )
    foreign = position.quantity - held
    # Coins without a price, such as a gift, are worth a word.
    if foreign <= max(held, bought) * FEE_TOLERANCE or (price and foreign * price < MIN_VALUE):
        return None
    return f"the account holds {foreign:.9g} {ticker.base} that this ledger did not open: left alone"


def unmanaged_in_ledger(ledger: Ledger, account: str, managed: Collection[Ticker]) -> dict[Ticker, str]:
    """Return each holding of the ledger that a run over `managed` does not manage, in words."""
    return {
        ticker: f"{held.quantity:.9g} {ticker.base} of this ledger are held and not managed by this run: "
        "no stop, no exit"
        for ticker, held in ledger.positions(account).items()
        if ticker not in managed
    }
