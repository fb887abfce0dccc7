"""An account at the played Alpaca: each `act` is what a process does that has just been started.

Nothing is remembered from one act to the next but by the ledger file and by the server.
"""

from __future__ import annotations

from dataclasses import asdict, astuple, replace
from datetime import UTC, datetime, timedelta

import numpy as np
from pydantic import SecretStr
from support.alpaca_trading_server import KEY, SECRET
from support.fixed_decisions import decided

from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import floor_hour, to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.bar_processor import BarProcessor
from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.order_record import client_order_id
from crypto_refactor.trading.orders.broker_executor import BrokerExecutor
from crypto_refactor.trading.orders.preflight import preflight
from crypto_refactor.trading.realtime.trader import RealtimeTrader
from crypto_refactor.transport.session import HttpLimits

BTC = Ticker("BTC", "USD")
NAME = "paper/904837e3-3b76-47ec-b432-046db621571b"
FIRST = floor_hour(datetime(2024, 6, 10, 12, tzinfo=UTC))
BALANCE = 1000.0
LIMITS = HttpLimits(total=10, attempts=2)
HASTY = HttpLimits(connect=0.5, read=0.3, total=1.0, attempts=2, first_wait=0.05, max_wait=0.1)
"""For faults that leave a request without an answer."""


class Desk:
    """A server, a state folder and a clock; ``hour`` is the close of the latest bar."""

    def __init__(
        self, server, folder, *, limits=LIMITS, ticker=BTC, price=50_000.0, balance=BALANCE, **options
    ):
        self.server, self.folder, self.limits, self.ticker = server, folder, limits, ticker
        self.balance = balance
        self.options = ExecutionOptions(venue="alpaca", **options)
        self.closes = {FIRST - 1: price}
        self.waits, self.asked = [], 0
        server.clock = self.clock
        self.at(FIRST, price)

    def at(self, hour, price=None, *, seconds=7):
        """Move to some seconds after the close of a bar."""
        price = self.closes[max(self.closes)] if price is None else price
        self.hour = hour
        self.closes[hour] = price
        self.server.prices[str(self.ticker)] = price
        self.now = to_datetime(hour) + timedelta(seconds=seconds)
        return self

    def later(self, price=None, **options):
        """Move to the next bar."""
        return self.at(self.hour + 1, price, **options)

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.waits.append(seconds)
        self.now += timedelta(seconds=seconds)

    @property
    def bars(self):
        hours = np.array(sorted(hour for hour in self.closes if hour <= self.hour))
        close = np.array([self.closes[hour] for hour in hours])
        prices = dict.fromkeys(("open", "high", "low", "close"), close)
        return Bars(
            ticker=self.ticker, source="alpaca", opened=hours - 1, volume=np.ones(len(hours)), **prices
        )

    @property
    def ledger(self):
        return Ledger(self.folder / "ledger.sqlite")

    def broker(self):
        return AlpacaBroker(
            api_key=SecretStr(KEY),
            secret_key=SecretStr(SECRET),
            paper=True,
            url=self.server.url,
            limits=self.limits,
            clock=self.clock,
            sleep=self.sleep,
        )

    def current_price(self, ticker):
        return float(self.server.price(str(ticker)))

    def executor(self, broker=None):
        """Return an executor at the start of a pass, and its rules."""
        broker = self.broker() if broker is None else broker
        made = BrokerExecutor(
            broker,
            self.ledger,
            NAME,
            clock=self.clock,
            sleep=self.sleep,
            current_price=self.current_price,
        )
        opening = {} if self.holding else {self.ticker: self.balance}
        made.state = preflight(broker, self.ledger, NAME, opening, self.clock())
        return made, self.options.resolve(self.ticker, stated=broker.venue_rules(self.ticker))

    def open(self):
        """Open the account in the ledger, with what it is traded with."""
        about = {"source": "alpaca", "options": asdict(self.options)}
        self.ledger.open_account(NAME, "2024-06-10T12:00:00Z", about)

    def act(self, signal, *, blocked=None, broker=None, bars=None, decide=None):
        """Do what a fresh process does at the latest bar, where the model gives this signal."""
        self.open()
        executor, rules = self.executor(broker)
        trader = RealtimeTrader(
            self.ledger,
            NAME,
            state_dir=self.folder,
            processor=BarProcessor(balance=self.balance, rules=rules, confirmations=6),
            executor=executor,
            clock=self.clock,
        )

        def said():
            self.asked += 1
            return decided(signal, close=self.closes[self.hour], hour=self.hour)

        return trader.act(
            self.bars if bars is None else bars,
            said if decide is None else decide,
            blocked=blocked or executor.state.blocked,
            late=False,
        )

    def close(self, broker=None):
        executor, rules = self.executor(broker)
        return executor.close(self.ticker, self.hour, self.closes[self.hour], rules)

    # What came of it

    @property
    def holding(self):
        return self.ledger.state(NAME, self.ticker)

    @property
    def account(self):
        return self.holding.account

    @property
    def orders(self):
        return self.ledger.orders(NAME, self.ticker)

    @property
    def trades(self):
        return self.ledger.trades(NAME, self.ticker)

    @property
    def decisions(self):
        return self.ledger.decisions(NAME, self.ticker)

    def own_id(self, leg, hour=None):
        return client_order_id(
            self.ticker, self.hour if hour is None else hour, leg, self.ledger.order_suffix(NAME)
        )

    def held(self):
        return self.server.held(str(self.ticker))

    def sent(self):
        """Return how many orders have arrived at the server, accepted or not."""
        return len(self.server.posted)

    def agrees(self, *, money=100_000.0, foreign=0.0):
        """Check that ledger and server say the same of coins, money and orders."""
        held = self.held() - foreign
        assert abs(self.account.quantity - held) <= 2e-9, (self.account.quantity, held)
        spent = float(self.server.cash) - money
        assert abs(self.account.cash - self.balance - spent) < 1e-4, (self.account.cash, spent)
        there = {order.client_order_id: float(order.filled_qty) for order in self.server.orders}
        here = {order.client_order_id: order.filled_quantity for order in self.orders}
        assert {name: filled for name, filled in here.items() if name in there} == there
        assert not any(filled for name, filled in here.items() if name not in there)

    def state(self):
        """Return all there is to compare between two courses of events; a ledger's own token aside."""

        def leg(name):
            return name.rpartition("-")[0]

        orders = [
            astuple(replace(order, client_order_id=leg(order.client_order_id), sent_at="", decided_at=""))
            for order in self.orders
        ]
        there = [
            (leg(order.client_order_id), order.qty, order.notional, order.filled_qty, order.filled_avg_price)
            for order in self.server.orders
        ]
        ledger = self.ledger
        return {
            "holding": self.holding,
            "orders": orders,
            "there": there,
            "fills": ledger.fills(NAME, self.ticker),
            "trades": self.trades,
            "equity": ledger.equity(NAME, self.ticker),
            "decisions": self.decisions,
            "cash": self.server.cash,
            "held": self.held(),
        }
