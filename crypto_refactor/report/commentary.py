"""Sentences about a run, worded once for the terminal, the HTML page and JSON."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.audit_findings import Audit
from crypto_refactor.backtest.diagnostics import entry_sizes, why_no_entry
from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.jump_shares import JumpShare
from crypto_refactor.backtest.metrics import MIN_HOURS_TO_ANNUALISE, figures_by_side
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.backtest.significance.trade_verdict import MIN_TRADES
from crypto_refactor.backtest.significance.verdict import TOO_FEW
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.execution.venues import ALPACA_RULES_AS_OF
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.artifact import Card
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.plugins import PluginFile
from crypto_refactor.report.forecast_text import agreement_remark, skill_remarks
from crypto_refactor.report.formatting import amount, money, number, percent, plugins_text, price, source_name
from crypto_refactor.report.hints import run_hints
from crypto_refactor.report.hour_remarks import acting_text, hour_text
from crypto_refactor.sides import Side
from crypto_refactor.signals.condition_catalogue import conditions_of
from crypto_refactor.signals.conditions import SignalRules

CANNOT_BE_AUDITED = "External targets cannot be audited: nothing here can show whether they were made without knowing later bars."
HYPOTHETICAL = "hypothetical: spot venues do not offer them"
"""What is said of shorts."""
AUDIT_TITLES = {
    "signals": "Look-ahead",
    "models": "Models",
    "start": "Start of the data",
    "fills": "Fills",
    "accounting": "Accounting",
    "retraining": "Training again",
}


def window_text(window: Bars, tz: ZoneInfo) -> str:
    """State the window and its source."""
    # The window begins with the first decision; the bar after it may be missing.
    first, last = to_local_text(int(window.closed[0]), tz), to_local_text(int(window.closed[-1]), tz)
    return f"{first} to {last}: {len(window) - 1:,} hourly bars from {source_name(window.source)}"


def rules_text(rules: ExecutionRules) -> str:
    """State the execution rules in one line; protections and limits only where they are set."""
    parts = [
        f"fee {percent(rules.fee)} per fill, round trip {percent(rules.round_trip_cost)}",
        f"exit {rules.exit}",
        "long only" if rules.long_only else f"long and short (shorts are {HYPOTHETICAL})",
    ]
    optional = (
        (rules.slippage_bps > 0, f"slippage {rules.slippage_bps:g} bps"),
        (rules.position_size < 1, f"position size {percent(rules.position_size, 0)}"),
        (rules.strict, "strict entries"),
        (rules.borrow > 0, f"borrow {percent(rules.borrow)} per year"),
        (rules.venue is not None, "at Alpaca, fee taken from the coins or dollars received"),
    )
    protections = (
        ("stop-loss", rules.stop_loss),
        ("take-profit", rules.take_profit),
        ("entries halt at drawdown", rules.max_drawdown),
    )
    parts += [text for is_set, text in optional if is_set]
    parts += [f"{name} {percent(value, 1)}" for name, value in protections if value is not None]
    if rules.max_notional is not None:
        parts.append(f"at most {money(rules.max_notional)} per entry")
    return "Rules: " + "; ".join(parts) + "."


def models_text(
    model: ModelSettings | Card, schedule: str, rules: SignalRules, plugins: tuple[PluginFile, ...]
) -> str:
    """State what decides: the network, what it is trained on, the confirmations that a signal needs, and plug-ins."""
    return (
        f"Models: {model.network} network, lookback {model.lookback}, seed {model.seed}, {schedule}; "
        f"{rules.min_confirmations} of {len(conditions_of(plugins)) - 1} confirmations"
        + (f"; plug-ins {plugins_text(plugins)}" if plugins else "")
    )


def schedule_text(settings: ModelSettings) -> str:
    """State how models are trained over the window."""
    return f"trained on {settings.train_hours:,} h, refitted every {settings.refit_every:,} h"


def audit_line(audit: Audit) -> str:
    """State the outcome of the audit in one sentence."""
    recomputed = f"{audit.bars_checked:,} of {audit.bars:,} decisions recomputed"
    if audit.passed:
        return f"Audit passed, no look-ahead: {recomputed} from the bars known at the time; every model, fill and fee checked."
    failed = ", ".join(AUDIT_TITLES[check.name].lower() for check in audit.checks if not check.passed)
    return f"AUDIT FAILED ({failed}): {recomputed}. Do not trust the figures of this run."


def result_text(result: RunResult) -> str:
    """State what the run gained or lost, beside buying and holding."""
    run, _, hold = result.scenarios.metrics
    text = "Nothing was traded"
    if result.requested.simulation.fills:
        fees = f"{money(run.fees_paid)} {result.ticker.quote}"
        text = f"{change_text(run.total_return).capitalize()} after {fees} of fees"
    return f"{text}; buying and holding {result.ticker.base} {change_text(hold.total_return)}."


def change_text(change: float) -> str:
    """State a change in words; what rounds to nothing is none."""
    shown = percent(abs(change))
    if shown == percent(0.0):
        return "kept its value"
    return f"{'gained' if change > 0 else 'lost'} {shown}"


def held_back(result: RunResult) -> tuple[str, list[str]]:
    """Return why a run ended as it did: a title, and what explains it."""
    run, metrics = result.requested.simulation, result.requested.metrics
    if not run.fills:
        return "No trade", [result.why_no_entry(result.requested.rules), *_blocked(result)]
    gross = metrics.total_return + metrics.fees_paid / metrics.initial_balance
    parts = [f"Before fees it {change_text(gross)}."]
    if isinstance(result, BacktestResult):
        parts += _promises(result)
    entry = None if result.significance is None else result.significance.random_entry
    if entry is not None and (result.verdict is None or result.verdict.code == TOO_FEW):
        parts.append(f"Random entries did as well {percent(entry.p, 0)} of the time.")
    return "Why it lost" if metrics.total_return < 0 else "Behind it", parts


def _blocked(result: RunResult) -> list[str]:
    return [result.diagnostics.blocked] if isinstance(result, BacktestResult) else []


def _promises(result: BacktestResult) -> list[str]:
    """State how many entries expected to earn more than they cost."""
    diagnostics, cost = result.diagnostics, percent(result.requested.rules.round_trip_cost)
    entries = diagnostics.entries.entries
    if not entries:
        return []
    count = f"{diagnostics.entries_beyond_cost or 'None'} of {entries}"
    return [f"{count} entries expected to earn the cost of {cost}."]


def alpaca_note(result: RunResult, tz: ZoneInfo | None = None) -> str:
    """State the rules of the run at Alpaca, or why there is none; without `tz`, times are ISO-8601 UTC."""
    if result.alpaca is None:
        return f"Alpaca does not trade {result.ticker} (as of {ALPACA_RULES_AS_OF})."
    rules, run = result.alpaca.rules, result.alpaca.simulation
    halted = ""
    if run.halted_at is not None:
        halted = f"; halted since {to_iso(run.halted_at) if tz is None else to_local_text(run.halted_at, tz)}"
    entered = any(fill.reason == "entry" for fill in run.fills)
    return (
        f"long only, fee {percent(rules.fee)} taken from the coins or dollars received, entries halt at a drawdown of "
        f"{percent(rules.max_drawdown, 1)}{halted}." + ("" if entered else f" {result.why_no_entry(rules)}")
    )


def backtest_remarks(result: BacktestResult, tz: ZoneInfo) -> list[str]:
    """State what qualifies the figures of a backtest."""
    return [*_remarks(result, tz), *_undecidable(result, tz)]


def cautions(result: RunResult, tz: ZoneInfo) -> list[str]:
    """State what a reader of the figures has to know: jumps, a halt, hours without a decision, open positions, hints."""
    missing = _undecidable(result, tz) if isinstance(result, BacktestResult) else []
    held = [
        still_open(result.ticker, trade, tz)
        for trade in result.requested.simulation.trades
        if not trade.closed
    ]
    return [*jump_remarks(result), *_halted(result, tz), *missing, *held, *run_hints(result, tz)]


def _undecidable(result: BacktestResult, tz: ZoneInfo) -> list[str]:
    if not result.undecidable:
        return []
    return [
        (
            f"No decision at {result.undecidable} closes: too many bars of their window are missing"
            f"{_gaps_text(result, tz)}. A position open at such a close is exited."
        )
    ]


def _halted(result: RunResult, tz: ZoneInfo) -> list[str]:
    halted = result.requested.simulation.halted_at
    if halted is None:
        return []
    return [f"The drawdown limit has halted entries since {to_local_text(halted, tz)}."]


def _gaps_text(result: BacktestResult, tz: ZoneInfo) -> str:
    gaps = result.decision_gaps
    if not gaps:
        return ""
    more = f" (and {len(gaps) - 1} more such gaps)" if len(gaps) > 1 else ""
    longest = max(gaps, key=lambda gap: gap.stop - gap.start)
    return f", because of {longest.text(lambda hour: to_local_text(hour, tz))}{more}"


def earlier_trials_text(result: RunResult) -> list[str]:
    """State how many different trials on these hours came before, and what that leaves of the Sharpe ratio."""
    earlier, metrics = result.earlier, result.requested.metrics
    if earlier is None:
        return []
    if not earlier.count:
        return [f"Trials: no other one on these hours of {result.ticker} came before."]
    many = f"{earlier.count:,} different one{'s' * (earlier.count > 1)}"
    text = f"Trials: {many} on overlapping hours of {result.ticker} came before"
    best = earlier.best_by_chance(metrics)
    if best is None:
        return [f"{text}."]
    deflated = number(earlier.deflated(metrics))
    return [
        f"{text}. Best Sharpe ratio expected by chance: {number(best)}. Deflated Sharpe ratio: {deflated}."
    ]


def evaluation_remarks(result: EvaluationResult, tz: ZoneInfo) -> list[str]:
    """State what qualifies the figures of external targets."""
    remarks = _remarks(result, tz)
    if result.between_bars:
        remarks.append(
            f"{result.between_bars} targets fall on hours without a bar; they take effect at the next close."
        )
    return [*remarks, hour_text(result)]


def _remarks(result: RunResult, tz: ZoneInfo) -> list[str]:
    run, quality, trades = result.requested.simulation, result.quality, result.requested.metrics.trades
    remarks = [*jump_remarks(result), f"At Alpaca: {alpaca_note(result, tz)}"]
    if result.hours < MIN_HOURS_TO_ANNUALISE:
        remarks.append(
            "CAGR and Calmar ratio are withheld below 90 days: annualising exaggerates a short window."
        )
    if result.significance is None and trades < MIN_TRADES:
        remarks.append(few_trades(trades))
    remarks += _halted(result, tz)
    sizes = entry_sizes(run.fills, result.window)
    if sizes.above_limit:
        remarks.append(
            f"{sizes.above_limit} of {sizes.entries} entries exceed 5 % of the value traded in their bar: "
            "orders of that size would have moved the price."
        )
    if quality.synthetic or quality.missing:
        remarks.append(
            f"{quality.synthetic} hours without a bar are forward-filled and {quality.missing} remain gaps; "
            "nothing is decided or filled on them."
        )
    return remarks + run_hints(result, tz)


def jump_remarks(result: RunResult) -> list[str]:
    """State each close that jumps, and how much of the result rests on it."""
    shares = {share.jump: share for share in result.jump_shares}
    total = result.requested.metrics.total_return
    return [
        f"Jump in the bar that opened {jump.text}{_share(shares.get(jump), total)}."
        for jump in result.quality.jumps
    ]


def _share(share: JumpShare | None, total: float) -> str:
    if share is None:
        return " (before the window: it is never treated as a move of the price)"
    if not share.as_move:
        return ": no position was held"
    as_move = f"{share.as_move * 100:+,.1f}"
    if share.counted:
        return f": {as_move} of the {total * 100:+,.1f} points of the return come from it"
    return f": as a move it would add {as_move} points to the return; it counts for none of the {total * 100:+,.1f}"


def few_trades(count: int) -> str:
    """Warn that so few trades prove nothing."""
    return f"Closed trades: {count}, too few to tell skill from luck (at least {MIN_TRADES} are needed)."


def no_break_even(result: RunResult) -> list[str]:
    """State why no fee breaks even, where none does."""
    significance = result.significance
    if significance is None or significance.break_even.reason is None:
        return []
    return [f"There is no break-even fee: {significance.break_even.reason}."]


def signal_remarks(result: BacktestResult) -> list[str]:
    """State the number of signals, what blocked others, and what entries promised."""
    signals, diagnostics = result.walk.signals, result.diagnostics
    counts, rules = diagnostics.signals, result.requested.rules
    remarks = [
        f"{counts['long']} long, {counts['flat']} flat and {counts['short']} short signals at {len(signals):,} closes.",
        diagnostics.blocked,
    ]
    remarks += _promises(result)
    if not diagnostics.entries.entries and (why := why_no_entry(signals, rules)) is not None:
        remarks.append(why)
    if result.significance is not None and result.significance.skill is not None:
        remarks += skill_remarks(result.significance.skill)
    agreement = agreement_remark(result)
    return remarks if agreement is None else [*remarks, agreement]


def target_remarks(result: EvaluationResult, tz: ZoneInfo) -> list[str]:
    """State which targets were read, when they act and which columns were ignored."""
    targets, counts = result.targets, result.side_counts
    text = (
        f"{len(targets):,} rows of {targets.origin}: long at {counts['long']:,} closes, flat at "
        f"{counts['flat']:,}, short at {counts['short']:,}. An hour without a row keeps the last target."
    )
    remarks = [text, acting_text(result, tz)]
    if targets.ignored:
        remarks.append(f"Ignored columns: {', '.join(targets.ignored)}.")
    return remarks


def side_remarks(trades: Sequence[Trade], quote: str) -> list[tuple[str, str]]:
    """Return each side that was traded, with its result."""
    return [
        (side, _side_text(figures, quote))
        for side, figures in figures_by_side(trades).items()
        if figures["trades"] or figures["net_pnl"]
    ]


def _side_text(figures: Mapping[str, float | None], quote: str) -> str:
    return (
        f"{figures['trades']} closed, win rate {percent(figures['win_rate'], 1)}, "
        f"net {money(figures['net_pnl'])} {quote}, fees {money(figures['fees_paid'])} {quote}."
    )


def position_lines(result: RunResult, tz: ZoneInfo) -> list[str]:
    """State the result of each side, and what is still open."""
    trades = result.requested.simulation.trades
    sides = [f"{side.capitalize()}: {text}" for side, text in side_remarks(trades, result.ticker.quote)]
    return sides + [still_open(result.ticker, trade, tz) for trade in trades if not trade.closed]


def still_open(ticker: Ticker, trade: Trade, tz: ZoneInfo) -> str:
    """State what the win rate leaves out and the final balance includes."""
    kind = "Still open at the end" if trade.exit_reason == "open" else "Remainder too small to sell"
    return (
        f"{kind}: {Side(trade.direction).label} {amount(trade.quantity)} {ticker.base} since "
        f"{to_local_text(trade.entry_hour, tz)}, entry {price(trade.entry_price)}, last close {price(trade.exit_price)}, "
        f"net {trade.net_pnl:+,.2f} so far (in the final balance, not in the win rate)."
    )


def pending_text(result: RunResult, tz: ZoneInfo) -> str:
    """State what was decided at the last close for the open after it."""
    run = result.requested.simulation
    decisions = [decision.text for decision in run.pending]
    at = to_local_text(int(result.window.closed[-1]), tz)
    side = Side(int(run.account.side)).label
    return f"{', then '.join(decisions) or f'none, stay {side}'} (decided at {at} for the next open)"


def repeat_text(result: RunResult) -> str:
    """State which option repeats the run on the same bars."""
    return f"Repeat with --end {to_iso(result.end)}."
