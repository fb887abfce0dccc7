"""The findings of `doctor` in the terminal."""

from collections import Counter
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from crypto_refactor.report.formatting import simulated_mark
from crypto_refactor.report.terminal.tables import plain_table
from crypto_refactor.trading.health.finding import Finding, State

_MARKS = {State.OK: "ok", State.WARNING: "WARNING", State.FAILED: "FAILED"}
_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red"}


def print_findings(
    account: str | None, findings: Sequence[Finding], console: Console, *, simulated: bool
) -> None:
    """Print a line for each finding, its remedy below it, and the count."""
    console.print(Text(f"Checks for {account or 'a first run'}{simulated_mark(simulated=simulated)}"))
    table = plain_table(
        "", "check", "finding", left=("", "check", "finding"), wrap=("check", "finding"), header=False
    )
    table.columns[1].max_width = 16
    for finding in findings:
        remedy = "" if finding.remedy is None else f"\n-> {finding.remedy}"
        mark = Text(_MARKS[finding.state], style=_STYLES[finding.state])
        table.add_row(mark, Text(finding.check), Text(finding.text + remedy))
    console.print(table)
    counts = Counter(finding.state for finding in findings)
    failed, warned = counts[State.FAILED], counts[State.WARNING]
    console.print(
        Text(f"{len(findings)} checks: {failed} failed, {warned} warning{'' if warned == 1 else 's'}."),
        soft_wrap=True,
    )
