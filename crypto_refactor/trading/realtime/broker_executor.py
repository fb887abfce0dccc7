"""Execution at a broker: intents first, orders second, and only what the ledger itself opened."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.decisions import Decision, Enter
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import SubAccount, open_position
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import Broker, OrderReport, Position
from crypto_refactor.trading.ledger import Ledger, OrderRecord, client_order_id
from crypto_refactor.trading.realtime.executor import ExecutionResult, OrderPlan
from crypto_refactor.trading.realtime.order_lifecycle import BAR_LEGS, CLOSED_BY_HAND, OrderLifecycle
from crypto_refactor.trading.realtime.reconciliation import confirmed_position, foreign_orders, reconcile

_BUYING_POWER_TOLERANCE = 0.01
_FEE_BOOKING_HOURS = 48
"""Alpaca books the coins it takes as a fee at the end of the day."""
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What is known of the whole account at the start of a pass."""

    open_orders: tuple[OrderReport, ...]
    scale: float  # fraction of a sub-account's cash that may be spent, at most 1
    blocked: str | None  # why this pass may enter nothing


def preflight(broker: Broker, ledger: Ledger, account: str, opening: Mapping[Ticker, float]) -> Preflight:
    """Check the whole account before a pass that opens sub-accounts with the balances of `opening`.

    Raises
    ------
    BrokerError
        If the broker gives no usable answer, or the account accepts no orders.
    """
    snapshot = broker.account()
    if snapshot.blocked is not None:
        raise BrokerError(
            f"The account at the broker accepts no orders: {snapshot.blocked}.",
            expected="an active account.",
            remedy="look at the account at Alpaca; nothing was sent.",
        )
    cash = {
        ticker: state.account.cash - _unresolved_buy_notional(ledger, account, ticker)
        for ticker, state in ledger.states(account).items()
    }
    needed = sum(({**opening, **cash}).values())
    blocked = None
    if snapshot.buying_power < needed * (1 - _BUYING_POWER_TOLERANCE):
        blocked = (
            f"the account's buying power of {snapshot.buying_power:,.2f} is more than 1 % below the "
            f"{needed:,.2f} that its sub-accounts hold in cash (use a smaller --initial-balance for new ones, or "
            "leave out tickers that are not open yet)"
        )
    return Preflight(
        open_orders=broker.open_orders(),
        scale=min(1.0, snapshot.buying_power / needed) if needed > 0 else 1.0,
        blocked=blocked,
    )


