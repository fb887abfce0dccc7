"""An account at a broker: intents first, orders second, and nothing that the ledger did not open."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.account import Account, enter, sold
from crypto_refactor.execution.decisions import Decision, Enter
from crypto_refactor.execution.rules import Rules
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.broker import Broker, OrderReport, Position
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.orders import PREFIX, Order, client_order_id
from crypto_refactor.trading.realtime import Executed, Planned
from crypto_refactor.trading.settling import CLOSED_BY_HAND, Settling

_FEES_APART = 0.01
"""Share of a position by which fees, which Alpaca takes in coins and books late, may move it."""
_SECOND_LOOK_SECONDS = 2.0
_SHORT_OF_MONEY = 0.01


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
    cash = {ticker: holding.account.cash for ticker, holding in ledger.holdings(account).items()}
    needed = sum(({**opening, **cash}).values())
    blocked = None
    if state.buying_power < needed * (1 - _SHORT_OF_MONEY):
        blocked = (
            f"the account's buying power of {state.buying_power:,.2f} is more than 1 % below the "
            f"{needed:,.2f} that its sub-accounts hold in cash"
        )
    return Preflight(
        open_orders=broker.open_orders(),
        scale=min(1.0, state.buying_power / needed) if needed > 0 else 1.0,
        blocked=blocked,
    )


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
        self._settling = Settling(broker, ledger, account, clock=clock, sleep=sleep)
        self._positions: dict[Ticker, Position] = {}
        self.state = Preflight(open_orders=(), scale=1.0, blocked=None)

    def recover(self, ticker: Ticker, hour: int, price: float, rules: Rules, *, entries: bool) -> Executed:
        """Settle unsettled orders, then make the ledger and the account agree.

        Raises
        ------
        BrokerError
            If an order's end cannot be found out, the position cannot be asked for, or an order of this tool
            is open that this ledger does not know: nothing is traded then.
        """
        done = Executed()
        for order in self._ledger.orders(self._account, ticker, unsettled=True):
            may_send = order.leg in {"enter", "exit"} and order.bar == hour and (entries or order.side < 0)
            done += self._settling.resolve(order, rules, may_send=may_send)
        notes = self._strangers(ticker)
        holding = self._ledger.holding(self._account, ticker)
        quantity = holding.account.quantity if holding is not None else 0.0
        position = self._seen_twice(ticker, quantity)
        self._positions[ticker] = position
        if holding is not None and position.quantity < quantity:
            account, reconciled = _reduced(holding.account, position.quantity, price, hour, rules)
            with self._ledger.writing(self._account, ticker) as writer:
                writer.filled(reconciled.fills, reconciled.trades)
                writer.hold(replace(holding, account=account))
            return done + reconciled + Executed(notes=notes)
        foreign = position.quantity - quantity
        if foreign > quantity * _FEES_APART and foreign * price >= 1:
            notes += (
                f"the account holds {foreign:.9g} {ticker.base} that this ledger did not open: left alone",
            )
        return done + Executed(notes=notes)

    def execute(self, planned: Planned) -> Executed:
        """Commit the decision with its intents, then send them."""
        orders, notes = [], []
        for decision in planned.decisions:
            order = self._order(planned, decision)
            if isinstance(order, Order):
                orders.append(order)
            else:
                notes.append(order)
        with self._ledger.writing(self._account, planned.ticker) as writer:
            planned.write(writer)
            for order in orders:
                writer.intends(order)
        done = Executed(notes=tuple(notes))
        for order in orders:
            done += self._settling.send(order, planned.rules)
        return done

    def close(self, ticker: Ticker, hour: int, price: float, rules: Rules) -> Executed:
        """Sell what the ledger has opened of `ticker`, as the next of its ``close`` orders.

        Raises
        ------
        BrokerError
            As `recover` and `Settling.send`.
        """
        done = self.recover(ticker, hour, price, rules, entries=False)
        holding = self._ledger.holding(self._account, ticker)
        if holding is None or holding.account.side == 0:
            return done
        count = sum(order.leg.startswith("close-") for order in self._ledger.orders(self._account, ticker))
        order = self._sale(ticker, holding.account, hour, f"close-{count + 1}", CLOSED_BY_HAND, price, rules)
        if not isinstance(order, Order):
            return done + Executed(notes=(order,))
        with self._ledger.writing(self._account, ticker) as writer:
            writer.intends(order)
        return done + self._settling.send(order, rules)

    def _strangers(self, ticker: Ticker) -> tuple[str, ...]:
        """Look at open orders that this ledger does not know."""
        known = {order.client_order_id for order in self._ledger.orders(self._account, ticker)}
        strange = [
            report
            for report in self.state.open_orders
            if report.ticker == ticker and report.client_order_id not in known
        ]
        for report in strange:
            if report.client_order_id.startswith(PREFIX):
                raise BrokerError(
                    f"Order {report.client_order_id} of this tool is open at the broker, but not in this ledger.",
                    expected="one ledger for an account.",
                    remedy="use the state folder that sent it, or cancel that order at the broker.",
                )
        return tuple(
            f"order {report.broker_order_id} for {ticker} is open at the broker and not this tool's: left alone"
            for report in strange
        )

    def _seen_twice(self, ticker: Ticker, quantity: float) -> Position:
        """Ask for the position; one that is too small is believed only when it is seen twice."""
        position = self._broker.position(ticker)
        if position.quantity < quantity * (1 - _FEES_APART):
            self._sleep(_SECOND_LOOK_SECONDS)
            position = self._broker.position(ticker)
        return position

    def _order(self, planned: Planned, decision: Decision) -> Order | str:
        account, rules = planned.holding.account, planned.rules
        if not isinstance(decision, Enter):
            return self._sale(
                planned.ticker, account, planned.hour, "exit", decision.reason, planned.close, rules
            )
        money = decision.fraction * account.cash * self.state.scale
        if rules.max_notional is not None:
            money = min(money, rules.max_notional)
        share = money / account.cash if account.cash > 0 else 0.0
        _, sellable = enter(account, 1, share, planned.close, planned.hour, rules)
        if sellable is None:
            return f"{money:,.2f} is below what {planned.ticker} can be bought and sold again with: no order"
        whole_cents = math.floor(money * 100) / 100
        return self._intent(planned.ticker, planned.hour, "enter", 1, whole_cents, "entry")

    def _sale(
        self,
        ticker: Ticker,
        account: Account,
        hour: int,
        leg: str,
        reason: str,
        price: float,
        rules: Rules,
    ) -> Order | str:
        venue, available = rules.venue, self._positions[ticker].available
        assert venue is not None, "an account at a broker has venue rules"
        quantity = venue.round_down(min(account.quantity, available))
        if not venue.accepts(quantity, price):
            return f"{quantity:.9g} {ticker.base} can be sold, which is below the least order: not sold"
        return self._intent(ticker, hour, leg, -1, quantity, reason)

    def _intent(self, ticker: Ticker, hour: int, leg: str, side: int, amount: float, reason: str) -> Order:
        return Order(
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


def _reduced(
    account: Account, held: float, price: float, hour: int, rules: Rules
) -> tuple[Account, Executed]:
    """Return the sub-account with no more than what is `held` at the broker."""
    missing = account.quantity - held
    if missing <= account.quantity * _FEES_APART or account.side == 0:
        # Fees that were higher than reckoned; dust that is gone.
        fees = account.open_fees + missing * account.average_price
        return replace(account, quantity=held, open_fees=fees if held else 0.0), Executed()
    free = replace(rules, fee=0.0)
    left, fill, trade = sold(account, missing, price, hour, "external", free)
    note = f"{missing:.9g} were sold or moved outside this tool: booked at the last close, reason external"
    return left, Executed(fills=(fill,), trades=(trade,), notes=(note,))
