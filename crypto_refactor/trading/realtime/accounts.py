"""The accounts that are traded as time passes: the demo account on Alpaca's bars, or an account at a broker."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Protocol

from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.venues import alpaca_rules
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import Broker
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.orders.account_review import unmanaged_holdings, unmanaged_in_ledger
from crypto_refactor.trading.orders.broker_executor import BrokerExecutor
from crypto_refactor.trading.orders.executor import Executor
from crypto_refactor.trading.orders.preflight import preflight
from crypto_refactor.trading.realtime.demo_executor import DemoExecutor
from crypto_refactor.trading.realtime.prices import current_price
from crypto_refactor.trading.session import TradingSession


class TradingAccount(Protocol):
    """An account that is traded as time passes."""

    name: str

    @property
    def executor(self) -> Executor:
        """What executes its orders."""
        ...

    def clock_skew(self) -> float | None:
        """Return how far the local clock is ahead of the account's, in seconds; None where that is not known."""
        ...

    def begin_pass(self, opening: dict[Ticker, float]) -> str | None:
        """Check the whole account before a pass that may open sub-accounts; return why entries are blocked."""
        ...

    def rules(self, ticker: Ticker) -> ExecutionRules:
        """Return the execution rules of `ticker`."""
        ...

    def unmanaged(self, managed: Collection[Ticker]) -> dict[Ticker, str]:
        """Return each holding that a run over `managed` does not manage, in words."""
        ...


class DemoAccount:
    """The demo account on Alpaca's bars."""

    def __init__(self, session: TradingSession, ledger: Ledger, name: str) -> None:
        self.name = name
        self.executor = DemoExecutor(ledger, name, session.source)
        self._session = session
        self._ledger = ledger

    def clock_skew(self) -> float:
        """Return 0: the account has no other clock than this one."""
        return 0.0

    def begin_pass(self, opening: dict[Ticker, float]) -> str | None:  # noqa: ARG002 - of the protocol
        """Return None: nothing blocks entries."""
        return None

    def rules(self, ticker: Ticker) -> ExecutionRules:
        """Return the execution rules of `ticker`."""
        return self._session.rules(ticker)

    def unmanaged(self, managed: Collection[Ticker]) -> dict[Ticker, str]:
        """Return each holding of the ledger that a run over `managed` does not manage, in words."""
        return unmanaged_in_ledger(self._ledger, self.name, managed)


class BrokerAccount:
    """An account at a broker."""

    def __init__(
        self,
        session: TradingSession,
        ledger: Ledger,
        name: str,
        broker: Broker,
        on_note: Callable[[str], None],
    ) -> None:
        self.name = name
        self.executor = BrokerExecutor(
            broker,
            ledger,
            name,
            clock=session.clock,
            sleep=session.sleep,
            current_price=current_price(session.source, session.clock),
            max_deviation=session.max_deviation,
        )
        self._session = session
        self._ledger = ledger
        self._broker = broker
        self._on_note = on_note
        self._noted: set[Ticker] = set()

    def clock_skew(self) -> float | None:
        """Ask the broker for the time.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        self._broker.account()
        return self._broker.clock_skew_seconds

    def begin_pass(self, opening: dict[Ticker, float]) -> str | None:
        """Check flags, buying power and open orders.

        Raises
        ------
        BrokerError
            If the broker does not answer, or the account accepts no orders.
        """
        self.executor.state = preflight(self._broker, self._ledger, self.name, opening, self._session.clock())
        return self.executor.state.blocked

    def unmanaged(self, managed: Collection[Ticker]) -> dict[Ticker, str]:
        """Return each holding of the ledger or the account that a run over `managed` does not manage, in words.

        Raises
        ------
        BrokerError
            If the broker does not answer.
        """
        now = self._session.clock()
        return unmanaged_holdings(self._broker, self._ledger, self.name, managed, now)

    def rules(self, ticker: Ticker) -> ExecutionRules:
        """Return the execution rules of `ticker`, with the asset's figures as the broker states them.

        Raises
        ------
        BrokerError
            If the broker does not answer, or does not trade it.
        """
        stated, table = self._broker.venue_rules(ticker), alpaca_rules(ticker)
        if table is not None and replace(stated, as_of=table.as_of) != table and ticker not in self._noted:
            self._noted.add(ticker)
            self._on_note(
                f"{ticker}: Alpaca states an increment of {stated.increment:g} and a minimum quantity of "
                f"{stated.min_quantity:g}; backtests use {table.increment:g} and {table.min_quantity:g} "
                f"(as of {table.as_of})."
            )
        return replace(self._session.options, venue="alpaca").resolve(ticker, stated=stated)
