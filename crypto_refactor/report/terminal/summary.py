"""A result in a few lines of plain text, as a prompt shows it: the answer first, then the figures."""

from zoneinfo import ZoneInfo

from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.report.commentary import result_text
from crypto_refactor.report.short_tables import TRIALS_SHOWN, account_table, trial_table
from crypto_refactor.report.terminal.wrapping import MAX_PROSE, entry, table_lines, wrapped
from crypto_refactor.report.verdict_lines import (
    comparison_title,
    comparison_verdict,
    run_alarm,
    run_title,
    verdict_text,
)


def run_summary(result: RunResult, tz: ZoneInfo, width: int = MAX_PROSE) -> str:
    """Return a run: what was run, how it ended, the verdict, and the key figures of its accounts."""
    return "\n".join([*run_answer(result, tz, width), *table_lines(account_table(result), width=width)])


def run_answer(result: RunResult, tz: ZoneInfo, width: int) -> list[str]:
    """Return what was run, how it ended, and the verdict; what speaks against the figures comes before."""
    alarm = run_alarm(result)
    return [
        *([] if alarm is None else wrapped(alarm, width, 2)),
        *wrapped(run_title(result, tz), width, 2),
        *wrapped(result_text(result), width),
        *entry("Verdict", verdict_text(result), width),
    ]


def comparison_summary(comparison: Comparison, tz: ZoneInfo, width: int = MAX_PROSE) -> str:
    """Return a comparison: what is left of the best trial, what was compared, the first trials and what is not shown."""
    lines = [
        *wrapped(comparison_verdict(comparison), width),
        *wrapped(comparison_title(comparison, tz), width, 2),
    ]
    if comparison.trials:
        lines += table_lines(trial_table(comparison), width=width)
    more, gone = len(comparison.trials) - TRIALS_SHOWN, comparison.failed
    if more > 0:
        lines.append(f"… and {more} more in .table")
    if gone:
        names = ", ".join(str(failed.ticker) for failed in gone[:TRIALS_SHOWN])
        failed = (
            f"Failed: {len(gone)} ({names}{', …' if len(gone) > TRIALS_SHOWN else ''}); why is in .failed"
        )
        lines += wrapped(failed, width, 2)
    return "\n".join(lines)
