"""The demo account in real time: the tool itself fills at the latest price, at once."""

from dataclasses import replace

from crypto_refactor.execution.decisions import Exit
from crypto_refactor.execution.fills import BarOutcome, fill_at_open
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.explanations import unfilled_entry_note
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.orders.executor import ExecutionResult, OrderPlan
from crypto_refactor.trading.realtime.prices import latest_price_since


class DemoExecutor:
    """Fills orders in the ledger, in the same transaction that records the decision."""

    def __init__(self, ledger: Ledger, account: str, source: Source) -> None:
        self._ledger = ledger
        self._account = account
        self._source = source

    def recover(
        self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Do nothing: every order is in the ledger."""
        return ExecutionResult()

    def execute(self, plan: OrderPlan) -> ExecutionResult:
        """Fill at the latest price, moved by slippage, and commit everything at once."""
        outcome = BarOutcome(plan.state.account)
        if plan.decisions:
            price = latest_price_since(self._source, plan.ticker, plan.hour, plan.close)
            outcome = fill_at_open(
                outcome.account, plan.decisions, price, plan.hour, adjacent=True, rules=plan.rules
            )
        with self._ledger.transaction(self._account, plan.ticker) as transaction:
            plan.record(transaction)
            transaction.record_fills(outcome.fills, outcome.trades)
            transaction.save_state(replace(plan.state, account=outcome.account))
        notes = unfilled_entry_note(plan.decisions, outcome.fills)
        return ExecutionResult(fills=outcome.fills, trades=outcome.trades, notes=notes)

    def protect(
        self, ticker: Ticker, hour: int, price: float, reason: str, rules: ExecutionRules
    ) -> ExecutionResult:
        """Sell the whole position at `price`, which has triggered the protection `reason`."""
        with self._ledger.transaction(self._account, ticker) as transaction:
            state = self._ledger.state(self._account, ticker)
            assert state is not None, "only a sub-account is protected"
            outcome = fill_at_open(state.account, (Exit(reason),), price, hour, adjacent=True, rules=rules)
            transaction.record_fills(outcome.fills, outcome.trades)
            transaction.save_state(replace(state, account=outcome.account))
        return ExecutionResult(fills=outcome.fills, trades=outcome.trades)
