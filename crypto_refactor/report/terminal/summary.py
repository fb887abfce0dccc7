"""A result in at most ten lines of plain text: the verdict first, then the figures."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.report.short_tables import TRIALS_SHOWN, Table, account_table, trial_table
from crypto_refactor.report.verdict_lines import comparison_title, comparison_verdict, run_title, run_verdict


def run_summary(result: RunResult, tz: ZoneInfo) -> str:
    """Return a run: the verdict, what was run, and the key figures of its accounts."""
    return "\n".join([run_verdict(result), run_title(result, tz), *_aligned(account_table(result))])


def comparison_summary(comparison: Comparison, tz: ZoneInfo) -> str:
    """Return a comparison: what is left of the best trial, what was compared, the first trials and what is not shown."""
    lines = [comparison_verdict(comparison), comparison_title(comparison, tz)]
    if comparison.trials:
        lines += _aligned(trial_table(comparison))
    more, gone = len(comparison.trials) - TRIALS_SHOWN, comparison.failed
    if more > 0:
        lines.append(f"… and {more} more in .table")
    if gone:
        names = ", ".join(str(failed.ticker) for failed in gone[:TRIALS_SHOWN])
        lines.append(
            f"Failed: {len(gone)} ({names}{', …' if len(gone) > TRIALS_SHOWN else ''}); why is in .failed"
        )
    return "\n".join(lines)


def _aligned(table: Table) -> Sequence[str]:
    """Return rows of cells as lines, the first columns flush left, the others flush right."""
    rows = [table.header, *table.rows]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.header))]
    return [
        "  ".join(
            cell.ljust(width) if column < table.names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
