"""Where the loop trades: the demo account on Alpaca's bars, or an account at a broker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.venues import alpaca_rules
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import Broker
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.realtime.broker_executor import BrokerExecutor, preflight
from crypto_refactor.trading.realtime.demo_executor import DemoExecutor
from crypto_refactor.trading.realtime.trader import Executor
from crypto_refactor.trading.session import TradingSession


class TradingAccount(Protocol):
    """Where the loop trades."""

    name: str

    def begin(self, opening: dict[Ticker, float]) -> str | None:
        """Look at the whole account before a pass; return why nothing may be entered in it."""
        ...

    def executor(self) -> Executor:
        """Return what carries orders out."""
        ...

    def rules(self, ticker: Ticker) -> ExecutionRules:
        """Return the execution rules of `ticker`."""
        ...


class DemoAccount:
    """The demo account on Alpaca's bars.

    Parameters
    ----------
    setup : TradingSession
        What is traded.
    ledger : Ledger
        Where the account lives.
    name : str
        Its name.
    """

    def __init__(self, setup: TradingSession, ledger: Ledger, name: str) -> None:
        self.name = name
        self._setup = setup
        self._executor = DemoExecutor(ledger, name, setup.source)

    def begin(self, opening: dict[Ticker, float]) -> str | None:  # noqa: ARG002 - as every account is asked
        """Return None: nothing else can be wrong with it."""
        return None

    def executor(self) -> Executor:
        """Return the execution code."""
        return self._executor

    def rules(self, ticker: Ticker) -> ExecutionRules:
        """Return the execution rules of `ticker`."""
        return self._setup.rules(ticker)


class BrokerAccount:
    """An account at a broker.

    Parameters
    ----------
    setup : TradingSession
        What is traded.
    ledger : Ledger
        Where the account lives.
    name : str
        Its name.
    broker : Broker
        Where orders go.
    on_note : callable
        Told what a person should know.
    """

    def __init__(
        self, setup: TradingSession, ledger: Ledger, name: str, broker: Broker, on_note: Callable[[str], None]
    ) -> None:
        self.name = name
        self._setup = setup
        self._ledger = ledger
        self._broker = broker
        self._on_note = on_note
        self._executor = BrokerExecutor(broker, ledger, name, clock=setup.clock, sleep=setup.sleep)
        self._noted: set[Ticker] = set()

    def begin(self, opening: dict[Ticker, float]) -> str | None:
        """Look at flags, buying power and open orders.

        Raises
        ------
        BrokerError
            If the account cannot be asked, or accepts no orders.
        """
        self._executor.state = preflight(self._broker, self._ledger, self.name, opening)
        return self._executor.state.blocked

    def executor(self) -> Executor:
        """Return what sends orders."""
        return self._executor

    def rules(self, ticker: Ticker) -> ExecutionRules:
        """Return the execution rules of `ticker`, with the asset's own figures.

        Raises
        ------
        BrokerError
            If the broker cannot be asked, or does not trade it.
        """
        stated, table = self._broker.venue_rules(ticker), alpaca_rules(ticker)
        if table is not None and replace(stated, as_of=table.as_of) != table and ticker not in self._noted:
            self._noted.add(ticker)
            self._on_note(
                f"{ticker}: Alpaca states increment {stated.increment:g} and least quantity {stated.min_quantity:g}; "
                f"backtests reckon with {table.increment:g} and {table.min_quantity:g} (as of {table.as_of})."
            )
        return replace(self._setup.options, venue="alpaca").resolve(ticker, stated=stated)
