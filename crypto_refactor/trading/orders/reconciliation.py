"""The broker's position in one ticker compared with the ledger's: a holding changes by evidence only."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade, book_sell
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import price_text
from crypto_refactor.trading.brokers import Broker, OrderReport, Position
from crypto_refactor.trading.ledger import Ledger, LedgerEvent
from crypto_refactor.trading.orders.account_review import (
    EXTERNAL,
    FEE_TOLERANCE,
    FIRST_REVIEW,
    OVERLAP,
    note_review,
)
from crypto_refactor.trading.orders.checks import is_plausible_sale
from crypto_refactor.trading.orders.executor import ExecutionResult
from crypto_refactor.trading.orders.lifecycle import block_reentry

_log = logging.getLogger(__name__)

_ROUNDING = 1e-6
"""Share of a purchase by which the broker's rounding, order by order, may move what a part of a sale has left."""
_CONFIRMATION_SECONDS = 2.0


class MissingCoinsError(BrokerError):
    """The account holds less than the ledger, and nothing shows why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A sale in the account that this ledger has not booked; `quantity` is what is left to book of it."""

    broker_order_id: str
    quantity: float
    booked: float  # of it, before
    price: float


def foreign_order_notes(reports: Iterable[OrderReport], ledger_ids: frozenset[str]) -> tuple[str, ...]:
    """Return a note for each open order that others have sent."""
    return tuple(
        f"order {report.broker_order_id} for {report.ticker} is open at the broker and not this tool's: left alone"
        for report in reports
        if report.client_order_id not in ledger_ids
    )


