"""External targets through the same engine, costs and metrics as a backtest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import SideArray
from crypto_refactor.backtest.external.target_file import ExternalTargets
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.backtest.scenarios import check_request, run_scenarios
from crypto_refactor.backtest.significance.summary import significance_of
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.quality import quality_report, require_complete, require_recent
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.history import window_of
from crypto_refactor.sides import Side


@dataclass(frozen=True, kw_only=True, eq=False)
class EvaluationResult(RunResult):
    """The outcome of trading external targets.

    Attributes
    ----------
    targets : ExternalTargets
        The targets of the file.
    sides : ndarray of int8, shape (n + 1,)
        The target in force at each close: a row's target holds until the next row.
    between_bars : int
        Rows of the window made where there was no bar; they count from the next close on.
    """

    targets: ExternalTargets
    sides: SideArray
    between_bars: int

    @property
    def side_counts(self) -> dict[str, int]:
        """Number of real closes at which each side was the target."""
        sides = self.sides[~self.window.synthetic]
        return {side.label: int((sides == side).sum()) for side in Side}

    def why_no_entry(self, rules: ExecutionRules) -> str:  # noqa: ARG002 - only a backtest knows more
        """State that nothing was entered."""
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
    sides = targets.at(window.closed)
    always = np.ones(len(window), dtype=np.bool_)
    plan = SignalPlan(signal=sides, forecast_side=sides, exceeds_cost=always, decidable=always)
    made_at = targets.made_at[targets.within(start, end)]
    scenarios = run_scenarios(
        window, lambda _: plan, options, hours=end - start, initial_balance=initial_balance
    )
    run = scenarios.requested
    return EvaluationResult(
        targets=targets,
        end=end,
        window=window,
        quality=quality,
        sides=sides,
        between_bars=int((~np.isin(made_at, window.only_real().closed)).sum()),
        scenarios=scenarios,
        significance=significance_of(run.simulation, window, plan, run.rules),
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
