"""Execution at a broker: intents first, orders second, and only what the ledger itself opened."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.decisions import Decision, Enter
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import Broker, OrderState, Position
from crypto_refactor.trading.ledger import (
    Ledger,
    LedgerTransaction,
    OrderRecord,
    OrderStatus,
    client_order_id,
)
from crypto_refactor.trading.orders.account_review import foreign_note, unrecorded_sales
from crypto_refactor.trading.orders.checks import DEFAULT_MAX_DEVIATION, CurrentPrice
from crypto_refactor.trading.orders.executor import ExecutionResult, OrderPlan
from crypto_refactor.trading.orders.lifecycle import CLOSED_BY_HAND, OrderLifecycle
from crypto_refactor.trading.orders.preflight import NOT_LOOKED_AT, Preflight
from crypto_refactor.trading.orders.reconciliation import (
    PositionCheck,
    confirmed_position,
    foreign_order_notes,
)
from crypto_refactor.trading.orders.sizing import Intents, Sale, cents, purchase

_log = logging.getLogger(__name__)

_EXIT_RETRY_WAITS = (5.0, 15.0, 45.0)
_MAX_EXIT_ORDERS = 12
"""Orders that one bar's exit may take, all legs and retries counted."""


@dataclass(slots=True)
class BrokerExecutor:
    """Executes the orders of `account` at a broker, in a way that survives a kill at any point.

    An intent is committed together with the decision, before anything is sent; its outcome is committed
    together with the sub-account it changes.  `state` is set before each pass.
    """

    broker: Broker
    ledger: Ledger
    account: str
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    current_price: CurrentPrice
    max_deviation: float = DEFAULT_MAX_DEVIATION
    state: Preflight = NOT_LOOKED_AT
    _positions: dict[Ticker, Position] = field(default_factory=dict, init=False)
    _sold_unrecorded: dict[Ticker, float] = field(default_factory=dict, init=False)

    @property
    def _orders(self) -> OrderLifecycle:
        return OrderLifecycle(
            self.broker,
            self.ledger,
            self.account,
            clock=self.clock,
            sleep=self.sleep,
            current_price=self.current_price,
            max_deviation=self.max_deviation,
            listed=frozenset(report.client_order_id for report in self.state.recent),
        )

    def recover(
        self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Resolve unsettled orders, then reconcile the ledger with the broker's position.

        Raises
        ------
        BrokerError
            If the outcome of an order or the position cannot be found out, or an open order of this tool is not
            in this ledger: nothing is traded then.
        """
        reports = (report for report in self.state.open_orders if report.ticker == ticker)
        result = ExecutionResult(notes=foreign_order_notes(reports, self.ledger.order_ids(self.account)))
        for order in self.ledger.orders(self.account, ticker, unsettled=True):
            result += self._resolve(order, hour, rules, entries=entries)
        check = PositionCheck(
            broker=self.broker,
            ledger=self.ledger,
            account=self.account,
            ticker=ticker,
            rules=rules,
            close=price,
        )
        result += self._book_unrecorded(check, hour)
        state = self.ledger.state(self.account, ticker)
        account = state.account if state is not None else SubAccount.open(0.0)
        position = confirmed_position(self.broker, ticker, account.quantity, self.sleep)
        self._positions[ticker] = position
        if result.fills:
            # Positions follow orders with a delay, so that what has just been filled may seem to be missing.
            return result + self._retry_exits(ticker, hour, price, rules)
        if state is not None:
            result += check.reconcile(account, position, hour, self.clock())
        return result + self._retry_exits(ticker, hour, price, rules)

    def _book_unrecorded(self, check: PositionCheck, hour: int) -> ExecutionResult:
        """Book what was sold while the ledger could not be written, or remember it while it still cannot."""
        listed = unrecorded_sales(self.state.recent, self.ledger, self.account, check.ticker)
        reports = [
            (self.broker.order(report.client_order_id) or report)
            if report.state is OrderState.OPEN
            else report
            for report in listed
        ]
        # What is open may still be executed: these coins are as good as sold.
        self._sold_unrecorded[check.ticker] = sum(
            (report.quantity or 0.0) - report.filled_quantity
            for report in reports
            if report.state is OrderState.OPEN
        )
        state, sales = self.ledger.state(self.account, check.ticker), check.sales_of(reports)
        if state is None or not state.account.side or not sales:
            return ExecutionResult()
        try:
            return check.book(state.account, sales, hour)
        except BrokerError as error:
            _log.info("%s", error.what)
            self._sold_unrecorded[check.ticker] += sum(sale.quantity for sale in sales)
            return ExecutionResult()

    def execute(self, plan: OrderPlan) -> ExecutionResult:
        """Commit the decision with its intents, then send them."""
        orders: list[OrderRecord] = []
        notes: list[str] = []
        for decision in plan.decisions:
            legs = self._legs(plan, decision)
            if isinstance(legs, str):
                notes.append(legs)
            else:
                orders += legs
        result = ExecutionResult(notes=tuple(notes))
        result += self._send(plan.ticker, orders, plan.rules, plan.record)
        return result + self._retry_exits(plan.ticker, plan.hour, plan.close, plan.rules)

    def _send(
        self,
        ticker: Ticker,
        orders: Sequence[OrderRecord],
        rules: ExecutionRules,
        record: Callable[[LedgerTransaction], None] = lambda _: None,
    ) -> ExecutionResult:
        """Commit the intents, together with what `record` writes, then send them."""
        try:
            with self.ledger.transaction(self.account, ticker) as writer:
                record(writer)
                for order in orders:
                    writer.add_intent(order)
        except BrokerError as error:
            self._exit_unrecorded(orders, error)
            raise
        result = ExecutionResult()
        for order in orders:
            result += self._orders.submit(order, rules)
        return result

    def _exit_unrecorded(self, orders: Sequence[OrderRecord], error: BrokerError) -> None:
        """Send the exits among `orders` although the ledger cannot be written; nothing else may follow.

        Their ids end like those of the ledger's other orders, which no other ledger's do: once it can be written
        again they are booked, and until then their coins are not sold again.

        Raises
        ------
        BrokerError
            If an exit was sent: it says so beside `error`.
        """
        exits = [order for order in orders if not order.is_entry]
        names = self._unrecorded_names(exits, error)
        for order, name in zip(exits, names, strict=True):
            self.broker.submit(replace(order, client_order_id=name).request())
        if exits:
            raise BrokerError(
                f"{error.what} Exit {', '.join(names)} was sent all the same, and is booked once the ledger can be "
                "written.",
                expected=error.expected,
                remedy=error.remedy,
            ) from error

    def _unrecorded_names(self, exits: Sequence[OrderRecord], error: BrokerError) -> list[str]:
        """Return an id for each exit that is not recorded, which neither another one nor any other leg has.

        Raises
        ------
        BrokerError
            The same `error`, if an earlier one is known to the broker and not in its list: it would be sold twice.
        """
        listed = {report.client_order_id for report in self.state.recent}
        suffix = self.ledger.order_suffix(self.account)
        names: list[str] = []
        for number in range(1, _MAX_EXIT_ORDERS + 1):
            if len(names) == len(exits):
                return names
            name = client_order_id(exits[0].ticker, exits[0].bar, f"direct-{number}", suffix)
            if names or self.broker.order(name) is None:
                names.append(name)
            elif name not in listed:
                break
        if len(names) < len(exits):
            raise error
        return names

    def close(self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules) -> ExecutionResult:
        """Sell the ledger's position in `ticker`, as the next of its ``close`` orders."""
        result = self.recover(ticker, hour, price, rules, entries=False)
        if not result.fills:  # positions follow orders with a delay
            note = foreign_note(self.ledger, self.account, self._positions[ticker], price, hour)
            result += ExecutionResult(notes=() if note is None else (note,))
        state = self.ledger.state(self.account, ticker)
        if state is None or state.account.side == 0:
            return result
        sale = Sale(ticker, hour, "close", CLOSED_BY_HAND, price, rules)
        return result + self._send_sale(sale, state.account)

    def protect(
        self, ticker: Ticker, hour: int, price: float, reason: str, rules: ExecutionRules
    ) -> ExecutionResult:
        """Sell the whole position for `reason`, a protection that `price` has triggered."""
        result = self.recover(ticker, hour, price, rules, entries=False)
        state = self.ledger.state(self.account, ticker)
        if state is None or state.account.side == 0:
            return result
        result += self._send_sale(Sale(ticker, hour, "exit", reason, price, rules), state.account)
        return result + self._retry_exits(ticker, hour, price, rules)

    def _send_sale(self, sale: Sale, account: SubAccount) -> ExecutionResult:
        orders = self._sale_legs(sale, account)
        if isinstance(orders, str):
            return ExecutionResult(notes=(orders,))
        return self._send(sale.ticker, orders, sale.rules)

    def _retry_exits(self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules) -> ExecutionResult:
        """Sell what an exit of this bar has left, with growing waits, while its hour lasts."""
        result = ExecutionResult()
        for wait in _EXIT_RETRY_WAITS:
            exits = [
                order
                for order in self.ledger.orders(self.account, ticker)
                if order.bar == hour and order.is_bar_leg and not order.is_entry
            ]
            state = self.ledger.state(self.account, ticker)
            unsettled = any(order.stage is OrderStatus.UNSETTLED for order in exits)
            if not exits or unsettled or state is None or state.account.side == 0:
                break
            if len(exits) >= _MAX_EXIT_ORDERS or floor_hour(self.clock() + timedelta(seconds=wait)) != hour:
                break
            self.sleep(wait)
            self._positions[ticker] = self.broker.position(ticker)
            rules = replace(rules, venue=self.broker.venue_rules(ticker))
            sale = Sale(ticker, hour, "exit", exits[0].reason, price, rules)
            retried = self._send_sale(sale, state.account)
            result += retried
            if not retried.orders:
                break
        return result

    def _resolve(
        self, order: OrderRecord, hour: int, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Resolve an order that an earlier process, or an earlier attempt, left unsettled."""
        result = self._orders.resolve(order, rules)
        if result is not None:
            return result
        due = order.is_bar_leg and order.bar == hour and (entries or order.side < 0)
        # An order that has been refused meanwhile is not sent a third time.
        if due and not order.detail:
            available = self.broker.position(order.ticker).available
            if order.quantity is None or order.quantity <= available:
                return self._orders.submit(order, rules, again=True)
        return self._orders.expire(order)

    def _legs(self, plan: OrderPlan, decision: Decision) -> list[OrderRecord] | str:
        """Return the orders for a decision, or a note why there is none."""
        account, rules = plan.state.account, plan.rules
        if not isinstance(decision, Enter):
            sale = Sale(plan.ticker, plan.hour, "exit", decision.reason, plan.close, rules)
            return self._sale_legs(sale, account)
        money = decision.fraction * account.cash * self.state.scale
        if rules.max_notional is not None:
            money = min(money, rules.max_notional)
        money = cents(money)
        parts = purchase(account, money, plan.close, plan.hour, rules)
        if not parts:
            return f"{money:,.2f} is too small to buy {plan.ticker} and sell it again: no order"
        return self._intents.buy(plan.ticker, plan.hour, plan.close, parts)

    def _sale_legs(self, sale: Sale, account: SubAccount) -> list[OrderRecord] | str:
        available = self._positions[sale.ticker].available
        left = max(account.quantity - self._sold_unrecorded.get(sale.ticker, 0.0), 0.0)
        parts = sale.parts(left, available)
        if not parts:
            return f"only {min(left, available):.9g} {sale.ticker.base} can be sold, below the minimum order size: not sold"
        return self._intents.sell(sale, parts)

    @property
    def _intents(self) -> Intents:
        return Intents(ledger=self.ledger, account=self.account, now=self.clock())
