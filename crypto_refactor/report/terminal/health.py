"""The findings of `doctor` in the terminal."""

from collections import Counter
from collections.abc import Sequence
from textwrap import wrap

from rich.console import Console
from rich.text import Text

from crypto_refactor.report.formatting import simulated_mark
from crypto_refactor.trading.health.finding import Finding, State

_MARKS = {State.OK: "ok", State.WARNING: "WARNING", State.FAILED: "FAILED"}
_INDENT = 28
_STYLES = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "bold red"}


def print_findings(
    account: str | None, findings: Sequence[Finding], console: Console, *, simulated: bool
) -> None:
    """Print each finding, its remedy below it, and the count."""
    console.print(
        Text(
            f"Checks {'without an account' if account is None else f'for {account}'}{simulated_mark(simulated=simulated)}"
        )
    )
    for finding in findings:
        mark = Text(f"{_MARKS[finding.state]:<9}", style=_STYLES[finding.state])
        lines = wrap(finding.text, max(console.width - _INDENT, 20), break_long_words=False)
        for number, line in enumerate(lines):
            head = (
                Text.assemble(mark, f"{finding.check:<{_INDENT - 10}} ")
                if number == 0
                else Text(" " * _INDENT)
            )
            console.print(Text.assemble(head, line), soft_wrap=True)
        if finding.remedy is not None:  # in one piece, so that a command in it can be copied
            console.print(Text(f"{' ' * 9}-> {finding.remedy}"), soft_wrap=True)
    counts = Counter(finding.state for finding in findings)
    failed, warned = counts[State.FAILED], counts[State.WARNING]
    console.print(
        Text(f"{len(findings)} checks: {failed} failed, {warned} warning{'' if warned == 1 else 's'}."),
        soft_wrap=True,
    )
