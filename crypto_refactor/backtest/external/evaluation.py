"""Somebody else's targets through the same engine, costs and metrics as a backtest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import SideArray
from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.external.target_file import ExternalTargets
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.scenarios import Scenarios, check_request, run_scenarios
from crypto_refactor.backtest.significance.summary import Significance, significance_of
from crypto_refactor.backtest.significance.verdict import Verdict, verdict
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS, Bars, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.quality import QualityReport, quality_report, require_complete, require_recent
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.history import window_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EvaluationResult:
    """What somebody else's targets came to.

    Attributes
    ----------
    targets : ExternalTargets
        As they were read.
    end : int
        End of the window.
    window : Bars
        n + 1 carried bars: the one that makes the first decision, then the n of the window.
    quality : QualityReport
        Of the window.
    wanted : ndarray of int8, shape (n + 1,)
        The target known at each close: a row's stays until the next row.
    between_bars : int
        Rows of the window made where there was no bar; they count from the next close on.
    columns : Scenarios
        This run, at Alpaca, buy and hold.
    significance : Significance
        What tells this run from luck; it knows of no forecasts.
    """

    targets: ExternalTargets
    end: int
    window: Bars
    quality: QualityReport
    wanted: SideArray
    between_bars: int
    columns: Scenarios
    significance: Significance

    @property
    def ticker(self) -> Ticker:
        """What was traded."""
        return self.window.ticker

    @property
    def hours(self) -> int:
        """Length of the window."""
        return self.end - int(self.window.closed[0])

    @property
    def rules(self) -> ExecutionRules:
        """What this run went by."""
        return self.columns.rules

    @property
    def alpaca_rules(self) -> ExecutionRules | None:
        """What the run at Alpaca went by; None where it does not trade the ticker."""
        return self.columns.alpaca_rules

    @property
    def run(self) -> Simulation:
        """The targets by the rules asked for."""
        return self.columns.run

    @property
    def at_alpaca(self) -> Simulation | None:
        """The same targets at Alpaca; None where it does not trade the ticker."""
        return self.columns.at_alpaca

    @property
    def hold(self) -> Simulation:
        """Buying and holding."""
        return self.columns.hold

    @property
    def metrics(self) -> Metrics:
        """Of this run."""
        return self.columns.metrics

    @property
    def hold_metrics(self) -> Metrics:
        """Of buying and holding."""
        return self.columns.hold_metrics

    @property
    def alpaca_metrics(self) -> Metrics | None:
        """Of the same targets at Alpaca; None where it does not trade the ticker."""
        return self.columns.alpaca_metrics

    @property
    def verdict(self) -> Verdict:
        """Whether there is evidence of an edge; never so, because where targets come from cannot be audited."""
        return verdict(self.metrics, self.hours, self.significance, None)

    @property
    def wanted_counts(self) -> dict[str, int]:
        """At how many real closes each side was wanted."""
        wanted = self.wanted[~self.window.synthetic]
        return {name: int((wanted == side).sum()) for name, side in (("long", 1), ("flat", 0), ("short", -1))}

    def why_no_entry(self, rules: ExecutionRules) -> str:  # noqa: ARG002 - a backtest's answer depends on them
        """Say that nothing was entered; whoever made the targets may know why."""
        return "No entry was filled there."


def evaluate_targets(
    source: Source,
    ticker: Ticker,
    targets: ExternalTargets,
    options: ExecutionOptions,
    *,
    hours: int | None = None,
    end: int | None = None,
    initial_balance: float = 100_000.0,
    allow_gaps: bool = False,
) -> EvaluationResult:
    """Trade targets over the window from the first to the last of them.

    A target made at a close is filled at the next open, and the one at the end of the window is pending, as
    in a backtest.  Flat means flat: the account leaves as soon as the target is no longer its side.

    Parameters
    ----------
    source : Source
        Where bars come from.
    ticker : Ticker
        Of the targets.
    targets : ExternalTargets
        From `read_targets`.
    options : ExecutionOptions
        Execution rules; ``exit`` and ``strict`` ask for a forecast and stay at their defaults.
    hours, end : int or None
        A shorter window within that of the targets.
    initial_balance : float
        Quote currency.
    allow_gaps : bool
        Accept more than 5 % missing bars.

    Raises
    ------
    UsageError, DataError
        If the request, a target or the bars are not as they must be.
    """
    start, end = _window(targets, hours, end)
    check_request(end - start, initial_balance)
    options.resolve(ticker)
    bars = source.bars(ticker, start - 1 - MAX_FILLED_GAP_HOURS, end)
    targets.require_bars(bars, start, end)
    window = window_of(bars, end - start, end)
    require_recent(bars, end)
    quality = quality_report(fill_gaps(bars), start, end)
    require_complete(quality, allow_gaps=allow_gaps)
    wanted = targets.at(window.closed)
    always = np.ones(len(window), dtype=np.bool_)
    plan = SignalPlan(signal=wanted, forecast_side=wanted, worthwhile=always, decidable=always)
    made = targets.made_at[targets.within(start, end)]
    columns = run_scenarios(
        window, lambda _: plan, options, hours=end - start, initial_balance=initial_balance
    )
    return EvaluationResult(
        targets=targets,
        end=end,
        window=window,
        quality=quality,
        wanted=wanted,
        between_bars=int((~np.isin(made, window.only_real().closed)).sum()),
        columns=columns,
        significance=significance_of(columns.run, window, plan, columns.rules),
    )


def _window(targets: ExternalTargets, hours: int | None, end: int | None) -> tuple[int, int]:
    """Return first and last decision.

    Raises
    ------
    UsageError
        If they do not lie within the targets.
    """
    first, last = int(targets.made_at[0]), int(targets.made_at[-1])
    span = (
        f"a window within the targets, which reach from {to_iso(first)} to {to_iso(last)} ({last - first} h)."
    )
    end = last if end is None else end
    if not first < end <= last:
        raise UsageError(
            f"The window would end at {to_iso(end)}.",
            expected=span,
            remedy="correct --end, or leave it out for the last target.",
        )
    hours = end - first if hours is None else hours
    if end - hours < first:
        raise UsageError(
            f"--hours is {hours}, so the window would begin at {to_iso(end - hours)}.",
            expected=span,
            remedy=f"use --hours {end - first} at most, or leave it out for all targets.",
        )
    return end - hours, end
