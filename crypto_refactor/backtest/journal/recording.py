"""Record runs, and let what came before them count in their verdicts and deflated Sharpe ratios."""

from dataclasses import replace
from typing import TypeVar

from crypto_refactor.backtest.comparison.request import pinned_name, places
from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.comparison.selection import HeldOutTest
from crypto_refactor.backtest.comparison.trials import result_of
from crypto_refactor.backtest.journal.store import Journal
from crypto_refactor.backtest.journal.trial_record import TrialRecord, record_of
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.backtest.significance.earlier_trials import EarlierTrials

BACKTEST, COMPARE, EVALUATE = "backtest", "compare", "evaluate"
Run = TypeVar("Run", bound=RunResult)


def record_run(journal: Journal, result: Run, command: str) -> Run:
    """Record a run with its verdict, and return it with what came before it."""

    def judge(earlier: EarlierTrials) -> str | None:
        verdict = replace(result, earlier=earlier).verdict
        return None if verdict is None else verdict.code

    return replace(result, earlier=journal.record([record_of(result, command)], judge))


def record_comparison(journal: Journal, comparison: Comparison) -> Comparison:
    """Record the trials of a comparison, in the order of the request, and return it with what came before them."""
    return comparison.counting(journal.record(_records(comparison)))


def record_held_out(journal: Journal, held_out: HeldOutTest) -> HeldOutTest:
    """Record a choice, then the chosen trial on the rest, then all others there, which it was held against."""
    choice = record_comparison(journal, held_out.choice)
    chosen = None if held_out.chosen is None else record_run(journal, held_out.chosen, COMPARE)
    if held_out.rest is not None:
        recorded = None if chosen is None else record_of(chosen, COMPARE).key
        journal.record([trial for trial in _records(held_out.rest) if trial.key != recorded])
    return replace(held_out, choice=choice, chosen=chosen)


def _records(comparison: Comparison) -> list[TrialRecord]:
    if comparison.end is None:
        return []
    place, pinned = places(comparison.request), pinned_name(comparison.request)
    trials = sorted(comparison.trials, key=lambda trial: (place[trial.parameter_set], place[trial.ticker]))
    return [record_of(result_of(trial, comparison.end, pinned), COMPARE) for trial in trials]
