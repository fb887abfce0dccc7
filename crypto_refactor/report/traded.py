"""What a backtest and an evaluation of somebody else's targets have in common."""

from __future__ import annotations

from typing import Protocol

from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.backtest.significance.verdict import Verdict
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.quality import QualityReport
from crypto_refactor.market.ticker import Ticker


class RunResult(Protocol):
    """A window that was traded, whoever decided."""

    @property
    def ticker(self) -> Ticker:
        """What was traded."""

    @property
    def end(self) -> int:
        """End of the window."""

    @property
    def hours(self) -> int:
        """Length of the window."""

    @property
    def window(self) -> Bars:
        """The bar that makes the first decision, then those of the window."""

    @property
    def quality(self) -> QualityReport:
        """Of the bars used."""

    @property
    def rules(self) -> ExecutionRules:
        """What `run` went by."""

    @property
    def alpaca_rules(self) -> ExecutionRules | None:
        """What `at_alpaca` went by; None where Alpaca does not trade the ticker."""

    @property
    def run(self) -> Simulation:
        """What came of it by the rules asked for."""

    @property
    def at_alpaca(self) -> Simulation | None:
        """The same by Alpaca's rules."""

    @property
    def hold(self) -> Simulation:
        """Buying at the first open, and holding."""

    @property
    def metrics(self) -> Metrics:
        """Of `run`."""

    @property
    def alpaca_metrics(self) -> Metrics | None:
        """Of `at_alpaca`."""

    @property
    def hold_metrics(self) -> Metrics:
        """Of `hold`."""

    @property
    def significance(self) -> Significance | None:
        """What tells `run` from luck; None where that was not asked for."""

    @property
    def verdict(self) -> Verdict | None:
        """Whether there is evidence of an edge; None where that was not asked for."""

    def why_no_entry(self, rules: ExecutionRules) -> str:
        """Say in one sentence why nothing was entered by `rules`, where nothing was."""
