"""What is said beside the figures of a run: each sentence once, for the terminal, the page and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.diagnostics import (
    entry_sizes,
    why_no_entry,
)
from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.metrics import MIN_HOURS_TO_ANNUALISE, by_side
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.backtest.significance.verdict import MIN_TRADES
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.execution.venues import ALPACA_RULES_AS_OF
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.formatting import amount, money, percent, price, source_name
from crypto_refactor.signals.signal import DIRECTIONS

CANNOT_BE_AUDITED = (
    "Where these targets come from cannot be audited: whether they were made without knowing later bars cannot "
    "be checked here."
)


def window_text(window: Bars, tz: ZoneInfo) -> str:
    """Return what was traded on."""
    # It begins with the first decision; the bar after that one may be missing.
    first, last = to_local_text(int(window.closed[0]), tz), to_local_text(int(window.closed[-1]), tz)
    return f"{first} to {last}: {len(window) - 1:,} hourly bars from {source_name(window.source)}"


def alpaca_note(told: RunResult, tz: ZoneInfo | None = None) -> str:
    """Return what the column at Alpaca went by, or why there is none, in one or two sentences.

    Parameters
    ----------
    told : RunResult
        What was traded.
    tz : ZoneInfo, optional
        In which people read times; without it they are ISO-8601 UTC.
    """
    if told.alpaca is None:
        return f"Alpaca does not trade {told.ticker} (as of {ALPACA_RULES_AS_OF})."
    rules, run = told.alpaca.rules, told.alpaca.simulation
    halted = ""
    if run.halted_at is not None:
        at = to_iso(run.halted_at) if tz is None else to_local_text(run.halted_at, tz)
        halted = f"; they were halted at {at}"
    entered = any(fill.reason == "entry" for fill in run.fills)
    return (
        f"long only, fee {percent(rules.fee)} in what is received, entries halt "
        f"{percent(rules.max_drawdown, 1)} below the peak{halted}."
        + ("" if entered else f" {told.why_no_entry(rules)}")
    )


def backtest_remarks(result: BacktestResult, tz: ZoneInfo) -> list[str]:
    """Return what one must know beside the figures of a backtest."""
    remarks = _remarks(result, tz)
    if result.undecidable:
        remarks.append(
            f"{result.undecidable} closes could not be decided on, because too many bars of their window are missing; "
            "a position open there is left."
        )
    return remarks


def evaluation_remarks(found: EvaluationResult, tz: ZoneInfo) -> list[str]:
    """Return what one must know beside the figures of somebody else's targets."""
    remarks = _remarks(found, tz)
    if found.between_bars:
        remarks.append(
            f"{found.between_bars} targets were made where there was no bar; they count from the next close on."
        )
    return remarks


def _remarks(told: RunResult, tz: ZoneInfo) -> list[str]:
    run, quality = told.requested.simulation, told.quality
    remarks = [f"At Alpaca: {alpaca_note(told, tz)}"]
    if told.hours < MIN_HOURS_TO_ANNUALISE:
        remarks.append("CAGR and Calmar are withheld below 90 days: they would only magnify a short window.")
    if told.significance is None and told.requested.metrics.trades < MIN_TRADES:
        remarks.append(few_trades(told.requested.metrics.trades))
    if run.halted_at is not None:
        remarks.append(f"Entries were halted by the drawdown at {to_local_text(run.halted_at, tz)}.")
    sizes = entry_sizes(run.fills, told.window)
    if sizes.above_limit:
        remarks.append(
            f"{sizes.above_limit} of {sizes.entries} entries were larger than 5 % of what was traded in their bar: "
            "the real market would have moved against them."
        )
    if quality.synthetic or quality.missing:
        remarks.append(
            f"{quality.synthetic} hours without a bar were carried and {quality.missing} left open; "
            "nothing is decided or filled on them."
        )
    return remarks


