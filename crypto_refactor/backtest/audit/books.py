"""The accounts the audit goes through: this run, and the same at Alpaca."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.execution.rules import ExecutionRules

if TYPE_CHECKING:
    from crypto_refactor.backtest.backtester import BacktestResult


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRun:
    """One account.

    Attributes
    ----------
    label : str
        What is appended to the name of a column of this account.
    run : Simulation
        What happened to it.
    rules : ExecutionRules
        What it went by.
    metrics : Metrics
        What is told about it.
    """

    label: str
    run: Simulation
    rules: ExecutionRules
    metrics: Metrics


def account_runs(result: BacktestResult) -> list[AccountRun]:
    """Return this run's account and, where there is one, that at Alpaca."""
    found = [AccountRun(label="", run=result.run, rules=result.rules, metrics=result.metrics)]
    run, rules, metrics = result.at_alpaca, result.alpaca_rules, result.alpaca_metrics
    if run is not None and rules is not None and metrics is not None:
        found.append(AccountRun(label=" at Alpaca", run=run, rules=rules, metrics=metrics))
    return found
