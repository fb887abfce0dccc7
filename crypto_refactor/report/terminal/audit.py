"""An audit in the terminal: what was checked, the outcome, and the first figure that differs."""

from zoneinfo import ZoneInfo

from crypto_refactor.backtest.audit_findings import Audit, Difference, Value
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.commentary import AUDIT_TITLES, audit_line
from crypto_refactor.report.formatting import UNDEFINED
from crypto_refactor.report.terminal.wrapping import MAX_PROSE, wrapped
from crypto_refactor.report.verdict_lines import run_title

_INDENT = 8


def audit_text(result: BacktestResult, audit: Audit, tz: ZoneInfo, width: int = MAX_PROSE) -> str:
    """Return the audit of a backtest, times in `tz`."""
    lines = [*wrapped(f"Audit of {run_title(result, tz)}", width, 2), *audit_lines(audit, tz, width)]
    further = []
    if not audit.full:
        further.append("--full recomputes every decision")
    if result.pinned is None and all(check.name != "retraining" for check in audit.checks):
        further.append("--retrain trains one model again")
    if further:
        lines += wrapped(f"More: {'; '.join(further)}.", width, 2)
    return "\n".join(lines)


def audit_lines(audit: Audit, tz: ZoneInfo, width: int) -> list[str]:
    """Return the outcome of every check, times in `tz`."""
    lines = wrapped(audit_line(audit), width, 2)
    for check in audit.checks:
        mark = "passed" if check.passed else "FAILED"
        lines += wrapped(f"{mark}  {AUDIT_TITLES[check.name]}: {check.detail}", width, _INDENT)
        if check.difference is not None:
            indent = "\N{NO-BREAK SPACE}" * _INDENT
            lines += wrapped(indent + difference_text(check.difference, tz), width, _INDENT)
    return lines


def difference_text(difference: Difference, tz: ZoneInfo) -> str:
    """Return one difference as a sentence."""
    return (
        f"First difference at {to_local_text(difference.bar, tz)}, {difference.column}: "
        f"{_exact(difference.run)} in the run, {_exact(difference.recomputed)} in the audit."
    )


def _exact(value: Value) -> str:
    # All digits: the difference may be in the last of them.
    return UNDEFINED if value is None else str(value) if isinstance(value, str) else repr(value)
