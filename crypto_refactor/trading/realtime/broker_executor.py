"""An account at a broker: intents first, orders second, and nothing that the ledger did not open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.decisions import Decision, Enter
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import SubAccount, open_position
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import Broker, OrderReport, Position
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.order_record import OrderRecord, client_order_id
from crypto_refactor.trading.realtime.order_lifecycle import BAR_LEGS, CLOSED_BY_HAND, OrderLifecycle
from crypto_refactor.trading.realtime.reconciliation import confirmed_position, foreign_orders, reconcile
from crypto_refactor.trading.realtime.trader import ExecutionResult, OrderPlan

BUYING_POWER_TOLERANCE = 0.01
_FEES_BOOKED_WITHIN_HOURS = 48
"""Alpaca books the coins it takes as a fee at the end of the day."""
_CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """What is known of the whole account at the start of a pass.

    Attributes
    ----------
    open_orders : tuple of OrderReport
        Every order that is open.
    scale : float
        Part of a sub-account's cash that may be spent, at most 1.
    blocked : str or None
        Why nothing may be entered in this pass.
    """

    open_orders: tuple[OrderReport, ...]
    scale: float
    blocked: str | None


def preflight(broker: Broker, ledger: Ledger, account: str, opening: Mapping[Ticker, float]) -> Preflight:
    """Look at the whole account before a pass.

    Parameters
    ----------
    broker : Broker
        Where it is.
    ledger : Ledger
        Knows its sub-accounts.
    account : str
        Its name there.
    opening : mapping of Ticker to float
        Balances of the tickers of this pass, for those whose sub-account is not open yet.

    Raises
    ------
    BrokerError
        If the broker cannot be asked, or accepts no orders.
    """
    state = broker.account()
    if state.blocked is not None:
        raise BrokerError(
            f"The account at the broker accepts no orders: {state.blocked}.",
            expected="an active account.",
            remedy="look at the account at Alpaca; nothing was sent.",
        )
    cash = {
        ticker: holding.account.cash - _unresolved_buy_notional(ledger, account, ticker)
        for ticker, holding in ledger.states(account).items()
    }
    needed = sum(({**opening, **cash}).values())
    blocked = None
    if state.buying_power < needed * (1 - BUYING_POWER_TOLERANCE):
        blocked = (
            f"the account's buying power of {state.buying_power:,.2f} is more than 1 % below the "
            f"{needed:,.2f} that its sub-accounts hold in cash (use a smaller --initial-balance for new ones, or "
            "leave out tickers that are not open yet)"
        )
    return Preflight(
        open_orders=broker.open_orders(),
        scale=min(1.0, state.buying_power / needed) if needed > 0 else 1.0,
        blocked=blocked,
    )


def _unresolved_buy_notional(ledger: Ledger, account: str, ticker: Ticker) -> float:
    """Return the money of buys whose end is not known: it may be gone at the broker, not yet in the ledger."""
    return sum(order.notional or 0.0 for order in ledger.orders(account, ticker, unsettled=True))


class BrokerExecutor:
    """Carries orders out at a broker, in a way that survives being killed anywhere.

    An intent is committed together with the decision, before anything is sent; what became of it is
    committed together with the sub-account it changes.

    Parameters
    ----------
    broker : Broker
        Where orders go.
    ledger : Ledger
        Where the account lives.
    account : str
        Its name.
    clock : callable
        Returns the aware local time.
    sleep : callable
        Waits for so many seconds.
    """

    def __init__(
        self,
        broker: Broker,
        ledger: Ledger,
        account: str,
        *,
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        self._broker = broker
        self._ledger = ledger
        self._account = account
        self._clock = clock
        self._sleep = sleep
        self._orders = OrderLifecycle(broker, ledger, account, clock=clock, sleep=sleep)
        self._positions: dict[Ticker, Position] = {}
        self.state = Preflight(open_orders=(), scale=1.0, blocked=None)

    def recover(
        self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Settle unsettled orders, then make the ledger and the account agree.

        Raises
        ------
        BrokerError
            If an order's end cannot be found out, the position cannot be asked for, or an order of this tool
            is open that this ledger does not know: nothing is traded then.
        """
        known = {order.client_order_id for order in self._ledger.orders(self._account, ticker)}
        own = (report for report in self.state.open_orders if report.ticker == ticker)
        done = ExecutionResult(notes=foreign_orders(own, known))
        for order in self._ledger.orders(self._account, ticker, unsettled=True):
            done += self._settled(order, hour, rules, entries=entries)
        holding = self._ledger.state(self._account, ticker)
        quantity = holding.account.quantity if holding is not None else 0.0
        position = confirmed_position(self._broker, ticker, quantity, self._sleep)
        self._positions[ticker] = position
        if done.fills:
            # Positions follow orders with a delay, so that what has just been filled may seem to be missing.
            return done
        account = holding.account if holding is not None else SubAccount.opened_with(0.0)
        lately = sum(
            fill.quantity
            for fill in self._ledger.fills(self._account, ticker)
            if fill.side > 0 and fill.at > hour - _FEES_BOOKED_WITHIN_HOURS
        )
        account, found = reconcile(account, position, price, hour, rules, bought_lately=lately)
        if holding is not None and account != holding.account:
            with self._ledger.transaction(self._account, ticker) as writer:
                writer.record_fills(found.fills, found.trades)
                writer.save_state(replace(holding, account=account))
        return done + found

    def execute(self, planned: OrderPlan) -> ExecutionResult:
        """Commit the decision with its intents, then send them."""
        orders, notes = [], []
        for decision in planned.decisions:
            order = self._order(planned, decision)
            if isinstance(order, OrderRecord):
                orders.append(order)
            else:
                notes.append(order)
        with self._ledger.transaction(self._account, planned.ticker) as writer:
            planned.write(writer)
            for order in orders:
                writer.add_intent(order)
        done = ExecutionResult(notes=tuple(notes))
        for order in orders:
            done += self._orders.submit(order, planned.rules)
        return done

    def close(self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules) -> ExecutionResult:
        """Sell what the ledger has opened of `ticker`, as the next of its ``close`` orders.

        Raises
        ------
        BrokerError
            As `recover` and `OrderLifecycle.submit`.
        """
        done = self.recover(ticker, hour, price, rules, entries=False)
        holding = self._ledger.state(self._account, ticker)
        if holding is None or holding.account.side == 0:
            return done
        count = sum(order.leg.startswith("close-") for order in self._ledger.orders(self._account, ticker))
        order = self._sale(ticker, holding.account, hour, f"close-{count + 1}", CLOSED_BY_HAND, price, rules)
        if not isinstance(order, OrderRecord):
            return done + ExecutionResult(notes=(order,))
        with self._ledger.transaction(self._account, ticker) as writer:
            writer.add_intent(order)
        return done + self._orders.submit(order, rules)

    def _settled(
        self, order: OrderRecord, hour: int, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Bring an order to its end that an earlier process, or an earlier attempt, left open."""
        settled = self._orders.resolve(order, rules)
        if settled is not None:
            return settled
        wanted = order.leg in BAR_LEGS and order.bar == hour and (entries or order.side < 0)
        # One that has been refused meanwhile is not sent a third time.
        if wanted and not order.detail:
            available = self._broker.position(order.ticker).available
            if order.quantity is None or order.quantity <= available:
                return self._orders.submit(order, rules, again=True)
        return self._orders.expire(order)

    def _order(self, planned: OrderPlan, decision: Decision) -> OrderRecord | str:
        account, rules = planned.holding.account, planned.rules
        if not isinstance(decision, Enter):
            return self._sale(
                planned.ticker, account, planned.hour, "exit", decision.reason, planned.close, rules
            )
        money = decision.fraction * account.cash * self.state.scale
        if rules.max_notional is not None:
            money = min(money, rules.max_notional)
        money = float(Decimal(repr(money)).quantize(_CENT, rounding=ROUND_DOWN))
        share = money / account.cash if account.cash > 0 else 0.0
        _, sellable = open_position(account, 1, share, planned.close, planned.hour, rules)
        if sellable is None:
            return f"{money:,.2f} is below what {planned.ticker} can be bought and sold again with: no order"
        return self._intent(planned.ticker, planned.hour, "enter", 1, money, "entry")

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
            return f"{quantity:.9g} {ticker.base} can be sold, which is below the least order: not sold"
        return self._intent(ticker, hour, leg, -1, quantity, reason)

    def _intent(
        self, ticker: Ticker, hour: int, leg: str, side: int, amount: float, reason: str
    ) -> OrderRecord:
        return OrderRecord(
            client_order_id=client_order_id(self._account, ticker, hour, leg),
            ticker=ticker,
            bar=hour,
            leg=leg,
            side=side,
            notional=amount if side > 0 else None,
            quantity=amount if side < 0 else None,
            reason=reason,
            sent_at=self._clock().astimezone(UTC).isoformat(timespec="seconds"),
        )
