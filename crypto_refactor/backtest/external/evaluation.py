"""Evaluate external targets with the engine, the costs and the metrics of a backtest."""

from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.arguments import is_whole
from crypto_refactor.arrays import SideArray
from crypto_refactor.backtest.external.one_hour_later import OneHourLater, trade_one_hour_later
from crypto_refactor.backtest.external.target_file import ExternalTargets
from crypto_refactor.backtest.result import RunResult, plan_of_sides
from crypto_refactor.backtest.scenarios import check_request, run_scenarios
from crypto_refactor.backtest.significance.summary import significance_of
from crypto_refactor.backtest.significance.verdict import NO_EVIDENCE, TOO_FEW, Verdict, with_place
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import require_plausible, trusted
from crypto_refactor.market.quality import quality_report, require_complete, require_recent
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.history import window_of
from crypto_refactor.sides import Side


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EvaluationResult(RunResult):
    """The result of trading external targets."""

    targets: ExternalTargets
    sides: SideArray  # the target in force at each close, shape (n + 1,): it holds until the next one
    between_bars: int  # targets made at an hour without a bar; they count from the next close on
    one_hour_later: OneHourLater

    @property
    def side_counts(self) -> dict[str, int]:
        """Number of real closes at which each side was the target."""
        sides = self.sides[~self.window.synthetic]
        return {side.label: int((sides == side).sum()) for side in Side}

    @property
    def verdict(self) -> Verdict | None:
        """The verdict on the run; a result that hangs on one hour is no evidence."""
        found, dependence = super().verdict, self.one_hour_later.dependence
        if found is None or dependence is None or found.code == TOO_FEW:
            return found
        text = with_place("No evidence of an edge: the result hangs on one hour.", self.earlier)
        return replace(found, code=NO_EVIDENCE, text=text)

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
    allow_jumps: bool = False,
) -> EvaluationResult:
    """Trade targets over the window from the first to the last of them.

    A target made at a close is filled at the next open; the one at the end of the window stays pending, as in a
    backtest.  The account closes its position as soon as the target is no longer its side.  The same targets are
    traded one hour later too.

    Parameters
    ----------
    source : Source
        Where bars come from.
    ticker : Ticker
        The ticker that the targets are for.
    targets : ExternalTargets
        From `read_targets`.
    options : ExecutionOptions
        The execution rules; ``exit`` and ``strict`` need a forecast and keep their defaults.
    hours, end : int, optional
        Length and end of a shorter window within that of the targets.
    initial_balance : float
        Quote currency.
    allow_gaps : bool
        Accept more than 5 % missing bars.
    allow_jumps : bool
        Accept bad ticks and level breaks, and leave them out of every figure.

    Raises
    ------
    UsageError, DataError
        If the request, a target or the bars cannot be used.
    """
    start, end = _window(targets, hours, end)
    check_request(end - start, initial_balance)
    options.resolve(ticker)
    bars = source.bars(ticker, start - 1 - MAX_FILLED_GAP_HOURS, end)
    targets.require_bars(bars, start, end)
    window = window_of(trusted(bars), end - start, end)
    require_recent(bars, end)
    quality = quality_report(fill_gaps(bars), start, end)
    require_complete(quality, allow_gaps=allow_gaps)
    require_plausible(quality.jumps, bars, allow_jumps=allow_jumps)
    sides = targets.at(window.closed)
    plan = plan_of_sides(sides)
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
        one_hour_later=trade_one_hour_later(targets, window, run, scenarios.buy_and_hold, hours=end - start),
        between_bars=int((~np.isin(made_at, window.without_synthetic().closed)).sum()),
        scenarios=scenarios,
        significance=significance_of(run.simulation, window, plan, run.rules),
    )


def _window(targets: ExternalTargets, hours: int | None, end: int | None) -> tuple[int, int]:
    """Return the hours of the first and the last decision, or raise UsageError if they lie outside the targets."""
    first, last = int(targets.made_at[0]), int(targets.made_at[-1])
    span = f"a window within the targets: {to_iso(first)} to {to_iso(last)} ({last - first} h)."
    end = last if end is None else end
    if not first < end <= last:
        raise UsageError(
            f"The window would end at {to_iso(end)}.",
            expected=span,
            remedy="correct --end, or omit it to end at the last target.",
        )
    hours = end - first if hours is None else hours
    if not is_whole(hours):
        raise UsageError.invalid("--hours", hours, "a whole number")
    if end - hours < first:
        raise UsageError(
            f"--hours is {hours}, so the window would begin at {to_iso(end - hours)}.",
            expected=span,
            remedy=f"use --hours {end - first} at most, or omit it to use all targets.",
        )
    return end - hours, end
