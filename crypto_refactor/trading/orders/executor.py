"""What the real-time trader and the executors exchange: plans of orders, and results of executing them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from crypto_refactor.execution.decisions import Decision
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.execution.sub_account import Fill, Trade, merged_exits
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import LedgerTransaction, OrderRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlan:
    """What is to be executed at the close of one bar.

    `state` is the sub-account after the bar, without what was decided.  `record` writes the bar and the decision; it is
    called once, in the transaction that commits everything that must be known before an order is sent.
    """

    ticker: Ticker
    hour: int
    close: float
    state: SubAccountState
    decisions: tuple[Decision, ...]
    rules: ExecutionRules
    record: Callable[[LedgerTransaction], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """What was executed, and notes on it for people; the orders of one exit are one trade."""

    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()
    orders: tuple[OrderRecord, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, later: ExecutionResult) -> ExecutionResult:
        return ExecutionResult(
            fills=self.fills + later.fills,
            trades=merged_exits(self.trades + later.trades),
            orders=self.orders + later.orders,
            notes=self.notes + later.notes,
        )


class Executor(Protocol):
    """Executes orders.  Both methods are called while the sub-account is locked."""

    def recover(
        self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Resolve what an earlier process left open, and make ledger and account agree.

        `hour` and `price` are the latest bar's close; `entries` says whether an entry that was never sent may
        still be sent.
        """
        ...

    def execute(self, plan: OrderPlan) -> ExecutionResult:
        """Commit and execute what was decided."""
        ...

    def protect(
        self, ticker: Ticker, hour: int, price: float, reason: str, rules: ExecutionRules
    ) -> ExecutionResult:
        """Sell the whole position for `reason`, a protection that `price` has triggered."""
        ...
