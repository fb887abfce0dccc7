"""An evaluation of somebody else's targets for people."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.text import Text

from crypto_refactor.backtest.evaluation import Evaluation
from crypto_refactor.backtest.metrics import MIN_HOURS_FOR_A_YEARLY_RATE, by_side
from crypto_refactor.execution.account import Trade
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.report.backtest_text import rules_text
from crypto_refactor.report.evaluation_json import alpaca_note, wanted_counts
from crypto_refactor.report.format import money, percent, price, source_name
from crypto_refactor.report.metrics_table import metrics_table
from crypto_refactor.signals.signal import DIRECTIONS


def print_evaluation(found: Evaluation, tz: ZoneInfo, console: Console) -> None:
    """Print the human view, times in `tz`."""
    table = metrics_table(found)  # type: ignore[arg-type]  # it reads what both have
    parts = [
        Text(found.verdict.text, style="bold"),
        "",
        *_headline(found, tz),
        table,
        "",
        *_notes(found),
        "",
        *_trades(found, tz),
    ]
    console.print(Group(*parts), highlight=False, markup=False)


def _headline(found: Evaluation, tz: ZoneInfo) -> list[RenderableType]:
    bars, mark = found.window, "   SIMULATED" if found.window.simulated else ""
    first, last = to_local_text(int(bars.opened[1]), tz), to_local_text(int(bars.closed[-1]), tz)
    counts = wanted_counts(found)
    lines: list[RenderableType] = [
        Text(f"Evaluation of targets {found.ticker}{mark}", style="bold"),
        f"{first} to {last}: {len(bars) - 1:,} hourly bars from {source_name(bars.source)}",
        rules_text(found.columns.rules),
        (
            f"Targets: {len(found.targets)} rows of {found.targets.path}; long at {counts['long']} closes, flat at "
            f"{counts['flat']}, short at {counts['short']}. An hour without a row keeps the last target."
        ),
    ]
    if found.targets.ignored:
        lines.append(f"Columns that were ignored: {', '.join(found.targets.ignored)}.")
    return [*lines, ""]


def _notes(found: Evaluation) -> list[RenderableType]:
    run, quality = found.columns.run, found.quality
    notes: list[RenderableType] = [f"At Alpaca: {alpaca_note(found)}"]
    if found.hours < MIN_HOURS_FOR_A_YEARLY_RATE:
        notes.append("CAGR and Calmar are withheld below 90 days: they would only magnify a short window.")
    if found.significance.break_even.reason is not None:
        notes.append(f"There is no break-even fee: {found.significance.break_even.reason}.")
    if run.halted_at is not None:
        notes.append(f"Entries were halted by the drawdown at {to_iso(run.halted_at)}.")
    if quality.synthetic or quality.missing:
        notes.append(
            f"{quality.synthetic} hours without a bar were carried and {quality.missing} left open; "
            "nothing is decided or filled on them."
        )
    if found.between_bars:
        notes.append(
            f"{found.between_bars} targets were made where there was no bar; they count from the next close on."
        )
    notes.append("Whether these targets were made without knowing later bars cannot be checked here.")
    return notes


def _trades(found: Evaluation, tz: ZoneInfo) -> list[RenderableType]:
    run = found.columns.run
    lines: list[RenderableType] = [
        f"{name.capitalize()}: {figures['trades']} closed, win rate {percent(figures['win_rate'], 1)}, "
        f"net {money(figures['net_pnl'])}, fees {money(figures['fees_paid'])}."
        for name, figures in by_side(run.trades).items()
        if figures["trades"] or figures["net_pnl"]
    ]
    lines += [_still_held(found, trade, tz) for trade in run.trades if not trade.closed]
    decisions = [
        f"enter {DIRECTIONS[decision.side]}" if isinstance(decision, Enter) else f"exit ({decision.reason})"
        for decision in run.pending
    ]
    pending = " then ".join(decisions) if decisions else "nothing to do"
    at = to_local_text(int(found.window.closed[-1]), tz)
    return [*lines, f"Wanted at {at}, to be filled at the next open: {pending}."]


def _still_held(found: Evaluation, trade: Trade, tz: ZoneInfo) -> str:
    return (
        f"Still held at the end: {DIRECTIONS[trade.direction]} {trade.quantity:,.6g} {found.ticker.base} since "
        f"{to_local_text(trade.entered, tz)}, from {price(trade.entry_price)} to {price(trade.exit_price)}, "
        f"net {money(trade.net_pnl)} so far (in the final balance, not in the win rate)."
    )
