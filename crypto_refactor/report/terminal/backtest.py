"""A backtest, or an evaluation of external targets, in the terminal: how it ended and what that proves first."""

from collections.abc import Mapping
from pathlib import Path
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.report import commentary
from crypto_refactor.report.formatting import money
from crypto_refactor.report.short_tables import account_table
from crypto_refactor.report.terminal.audit import audit_lines
from crypto_refactor.report.terminal.backtest_details import run_details
from crypto_refactor.report.terminal.equity_chart import small_chart
from crypto_refactor.report.terminal.signal import Commands
from crypto_refactor.report.terminal.summary import run_answer
from crypto_refactor.report.terminal.wrapping import MAX_PROSE, command_lines, entry, table_lines

_CHART_WIDTH = 80


def run_text(
    result: RunResult,
    tz: ZoneInfo,
    *,
    width: int = MAX_PROSE,
    details: bool = False,
    files: Mapping[str, Path] | None = None,
    commands: Commands | None = None,
) -> str:
    """Return a run as several lines.

    Parameters
    ----------
    result : RunResult
        A backtest, or an evaluation of external targets.
    tz : ZoneInfo
        Time zone of all times.
    width : int
        Columns of the terminal.
    details : bool
        Whether everything behind the answer follows it.
    files : mapping of str to Path, optional
        Files that were written, by what they hold.
    commands : mapping of str to sequence of str, optional
        Command lines to go on with, by their labels.
    """
    lines = [*run_answer(result, tz, width), *_checked(result, tz, width), ""]
    lines += [*table_lines(account_table(result), width=width), *_chart(result, width), ""]
    title, reasons = commentary.held_back(result)
    lines += entry(title, " ".join(reasons), width)
    if result.alpaca is None:  # its column is empty
        lines += entry("At Alpaca", commentary.alpaca_note(result, tz), width)
    for caution in commentary.cautions(result, tz):
        lines += entry("Note", caution, width)
    lines += entry("Next action", commentary.pending_text(result, tz), width)
    if files:
        lines += entry("Written", ", ".join(f"{path} ({kind})" for kind, path in files.items()), width)
    for label, words in (commands or {}).items():
        lines += command_lines(label, words, width)
    if details:
        lines += ["─" * min(width, MAX_PROSE), *run_details(result, tz, width)]
    else:
        lines += entry("More", _more(result, reported="report" in (files or {})), width)
    return "\n".join(lines)


def _more(result: RunResult, *, reported: bool) -> str:
    shown = "model, feature" if isinstance(result, BacktestResult) else "target, remark"
    return f"--details: every figure, {shown}" + ("" if reported else "; --report FILE.html: charts")


def _checked(result: RunResult, tz: ZoneInfo, width: int) -> list[str]:
    if isinstance(result, EvaluationResult):
        return entry("Checked", commentary.CANNOT_BE_AUDITED, width)
    if not isinstance(result, BacktestResult) or result.audit is None:
        return []
    if not result.audit.passed:
        return audit_lines(result.audit, tz, width)
    recomputed = f"{result.audit.bars_checked:,} of {result.audit.bars:,} decisions recomputed"
    return entry("Checked", f"Audit passed: no look-ahead in {recomputed}.", width)


def _chart(result: RunResult, width: int) -> list[str]:
    """Return the equity of the requested account as a small chart; none where it never changes."""
    equity = result.requested.simulation.equity.tolist()
    if min(equity) == max(equity):
        return []
    return small_chart(equity, label=money, title="Equity", width=min(width, _CHART_WIDTH))
