"""What happened in the account since the last pass: orders of other ledgers, and holdings nobody manages."""

import logging
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import ID_PREFIX, Broker, OrderList, OrderReport
from crypto_refactor.trading.ledger import Ledger, Review

_log = logging.getLogger(__name__)

FIRST_REVIEW = timedelta(hours=48)
"""How far back a ledger looks that has not traded this account before."""
OVERLAP = timedelta(minutes=10)
"""Orders that the broker lists late are seen by the next review."""
_MIN_VALUE = 1.0
_TOLERANCE = 0.01
"""Share of a holding by which fees, which the broker takes in coins, may move it."""


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
    orders = broker.orders_since(since)
    strangers = tuple(unrecorded(orders.orders, ledger, account))
    if strangers:
        raise _second_ledger_error(strangers, ledger)
    if review is None or not review.accepted or now - review.through > OVERLAP:
        note_review(ledger, account, now)
    return orders


def review_start(review: Review | None, now: datetime) -> datetime:
    """Return from when on orders are looked at; what a person has accepted is not looked at again."""
    if review is None:
        return now - FIRST_REVIEW
    return review.through if review.accepted else review.through - OVERLAP


def note_review(ledger: Ledger, account: str, now: datetime, ticker: Ticker | None = None) -> None:
    """Record a review; where the ledger cannot be written, the next one only reaches further back."""
    try:
        ledger.record_review(account, now, ticker)
    except BrokerError as error:
        _log.warning("%s", error.what)


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
    broker: Broker, ledger: Ledger, account: str, managed: Collection[Ticker]
) -> dict[Ticker, str]:
    """Return each holding of the ledger, or of the account, that a run over `managed` does not manage, in words."""
    notes = unmanaged_in_ledger(ledger, account, managed)
    held = {ticker: state.account.quantity for ticker, state in ledger.states(account).items()}
    for ticker, position in broker.positions().items():
        foreign = position.quantity - held.get(ticker, 0.0)
        value = foreign * (position.average_price or 0.0)
        if ticker in notes or foreign <= position.quantity * _TOLERANCE or value < _MIN_VALUE:
            continue
        notes[ticker] = (
            f"the account holds {foreign:.9g} {ticker.base} that this ledger did not open: left alone "
            f"(`crypto-refactor adopt --ticker {ticker}` puts them under its care)"
        )
    return notes


def unmanaged_in_ledger(ledger: Ledger, account: str, managed: Collection[Ticker]) -> dict[Ticker, str]:
    """Return each holding of the ledger that a run over `managed` does not manage, in words."""
    return {
        ticker: f"{state.account.quantity:.9g} {ticker.base} of this ledger are held and not managed by this run: "
        "no stop, no exit"
        for ticker, state in ledger.states(account).items()
        if state.account.side and ticker not in managed
    }