def _unresolved_buy_notional(ledger: Ledger, account: str, ticker: Ticker) -> float:
    """Return the money of unsettled buys: the broker may have spent it, the ledger has not."""
    return sum(order.notional or 0.0 for order in ledger.orders(account, ticker, unsettled=True))


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
    state: Preflight = Preflight(open_orders=(), scale=1.0, blocked=None)
    _positions: dict[Ticker, Position] = field(default_factory=dict, init=False)

    @property
    def _orders(self) -> OrderLifecycle:
        return OrderLifecycle(self.broker, self.ledger, self.account, self.clock, self.sleep)

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
        ledger_ids = {order.client_order_id for order in self.ledger.orders(self.account, ticker)}
        reports = (report for report in self.state.open_orders if report.ticker == ticker)
        result = ExecutionResult(notes=foreign_orders(reports, ledger_ids))
        for order in self.ledger.orders(self.account, ticker, unsettled=True):
            result += self._resolve(order, hour, rules, entries=entries)
        state = self.ledger.state(self.account, ticker)
        account = state.account if state is not None else SubAccount.open(0.0)
        position = confirmed_position(self.broker, ticker, account.quantity, self.sleep)
        self._positions[ticker] = position
        if result.fills:
            # Positions follow orders with a delay, so that what has just been filled may seem to be missing.
            return result
        recently_bought = sum(
            fill.quantity
            for fill in self.ledger.fills(self.account, ticker)
            if fill.side > 0 and fill.at > hour - _FEE_BOOKING_HOURS
        )
        account, correction = reconcile(
            account, position, price, hour, rules, recently_bought=recently_bought
        )
        if state is not None and account != state.account:
            with self.ledger.transaction(self.account, ticker) as writer:
                writer.record_fills(correction.fills, correction.trades)
                writer.save_state(replace(state, account=account))
        return result + correction

    def execute(self, plan: OrderPlan) -> ExecutionResult:
        """Commit the decision with its intents, then send them."""
        orders, notes = [], []
        for decision in plan.decisions:
            order = self._order(plan, decision)
            if isinstance(order, OrderRecord):
                orders.append(order)
            else:
                notes.append(order)
        with self.ledger.transaction(self.account, plan.ticker) as writer:
            plan.record(writer)
            for order in orders:
                writer.add_intent(order)
        result = ExecutionResult(notes=tuple(notes))
        for order in orders:
            result += self._orders.submit(order, plan.rules)
        return result

    def close(self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules) -> ExecutionResult:
        """Sell the ledger's position in `ticker`, as the next of its ``close`` orders."""
        result = self.recover(ticker, hour, price, rules, entries=False)
        state = self.ledger.state(self.account, ticker)
        if state is None or state.account.side == 0:
            return result
        count = sum(order.leg.startswith("close-") for order in self.ledger.orders(self.account, ticker))
        order = self._sale(ticker, state.account, hour, f"close-{count + 1}", CLOSED_BY_HAND, price, rules)
        if not isinstance(order, OrderRecord):
            return result + ExecutionResult(notes=(order,))
        with self.ledger.transaction(self.account, ticker) as writer:
            writer.add_intent(order)
        return result + self._orders.submit(order, rules)

    def _resolve(
        self, order: OrderRecord, hour: int, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Resolve an order that an earlier process, or an earlier attempt, left unsettled."""
        result = self._orders.resolve(order, rules)
        if result is not None:
            return result
        due = order.leg in BAR_LEGS and order.bar == hour and (entries or order.side < 0)
        # An order that has been refused meanwhile is not sent a third time.
        if due and not order.detail:
            available = self.broker.position(order.ticker).available
            if order.quantity is None or order.quantity <= available:
                return self._orders.submit(order, rules, again=True)
        return self._orders.expire(order)

    def _order(self, plan: OrderPlan, decision: Decision) -> OrderRecord | str:
        """Return the order for a decision, or a note why there is none."""
        account, rules = plan.state.account, plan.rules
        if not isinstance(decision, Enter):
            return self._sale(plan.ticker, account, plan.hour, "exit", decision.reason, plan.close, rules)
        money = decision.fraction * account.cash * self.state.scale
        if rules.max_notional is not None:
            money = min(money, rules.max_notional)
        money = float(Decimal(repr(money)).quantize(_CENT, rounding=ROUND_DOWN))
        fraction = money / account.cash if account.cash > 0 else 0.0
        _, sellable = open_position(account, 1, fraction, plan.close, plan.hour, rules)
        if sellable is None:
            return f"{money:,.2f} is too small to buy {plan.ticker} and sell it again: no order"
        return self._intent(plan.ticker, plan.hour, "enter", 1, money, "entry")

    def _sale(
        self,
        ticker: Ticker,
        account: SubAccount,
        hour: int,
        leg: str,
        reason: str,
        price: float,
        rules: ExecutionRules,
    ) -> OrderRecord | str:
        venue, available = rules.venue, self._positions[ticker].available
        assert venue is not None, "an account at a broker has venue rules"
        quantity = venue.round_down(min(account.quantity, available))
        if not venue.accepts(quantity, price):
            return f"only {quantity:.9g} {ticker.base} can be sold, below the minimum order size: not sold"
        return self._intent(ticker, hour, leg, -1, quantity, reason)

    def _intent(
        self, ticker: Ticker, hour: int, leg: str, side: int, amount: float, reason: str
    ) -> OrderRecord:
        return OrderRecord(
            client_order_id=client_order_id(self.account, ticker, hour, leg),
            ticker=ticker,
            bar=hour,
            leg=leg,
            side=side,
            notional=amount if side > 0 else None,
            quantity=amount if side < 0 else None,
            reason=reason,
            sent_at=self.clock().astimezone(UTC).isoformat(timespec="seconds"),
        )
