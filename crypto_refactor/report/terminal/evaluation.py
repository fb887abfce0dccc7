"""An evaluation of somebody else's targets for people."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Console, Group
from rich.text import Text

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.report.commentary import (
    CANNOT_BE_AUDITED,
    evaluation_remarks,
    no_break_even,
    pending_text,
    position_lines,
    repeat_text,
    target_remarks,
    window_text,
)
from crypto_refactor.report.rules_summary import rules_text
from crypto_refactor.report.terminal.metrics_table import metrics_table


def print_evaluation(found: EvaluationResult, tz: ZoneInfo, console: Console) -> None:
    """Print the human view, times in `tz`."""
    mark = "   SIMULATED" if found.window.simulated else ""
    read, *others = target_remarks(found)
    parts = Group(
        Text("" if found.verdict is None else found.verdict.text, style="bold"),
        "",
        Text(f"Evaluation of targets {found.ticker}{mark}", style="bold"),
        window_text(found.window, tz),
        rules_text(found.requested.rules),
        f"Targets: {read}",
        *others,
        "",
        metrics_table(found),
        "",
        *evaluation_remarks(found, tz),
        *no_break_even(found),
        CANNOT_BE_AUDITED,
        "",
        *position_lines(found, tz),
        pending_text(found, tz),
        repeat_text(found),
    )
    # What somebody else has written stays what it is, square brackets and all.
    console.print(parts, highlight=False, markup=False)
