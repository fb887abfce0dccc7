"""An audit in the terminal: what was checked, the outcome, and the first figure that differs."""

from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.text import Text

from crypto_refactor.backtest.audit_findings import Audit, Difference, Value
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.commentary import AUDIT_TITLES, audit_line, window_text
from crypto_refactor.report.formatting import UNDEFINED, simulated_mark
from crypto_refactor.report.terminal.tables import plain_table


def print_audit(result: BacktestResult, audit: Audit, tz: ZoneInfo, console: Console) -> None:
    """Print the audit of a backtest, times in `tz`."""
    mark = simulated_mark(simulated=result.window.simulated)
    parts: list[RenderableType] = [
        Text(f"Audit of a backtest of {result.ticker}{mark}", style="bold"),
        window_text(result.window, tz),
        "",
        *audit_block(audit, tz),
    ]
    if not audit.full:
        parts += ["", "Recompute every decision with --full."]
    if result.pinned is None and all(check.name != "retraining" for check in audit.checks):
        parts += ["", "Train one model again with --retrain."]
    console.print(Group(*parts), highlight=False)


def audit_block(audit: Audit, tz: ZoneInfo) -> list[RenderableType]:
    """Return the outcome of every check, times in `tz`."""
    names = ("outcome", "check", "detail")
    table = plain_table(*names, left=names, wrap=("detail",), header=False)
    for check in audit.checks:
        mark = Text("passed") if check.passed else Text("FAILED", style="bold red")
        table.add_row(mark, AUDIT_TITLES[check.name], check.detail)
        if check.difference is not None:
            table.add_row("", "", difference_text(check.difference, tz))
    return [Text(audit_line(audit), style="bold" if audit.passed else "bold red"), table]


def difference_text(difference: Difference, tz: ZoneInfo) -> str:
    """Return one difference as a sentence."""
    return (
        f"First difference at {to_local_text(difference.bar, tz)}, {difference.column}: "
        f"{_exact(difference.run)} in the run, {_exact(difference.recomputed)} in the audit."
    )


def _exact(value: Value) -> str:
    # All digits: the difference may be in the last of them.
    return UNDEFINED if value is None else str(value) if isinstance(value, str) else repr(value)
