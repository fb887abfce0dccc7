"""The audit for people and as JSON: what was checked, what was found, and the first figure that differs."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from crypto_refactor.backtest.audit.findings import Audit, Difference, Value
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.commentary import window_text
from crypto_refactor.report.documents.backtest import settings_json
from crypto_refactor.report.documents.run import head_json
from crypto_refactor.report.formatting import UNDEFINED

SCHEMA = 1
TITLES = {
    "signals": "Look-ahead",
    "models": "Models",
    "start": "Start of the data",
    "fills": "Fills",
    "accounting": "Accounting",
}


def audit_line(audit: Audit) -> str:
    """Return the outcome in one sentence."""
    looked = f"{audit.bars_checked:,} of {audit.bars:,} closes decided again"
    if audit.passed:
        return f"Audit passed: {looked} from the bars known then, models, fills and account checked whole."
    failed = ", ".join(TITLES[check.name].lower() for check in audit.checks if not check.passed)
    return f"AUDIT FAILED ({failed}): {looked}. The figures of this run are not to be believed."


def audit_block(audit: Audit, tz: ZoneInfo) -> list[RenderableType]:
    """Return an account of every check, times in `tz`."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for check in audit.checks:
        mark = Text("passed") if check.passed else Text("FAILED", style="bold red")
        table.add_row(mark, TITLES[check.name], check.detail)
        if check.difference is not None:
            table.add_row("", "", difference_text(check.difference, tz))
    return [Text(audit_line(audit), style="bold" if audit.passed else "bold red"), table]


def difference_text(difference: Difference, tz: ZoneInfo) -> str:
    """Return one difference as a sentence."""
    return (
        f"First at {to_local_text(difference.bar, tz)}, {difference.column}: "
        f"{_shown(difference.run)} in the run, {_shown(difference.recomputed)} in the audit."
    )


def print_audit(result: BacktestResult, audit: Audit, tz: ZoneInfo, console: Console) -> None:
    """Print the human view of `crypto-refactor audit`."""
    mark = "   SIMULATED" if result.window.simulated else ""
    lines: list[RenderableType] = [
        Text(f"Audit of a backtest of {result.ticker}{mark}", style="bold"),
        window_text(result.window, tz),
        "",
        *audit_block(audit, tz),
    ]
    if not audit.full:
        lines += ["", "Decide every close again with --full."]
    console.print(Group(*lines), highlight=False)


def audit_json(result: BacktestResult, audit: Audit) -> dict[str, object]:
    """Return the JSON of `crypto-refactor audit`: what was run, and under ``audit`` what was found."""
    return {
        "schema": SCHEMA,
        **head_json(result),
        "settings": settings_json(result),
        "audit": audit.to_dict(),
    }


def _shown(value: Value) -> str:
    # All digits: what differs may be the last of them.
    return UNDEFINED if value is None else str(value) if isinstance(value, str) else repr(value)