def confirmed_position(
    broker: Broker, ticker: Ticker, quantity: float, sleep: Callable[[float], None]
) -> Position:
    """Return the position; one smaller than `quantity` is accepted only after a second request."""
    position = broker.position(ticker)
    if position.quantity < quantity * (1 - FEE_TOLERANCE):
        sleep(_CONFIRMATION_SECONDS)
        position = broker.position(ticker)
    return position


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionCheck:
    """Compares the position in `ticker` with the sub-account, and books what the account's own records explain.

    A sale far from `close`, the latest one, explains nothing.
    """

    broker: Broker
    ledger: Ledger
    account: str
    ticker: Ticker
    rules: ExecutionRules
    close: float | None = None

    def sales_of(self, reports: Iterable[OrderReport]) -> tuple[Sale, ...]:
        """Return what is left to book of some orders."""
        return self._unbooked(
            {
                report.broker_order_id: (report.filled_quantity, report.average_price)
                for report in reports
                if report.average_price is not None
            }
        )

    def book(self, held: SubAccount, sales: Sequence[Sale], hour: int) -> ExecutionResult:
        """Book sales of this ledger's own coins, whatever else the account holds."""
        return self._book(held, sales, held.quantity, hour)[0]

    def reconcile(self, held: SubAccount, position: Position, hour: int, now: datetime) -> ExecutionResult:
        """Make the sub-account agree with `position` as far as there is evidence, and record the review.

        Raises
        ------
        MissingCoinsError
            If coins are missing without a sale that explains it; the ledger is unchanged then, but for sales that
            explain a part.
        BrokerError
            If the broker gives no usable answer.
        """
        missing = held.quantity - position.quantity
        if missing <= 0:
            self._note_review(now)
            return ExecutionResult()
        if held.side == 0 or position.quantity >= self._least_after_fees(held):
            self._save_reduced(held, position.quantity)
            self._note_review(now)
            return ExecutionResult()
        result, held = self._book(held, self._sales(missing, now), missing, hour)
        unexplained = held.quantity - position.quantity
        if (
            held.side
            and unexplained > FEE_TOLERANCE * missing
            and position.quantity < self._least_after_fees(held)
        ):
            raise MissingCoinsError(
                f"The account holds {position.quantity:.9g} {self.ticker.base} and this ledger "
                f"{held.quantity:.9g}; no sale among its orders and activities explains the difference.",
                expected="the position to change by orders only.",
                remedy="look at the account at the broker. Nothing was booked, and this ticker is not traded until the "
                "coins are back or `crypto-refactor reconcile --accept` takes the position as it is.",
            )
        if held.quantity > position.quantity:
            self._save_reduced(held, position.quantity)
        self._note_review(now)
        return result

    def accept(
        self, held: SubAccount, position: Position, price: float, hour: int, now: datetime
    ) -> ExecutionResult:
        """Book what is missing as sold at `price`, because a person says so."""
        missing = held.quantity - position.quantity
        result = ExecutionResult()
        if missing > 0 and held.side:
            sale = Sale(broker_order_id="", quantity=missing, booked=0.0, price=price)
            result, held = self._book(held, (sale,), missing, hour)
        if held.quantity > position.quantity:
            self._save_reduced(held, position.quantity)
        self.ledger.record_review(self.account, now, self.ticker, accepted=True)
        return result

    def _least_after_fees(self, held: SubAccount) -> float:
        """Return the least that fees and rounding may have left of what was bought since the position was opened."""
        fills = [fill for fill in self.ledger.fills(self.account, self.ticker) if fill.at >= held.entry_hour]
        bought = sum(fill.quantity for fill in fills if fill.side > 0)
        left = sum(fill.side * fill.quantity for fill in fills)
        return min(held.quantity - bought * _ROUNDING, left * (1 - self.rules.fee - FEE_TOLERANCE))

    def _sales(self, missing: float, now: datetime) -> tuple[Sale, ...]:
        """Return the sales since the position last agreed that this ledger has neither sent nor booked."""
        review = self.ledger.review(self.account, self.ticker)
        since = (now - FIRST_REVIEW) if review is None else review.through - OVERLAP
        known = self.ledger.order_ids(self.account)
        # Further back than executions, so that no execution of an own order looks like another's.
        orders = self.broker.orders_since(since - OVERLAP).orders
        totals = {
            order.broker_order_id: (order.filled_quantity, order.average_price)
            for order in orders
            if order.client_order_id not in known
            and (order.ticker, order.side) == (self.ticker, -1)
            and order.average_price is not None
        }
        sales = self._unbooked(totals)
        if sum(sale.quantity for sale in sales) >= missing * (1 - FEE_TOLERANCE):
            return sales
        listed = {order.broker_order_id for order in orders}
        for execution in self.broker.executions_since(since):
            name = execution.broker_order_id
            if (execution.ticker, execution.side) == (self.ticker, -1) and name not in listed:
                before, _ = totals.get(name, (0.0, None))
                totals[name] = before + execution.quantity, execution.price
        return self._unbooked(totals)

    def _unbooked(self, totals: dict[str, tuple[float, float]]) -> tuple[Sale, ...]:
        booked = self.ledger.booked_external_sales(self.account)
        return tuple(
            Sale(
                broker_order_id=name,
                quantity=quantity - booked.get(name, 0.0),
                booked=booked.get(name, 0.0),
                price=price,
            )
            for name, (quantity, price) in totals.items()
            if quantity > booked.get(name, 0.0) and is_plausible_sale(price, self.close)
        )

    def _book(
        self, held: SubAccount, sales: Sequence[Sale], missing: float, hour: int
    ) -> tuple[ExecutionResult, SubAccount]:
        fills: list[Fill] = []
        trades: list[Trade] = []
        notes: list[str] = []
        with self.ledger.transaction(self.account, self.ticker) as transaction:
            for sale in sales:
                quantity = min(sale.quantity, missing, held.quantity)
                if quantity <= 0 or held.side == 0:
                    break
                # Coins that a person says are gone brought no money to charge a fee on.
                rules = self.rules if sale.broker_order_id else replace(self.rules, fee=0.0)
                held, fill, trade = book_sell(held, quantity, sale.price, hour, EXTERNAL, rules)
                held = block_reentry(held, trade)
                missing -= quantity
                fills.append(fill)
                trades.append(trade)
                notes.append(
                    f"{quantity:.9g} {self.ticker.base} were sold outside this ledger at {price_text(sale.price)}: booked, "
                    f"reason {EXTERNAL}"
                )
                if sale.broker_order_id:
                    transaction.book_external_sale(sale.broker_order_id, sale.booked + quantity)
            transaction.record_fills(fills, trades)
            transaction.save_state(replace(self._state(), account=held))
        return ExecutionResult(fills=tuple(fills), trades=tuple(trades), notes=tuple(notes)), held

    def _note_review(self, now: datetime) -> None:
        note_review(self.ledger, self.account, now, self.ticker)

    def _state(self) -> SubAccountState:
        state = self.ledger.state(self.account, self.ticker)
        assert state is not None, "only an open sub-account holds coins"
        return state

    def _save_reduced(self, held: SubAccount, quantity: float) -> None:
        """Leave `quantity` in the sub-account: the rest went without a sale, as fees or as dust."""
        try:
            with self.ledger.transaction(self.account, self.ticker) as transaction:
                transaction.record_event(LedgerEvent.COINS_LESS, held.quantity - quantity)
                transaction.save_state(replace(self._state(), account=reduced(held, quantity)))
        except BrokerError as error:  # the next pass does it again; an exit does not wait for it
            _log.info("%s", error.what)


def reduced(account: SubAccount, quantity: float) -> SubAccount:
    """Return `account` with `quantity`, where fees were higher than estimated or dust is gone."""
    if not quantity:
        return account._replace(side=0, quantity=0.0, average_price=0.0, open_fees=0.0)
    lost = (account.quantity - quantity) * account.average_price
    return account._replace(quantity=quantity, open_fees=account.open_fees + lost)
