"""A backtest for people: what came of it, beside Alpaca and buy-and-hold, and what held it back."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from crypto_refactor.backtest.backtester import BacktestResult
from crypto_refactor.backtest.metrics import MIN_HOURS_FOR_A_YEARLY_RATE, by_side
from crypto_refactor.backtest.statistics import (
    EntryFigures,
    condition_figures,
    entry_figures,
    feature_correlations,
    signal_counts,
    what_held_back,
    why_no_entry,
)
from crypto_refactor.backtest.verdict import MIN_TRADES
from crypto_refactor.execution.account import Trade
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.rules import Rules
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.report.audit_text import audit_block, audit_line
from crypto_refactor.report.backtest_json import alpaca_note
from crypto_refactor.report.format import UNDEFINED, money, number, percent, price, source_name
from crypto_refactor.report.metrics_table import metrics_table
from crypto_refactor.signals.conditions import DESCRIPTIONS
from crypto_refactor.signals.signal import DIRECTIONS

FEW_TRADES = MIN_TRADES


def print_backtest(result: BacktestResult, tz: ZoneInfo, console: Console) -> None:
    """Print the human view, times in `tz`."""
    console.print(
        Group(
            *_verdict(result, tz),
            *_headline(result, tz),
            metrics_table(result),
            *_notes(result),
            "",
            _models_table(result, tz),
            *_signals(result, tz),
            "",
            _conditions_table(result),
            "",
            _correlation_table(result),
            "",
            *_ending(result, tz),
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
    bars, mark = result.window, "   SIMULATED" if result.window.simulated else ""
    first, last = to_local_text(int(bars.opened[1]), tz), to_local_text(int(bars.closed[-1]), tz)
    return [
        Text(f"Backtest {result.ticker}{mark}", style="bold"),
        f"{first} to {last}: {len(bars) - 1:,} hourly bars from {source_name(bars.source)}",
        rules_text(result.rules),
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


def rules_text(rules: Rules) -> str:
    """Return the execution rules in one line."""
    parts = [
        f"fee {percent(rules.fee)} a fill, round trip {percent(rules.round_trip_cost)}",
        f"exit {rules.exit}",
        "long only"
        if rules.long_only
        else "long and short (shorts are hypothetical: no spot venue offers them)",
    ]
    optional = (
        (rules.slippage_bps > 0, f"slippage {rules.slippage_bps:g} bps"),
        (rules.position_size < 1, f"position size {percent(rules.position_size, 0)}"),
        (rules.strict, "strict entries"),
        (rules.borrow > 0, f"borrow {percent(rules.borrow)} a year"),
        (rules.venue is not None, "at Alpaca, fee taken in what is received"),
    )
    parts += [text for given, text in optional if given]
    protections = (
        ("stop-loss", rules.stop_loss),
        ("take-profit", rules.take_profit),
        ("entries halt at drawdown", rules.max_drawdown),
    )
    parts += [f"{name} {percent(value, 1)}" for name, value in protections if value is not None]
    if rules.max_notional is not None:
        parts.append(f"at most {money(rules.max_notional)} an entry")
    return "Rules: " + "; ".join(parts) + "."


def _notes(result: BacktestResult) -> list[RenderableType]:
    notes: list[RenderableType] = []
    notes.append(f"At Alpaca: {alpaca_note(result)}")
    if result.hours < MIN_HOURS_FOR_A_YEARLY_RATE:
        notes.append("CAGR and Calmar are withheld below 90 days: they would only magnify a short window.")
    if result.significance is None and result.metrics.trades < FEW_TRADES:
        notes.append(
            f"Trades closed: {result.metrics.trades}, too few to tell skill from luck (30 is the least one should ask for)."
        )
    if result.significance is not None and result.significance.break_even.reason is not None:
        notes.append(f"There is no break-even fee: {result.significance.break_even.reason}.")
    if result.run.halted_at is not None:
        notes.append(f"Entries were halted by the drawdown at {to_iso(result.run.halted_at)}.")
    entries = _entries(result)
    if entries.above_limit:
        notes.append(
            f"{entries.above_limit} of {entries.entries} entries were larger than 5 % of what was traded in their bar: "
            "the real market would have moved against them."
        )
    if result.undecidable:
        notes.append(
            f"{result.undecidable} closes could not be decided on, because too many bars of their window are missing; "
            "a position open there is left."
        )
    if result.quality.synthetic or result.quality.missing:
        notes.append(
            f"{result.quality.synthetic} hours without a bar were carried and {result.quality.missing} left open; "
            "nothing is decided or filled on them."
        )
    return ["", *notes]


def _entries(result: BacktestResult) -> EntryFigures:
    return entry_figures(result.run.fills, result.window, result.walk.signals, result.rules)


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
    made = result.walk.signals
    counts = signal_counts(made)
    entries = _entries(result)
    lines: list[RenderableType] = [
        "",
        Text("Signals", style="bold"),
        f"{counts['long']} long, {counts['flat']} flat, {counts['short']} short at {len(made)} closes. "
        + what_held_back(made, result.signal_rules),
    ]
    if entries.entries:
        lines.append(
            f"{entries.beyond_cost} of {entries.entries} entries expected more than their round trip costs."
        )
    elif (why := why_no_entry(made, result.rules)) is not None:
        lines.append(why)
    for name, figures in by_side(result.run.trades).items():
        if figures["trades"] or figures["net_pnl"]:
            lines.append(
                f"{name.capitalize()}: {figures['trades']} closed, win rate {percent(figures['win_rate'], 1)}, "
                f"net {money(figures['net_pnl'])}, fees {money(figures['fees_paid'])}."
            )
    return lines + [_still_held(result, trade, tz) for trade in result.run.trades if not trade.closed]


def _still_held(result: BacktestResult, trade: Trade, tz: ZoneInfo) -> str:
    """Say what the win rate leaves out and the final balance holds."""
    return (
        f"Still held at the end: {DIRECTIONS[trade.direction]} {trade.quantity:,.6g} {result.ticker.base} since "
        f"{to_local_text(trade.entered, tz)}, from {price(trade.entry_price)} to {price(trade.exit_price)}, "
        f"net {money(trade.net_pnl)} so far (in the final balance, not in the win rate)."
    )


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
    for name, figures in condition_figures(result.walk.signals, result.signal_rules).items():
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
    for name, figures in feature_correlations(
        result.walk.stretches, result.settings, pinned=result.pinned is not None
    ).items():
        found = figures.out_of_sample
        beyond = found is not None and figures.noise is not None and abs(found) > figures.noise
        table.add_row(
            name,
            number(figures.train, 3),
            number(found, 3) + (" *" if beyond else "  "),
            f"± {number(figures.noise, 3)}",
        )
    return table


def _ending(result: BacktestResult, tz: ZoneInfo) -> list[RenderableType]:
    at = to_local_text(int(result.window.closed[-1]), tz)
    decisions = [
        f"enter {DIRECTIONS[decision.side]}" if isinstance(decision, Enter) else f"exit ({decision.reason})"
        for decision in result.run.pending
    ]
    pending = " then ".join(decisions) if decisions else "nothing to do"
    return [
        f"Decided at {at}, to be filled at the next open: {pending}.",
        f"Repeat with --end {to_iso(result.end)}.",
    ]
