"""A backtest for people: what came of it, beside Alpaca and buy-and-hold, and what held it back."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.commentary import (
    backtest_remarks,
    no_break_even,
    pending_text,
    position_lines,
    repeat_text,
    signal_remarks,
    window_text,
)
from crypto_refactor.report.formatting import UNDEFINED, number, percent
from crypto_refactor.report.rules_summary import rules_text
from crypto_refactor.report.terminal.audit import audit_block, audit_line
from crypto_refactor.report.terminal.metrics_table import metrics_table
from crypto_refactor.signals.conditions import DESCRIPTIONS


def print_backtest(result: BacktestResult, tz: ZoneInfo, console: Console) -> None:
    """Print the human view, times in `tz`."""
    console.print(
        Group(
            *_verdict(result, tz),
            *_headline(result, tz),
            metrics_table(result),
            "",
            *backtest_remarks(result, tz),
            *no_break_even(result),
            "",
            _models_table(result, tz),
            *_signals(result, tz),
            "",
            _conditions_table(result),
            "",
            _correlation_table(result),
            "",
            pending_text(result, tz),
            repeat_text(result),
        ),
        highlight=False,
    )


def _verdict(result: BacktestResult, tz: ZoneInfo) -> list[RenderableType]:
    lines: list[RenderableType] = []
    if result.verdict is not None:
        lines.append(Text(result.verdict.text, style="bold"))
    if result.audit is not None:
        lines += [audit_line(result.audit)] if result.audit.passed else audit_block(result.audit, tz)
    return [*lines, ""] if lines else []


def _headline(result: BacktestResult, tz: ZoneInfo) -> list[RenderableType]:
    mark = "   SIMULATED" if result.window.simulated else ""
    return [
        Text(f"Backtest {result.ticker}{mark}", style="bold"),
        window_text(result.window, tz),
        rules_text(result.requested.rules),
        _models_text(result),
        "",
    ]


def _models_text(result: BacktestResult) -> str:
    settings, card = result.settings, result.walk.stretches[0].model.card
    spans = f"{settings.train_hours:,} h to learn, refitted every {settings.refit_every:,} h"
    if result.pinned is not None:
        spans = f"pinned, {card.rows:,} rows"
    return (
        f"Models: {card.network} network, lookback {card.lookback}, seed {card.seed}, {spans}; "
        f"{result.signal_rules.min_confirmations} of 9 confirmations."
    )


def _models_table(result: BacktestResult, tz: ZoneInfo) -> Table:
    trained = result.walk.trained
    title = "nothing was trained" if not trained else f"{trained} trained for this run"
    count = len({stretch.model.path for stretch in result.walk.stretches})
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title=f"Models: {count} ({title})" if result.pinned is None else f"Model pinned: {result.pinned}",
        title_justify="left",
        title_style="bold",
    )
    for name in ("decided from", "through", "model learnt through", "slope ± SE", "RMSE / zero", "weights"):
        table.add_column(name, overflow="fold")
    for stretch in result.walk.stretches:
        card = stretch.model.card
        table.add_row(
            to_local_text(stretch.period.first, tz),
            to_local_text(stretch.period.last, tz),
            to_local_text(card.trained_through, tz),
            f"{number(card.evidence.slope)} ± {number(card.evidence.slope_se)}",
            number(card.evidence.rmse_ratio, 4),
            card.fingerprint,
        )
    return table


def _signals(result: BacktestResult, tz: ZoneInfo) -> list[RenderableType]:
    counted, *others = signal_remarks(result)
    return [
        "",
        Text("Signals", style="bold"),
        f"{counted} {others[0]}",
        *others[1:],
        *position_lines(result, tz),
    ]


def _conditions_table(result: BacktestResult) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title="Conditions",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("")
    table.add_column("asks (long)")
    for name in ("long holds", "short holds", "vetoes"):
        table.add_column(name, justify="right")
    for name, figures in result.diagnostics.conditions.items():
        table.add_row(
            name,
            DESCRIPTIONS[name][0],
            percent(figures.long_pass_rate, 1),
            percent(figures.short_pass_rate, 1),
            UNDEFINED if name == "forecast" else str(figures.vetoes),
        )
    return table


def _correlation_table(result: BacktestResult) -> Table:
    table = Table(
        box=None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        title="Correlation of each feature with the next return",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("")
    for name in ("in training", "out of sample", "noise"):
        table.add_column(name, justify="right")
    for name, figures in result.diagnostics.correlations.items():
        found = figures.out_of_sample
        beyond = found is not None and figures.noise is not None and abs(found) > figures.noise
        table.add_row(
            name,
            number(figures.train, 3),
            number(found, 3) + (" *" if beyond else "  "),
            f"± {number(figures.noise, 3)}",
        )
    return table
