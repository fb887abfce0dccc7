"""The demo account in real time: the execution code fills at the latest price, at once."""

from __future__ import annotations

from dataclasses import replace

from crypto_refactor.errors import UnavailableError
from crypto_refactor.execution.bar_steps import BarOutcome, fill_at_open
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.explanations import unfilled_entry
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.realtime.trader import ExecutionResult, OrderPlan


class DemoExecutor:
    """Fills in the ledger what was decided, in the very transaction that records the decision.

    Parameters
    ----------
    ledger : Ledger
        Where the account lives.
    account : str
        Its name.
    source : Source
        Knows the latest price.
    """

    def __init__(self, ledger: Ledger, account: str, source: Source) -> None:
        self._ledger = ledger
        self._account = account
        self._source = source

    def recover(
        self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Do nothing: there is no order that only somebody else knows of."""
        return ExecutionResult()

    def execute(self, planned: OrderPlan) -> ExecutionResult:
        """Fill at the latest price, moved by slippage, and commit everything at once."""
        outcome = BarOutcome(planned.holding.account)
        if planned.decisions:
            price = fresh_price(self._source, planned.ticker, planned.hour, planned.close)
            outcome = fill_at_open(
                outcome.account,
                planned.decisions,
                price,
                planned.hour,
                adjacent=True,
                rules=planned.rules,
            )
        with self._ledger.transaction(self._account, planned.ticker) as writer:
            planned.write(writer)
            writer.record_fills(outcome.fills, outcome.trades)
            writer.save_state(replace(planned.holding, account=outcome.account))
        return ExecutionResult(
            fills=outcome.fills,
            trades=outcome.trades,
            notes=unfilled_entry(planned.decisions, outcome.fills),
        )


def fresh_price(source: Source, ticker: Ticker, hour: int, close: float) -> float:
    """Return the latest trade's price, or the `close` of the bar of `hour` where no trade came after it.

    Alpaca's bars follow its quotes, and its trades may be hours apart.
    """
    try:
        latest = source.latest_price(ticker)
    except UnavailableError:
        return close
    return latest.price if latest.at >= to_iso(hour) else close