def few_trades(count: int) -> str:
    """Say that so few trades tell nothing, where nothing else says so."""
    return f"Trades closed: {count}, too few to tell skill from luck ({MIN_TRADES} is the least one should ask for)."


def no_break_even(told: RunResult) -> list[str]:
    """Say why no fee breaks even, where none does."""
    found = told.significance
    if found is None or found.break_even.reason is None:
        return []
    return [f"There is no break-even fee: {found.break_even.reason}."]


def signal_remarks(result: BacktestResult) -> list[str]:
    """Say how many signals there were, what held others back, and what entries promised."""
    signals, diagnostics = result.walk.signals, result.diagnostics
    counts = diagnostics.signals
    remarks = [
        f"{counts['long']} long, {counts['flat']} flat and {counts['short']} short signals at {len(signals):,} closes.",
        diagnostics.blocked,
    ]
    entries = diagnostics.entries.entries
    if entries:
        remarks.append(
            f"{diagnostics.entries_beyond_cost} of {entries} entries expected more than their "
            f"round trip of {percent(result.requested.rules.round_trip_cost)} costs."
        )
    elif (why := why_no_entry(signals, result.requested.rules)) is not None:
        remarks.append(why)
    return remarks


def target_remarks(found: EvaluationResult) -> list[str]:
    """Say what was read, what was wanted, and what was not looked at."""
    targets, counts = found.targets, found.side_counts
    remarks = [
        (
            f"{len(targets):,} rows of {targets.path}; long at {counts['long']:,} closes, flat at "
            f"{counts['flat']:,}, short at {counts['short']:,}. An hour without a row keeps the last target."
        )
    ]
    if targets.ignored:
        remarks.append(f"Columns that were ignored: {', '.join(targets.ignored)}.")
    return remarks


def side_remarks(trades: Sequence[Trade], quote: str) -> list[tuple[str, str]]:
    """Return each side that was traded, and what came of it."""
    remarks = []
    for name, figures in by_side(trades).items():
        if figures["trades"] or figures["net_pnl"]:
            text = (
                f"{figures['trades']} closed, win rate {percent(figures['win_rate'], 1)}, "
                f"net {money(figures['net_pnl'])} {quote}, fees {money(figures['fees_paid'])} {quote}."
            )
            remarks.append((name, text))
    return remarks


def position_lines(told: RunResult, tz: ZoneInfo) -> list[str]:
    """Say what came of each side that was traded, and what is still held."""
    lines = [
        f"{name.capitalize()}: {text}"
        for name, text in side_remarks(told.requested.simulation.trades, told.ticker.quote)
    ]
    return lines + [
        still_held(told.ticker, trade, tz) for trade in told.requested.simulation.trades if not trade.closed
    ]


def still_held(ticker: Ticker, trade: Trade, tz: ZoneInfo) -> str:
    """Say what the win rate leaves out and the final balance holds."""
    what = "Still held at the end" if trade.exit_reason == "open" else "Left over, too little to sell"
    return (
        f"{what}: {DIRECTIONS[trade.direction]} {amount(trade.quantity)} {ticker.base} since "
        f"{to_local_text(trade.entered, tz)}, from {price(trade.entry_price)} to {price(trade.exit_price)}, "
        f"net {trade.net_pnl:+,.2f} so far (in the final balance, not in the win rate)."
    )


def pending_text(told: RunResult, tz: ZoneInfo) -> str:
    """Say what was decided at the last close and would be filled after it."""
    decisions = [
        f"enter {DIRECTIONS[decision.side]}" if isinstance(decision, Enter) else f"exit ({decision.reason})"
        for decision in told.requested.simulation.pending
    ]
    at = to_local_text(int(told.window.closed[-1]), tz)
    return f"Decided at {at}, to be filled at the next open: {' then '.join(decisions) or 'nothing to do'}."


def repeat_text(told: RunResult) -> str:
    """Say what makes the command look at the very same bars again."""
    return f"Repeat with --end {to_iso(told.end)}."
