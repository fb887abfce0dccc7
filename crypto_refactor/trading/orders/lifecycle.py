"""One order at a broker, from the intent in the ledger to its final state, across crashes and lost answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade, book_buy, book_sell
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.trading.brokers import (
    Broker,
    OrderRefusedError,
    OrderReport,
    OrderState,
    UnknownOutcomeError,
    UnreachableError,
)
from crypto_refactor.trading.ledger import Ledger, OrderRecord, OrderStatus
from crypto_refactor.trading.orders.checks import CurrentPrice, lapse_reason, misfit
from crypto_refactor.trading.orders.executor import ExecutionResult

_ARRIVAL_SECONDS = 120
"""How long after it was sent an order may still arrive that the broker does not know yet."""
_POLL_WAITS = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds between look-ups of an order that is still open; immediate-or-cancel ends within the first."""
_POLL_WAITS_AFTER_CANCEL = (0.0, 0.5, 2.0)
_CONTRADICTION_WAITS = (0.5, 1.0, 2.0)
"""Seconds after a look-up that does not confirm that less than the whole was executed."""
_MAX_SUBMISSIONS = 2
CLOSED_BY_HAND = "close"
"""Reason of an exit that the ``close`` command made."""


@dataclass(frozen=True, slots=True)
class OrderLifecycle:
    """Brings the orders of `account` to a final state and books what was executed."""

    broker: Broker
    ledger: Ledger
    account: str
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    current_price: CurrentPrice
    max_deviation: float
    listed: frozenset[str] = frozenset()  # ids in the list of the account's orders

    def submit(self, order: OrderRecord, rules: ExecutionRules, *, again: bool = False) -> ExecutionResult:
        """Send an order that the ledger has recorded, and await its final state.

        `again` says that it may have been sent before.

        Raises
        ------
        UnknownOutcomeError, UnreachableError
            If its outcome cannot be found out; it stays unsettled.
        BrokerError
            If it does not end; it stays unsettled.
        """
        unknown: UnknownOutcomeError | None = None
        for _ in range(_MAX_SUBMISSIONS):
            if order.is_bar_leg and floor_hour(self.clock()) != order.bar:
                return self.expire(order)
            why = lapse_reason(order, self.clock(), self.current_price, max_deviation=self.max_deviation)
            if why is not None:
                return self.expire(order) if again or unknown else self._end(order, OrderStatus.EXPIRED, why)
            order = self._mark_sent(order)
            report: OrderReport | None
            try:
                report = self.broker.submit(order.request())
            except OrderRefusedError as error:
                if again or unknown:
                    return self._resolve_second_refusal(order, error, rules)
                return self._end(order, OrderStatus.REFUSED, error.what)
            except UnknownOutcomeError as error:
                unknown = error
                report = self.broker.order(order.client_order_id)
            # Where the broker knows no such order, sending it again under the same id cannot double it.
            if report is not None:
                return self._await_final(order, report, rules)
        assert unknown is not None
        raise unknown

    def resolve(self, order: OrderRecord, rules: ExecutionRules) -> ExecutionResult | None:
        """Look up an order that may have been sent; None where the broker has never seen it."""
        report = self.broker.order(order.client_order_id)
        return None if report is None else self._await_final(order, report, rules)

    def expire(self, order: OrderRecord) -> ExecutionResult:
        """End an order that the broker has never seen; `UnknownOutcomeError` while it may still arrive."""
        age = (self.clock() - datetime.fromisoformat(order.sent_at)).total_seconds()
        if age < _ARRIVAL_SECONDS:
            raise UnknownOutcomeError(
                f"Order {order.client_order_id} was sent {max(age, 0):.0f} s ago and is not known to the broker yet.",
                expected=f"{_ARRIVAL_SECONDS} s to pass before it expires.",
                remedy="run the command again in two minutes; nothing else is sent for this ticker until then.",
            )
        if order.client_order_id in self.listed:
            raise UnreachableError(
                f"The broker lists order {order.client_order_id}, and says that it does not know it.",
                expected="one answer about an order.",
                remedy="run the command again; nothing else is sent for this ticker until the order is found.",
            )
        if order.detail:
            return self._end(order, OrderStatus.REFUSED, order.detail)
        return self._end(order, OrderStatus.EXPIRED, "it never arrived")

    def _resolve_second_refusal(
        self, order: OrderRecord, error: OrderRefusedError, rules: ExecutionRules
    ) -> ExecutionResult:
        # The refusal says nothing of the first submission, which may even have caused it by spending the money.
        result = self.resolve(order, rules)
        if result is not None:
            return result
        order = replace(order, detail=error.what)
        self._save(order)
        return self.expire(order)

    def _mark_sent(self, order: OrderRecord) -> OrderRecord:
        order = replace(order, sent_at=self.clock().astimezone(UTC).isoformat(timespec="seconds"))
        self._save(order)
        return order

    def _await_final(self, order: OrderRecord, report: OrderReport, rules: ExecutionRules) -> ExecutionResult:
        self._require_fit(order, report)
        report = self._poll(order, report, _POLL_WAITS)
        if report.state is OrderState.OPEN:
            self.broker.cancel(report)
            report = self._poll(order, report, _POLL_WAITS_AFTER_CANCEL)
        if report.state is OrderState.OPEN:
            raise BrokerError(
                f"Order {order.client_order_id} is still open at the broker ({report.detail}), although it is "
                "immediate or cancel and was cancelled.",
                expected="an order that ends.",
                remedy="look at it at the broker; nothing else is sent for this ticker before it has ended.",
            )
        return self._book(order, self._confirmed(order, report), rules)

    def _confirmed(self, order: OrderRecord, report: OrderReport) -> OrderReport:
        """Return what two answers in a row say of less than the whole: any part fits the order, so one proves nothing."""
        for wait in _CONTRADICTION_WAITS:
            if report.state is OrderState.FILLED:
                return report
            before, report = report, self._refetch(order)
            if report.state is before.state and report.filled_quantity == before.filled_quantity:
                return report
            self.sleep(wait)
        raise UnknownOutcomeError(
            f"The broker's answers about order {order.client_order_id} contradict each other.",
            expected="the same execution twice in a row.",
            remedy="run the command again; the order is looked up first.",
        )

    def _poll(self, order: OrderRecord, report: OrderReport, waits: Sequence[float]) -> OrderReport:
        for wait in waits:
            if report.state is not OrderState.OPEN:
                break
            self.sleep(wait)
            report = self._refetch(order)
        return report

    def _refetch(self, order: OrderRecord) -> OrderReport:
        report = self.broker.order(order.client_order_id)
        if report is None:
            raise UnreachableError(
                f"The broker no longer knows order {order.client_order_id}, which it has shown before.",
                expected="the same order as before.",
                remedy="run the command again; the order is looked up first.",
            )
        return report

    def _require_fit(self, order: OrderRecord, report: OrderReport) -> None:
        reason = misfit(order, report, self.clock())
        if reason is not None:
            raise UnknownOutcomeError(
                f"The broker's answer about order {order.client_order_id} does not fit it: {reason}.",
                expected="what was ordered: symbol, side, amount, time, and a plausible execution.",
                remedy="look at the order at the broker; nothing was booked, and nothing else is sent for this "
                "ticker until the answer fits.",
            )

    def _book(self, order: OrderRecord, report: OrderReport, rules: ExecutionRules) -> ExecutionResult:
        self._require_fit(order, report)
        order = replace(
            order,
            stage=OrderStatus(report.state.value),
            filled_quantity=report.filled_quantity,
            average_price=report.average_price,
            detail=report.detail,
        )
        state = self.ledger.state(self.account, order.ticker)
        assert state is not None, "an order is recorded together with its sub-account"
        account, fills, trades = book_report(state.account, order, rules)
        with self.ledger.transaction(self.account, order.ticker) as writer:
            writer.update_order(order)
            writer.record_fills(fills, trades)
            writer.save_state(replace(state, account=account))
        return ExecutionResult(fills=fills, trades=trades, orders=(order,))

    def _end(self, order: OrderRecord, stage: OrderStatus, detail: str) -> ExecutionResult:
        order = replace(order, stage=stage, detail=detail)
        self._save(order)
        return ExecutionResult(orders=(order,), notes=(f"order {order.client_order_id} {stage}: {detail}",))

    def _save(self, order: OrderRecord) -> None:
        with self.ledger.transaction(self.account, order.ticker) as writer:
            writer.update_order(order)


def book_report(
    account: SubAccount, order: OrderRecord, rules: ExecutionRules
) -> tuple[SubAccount, tuple[Fill, ...], tuple[Trade, ...]]:
    """Return the sub-account after what was executed of `order`."""
    quantity, price = order.filled_quantity, order.average_price
    if not quantity or price is None:
        return account, (), ()
    if order.side > 0:
        account, fill = book_buy(account, quantity, price, order.bar, rules)
        return account, (fill,), ()
    account, fill, trade = book_sell(account, quantity, price, order.bar, order.reason, rules)
    if order.reason == CLOSED_BY_HAND:
        account = block_reentry(account, trade)
    return account, (fill,), (trade,)


def block_reentry(account: SubAccount, trade: Trade) -> SubAccount:
    """Return `account` as after a stop: after a manual sale it does not re-enter an hour later."""
    return account._replace(blocked_side=trade.direction)
