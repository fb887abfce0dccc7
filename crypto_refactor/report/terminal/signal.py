"""A signal in the terminal: the direction and what it is worth first, then why; everything behind it on request."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.forecast_text import record_line, residual_text, unbeaten_text
from crypto_refactor.report.formatting import (
    number,
    percent,
    plugins_text,
    price,
    simulated_mark,
    source_name,
)
from crypto_refactor.report.terminal.wrapping import MAX_PROSE, command_lines, entry, wrapped
from crypto_refactor.sides import Side
from crypto_refactor.signals.condition_catalogue import FORECAST, descriptions_of
from crypto_refactor.signals.signal import WALK_FORWARD, Advice, DataFacts, Signal
from crypto_refactor.trading.record.record import SeriesRecord

Commands = Mapping[str, Sequence[str]]
"""Command lines, each as its words, by their labels."""

_ADVICE = {
    Advice.TRADE: "worth a trade",
    Advice.NOT_WORTH_TRADING: "weak: not worth trading",
    Advice.STAY_FLAT: "no trade",
}
_HOURS_A_DAY, _DAYS_A_MONTH = 24, 30.44
_RECENT_HOURS = 2
"""A bar that closed so long ago may well be the last one there is."""
_MOST_MOVING = 3


def signal_text(
    signal: Signal,
    tz: ZoneInfo,
    *,
    width: int = MAX_PROSE,
    now: int | None = None,
    record: SeriesRecord | None = None,
    commands: Commands | None = None,
    repeat: Sequence[str] = (),
    details: bool = False,
) -> str:
    """Return the signal as several lines.

    Parameters
    ----------
    signal : Signal
        The signal.
    tz : ZoneInfo
        Time zone of all times.
    width : int
        Columns of the terminal.
    now : int, optional
        The present hour; where bars end long before it, this is said.
    record : SeriesRecord, optional
        How earlier forecasts of the model ended.
    commands : mapping of str to sequence of str, optional
        Command lines to go on with, by their labels.
    repeat : sequence of str
        The command that gives the same signal again; it stands among the details.
    details : bool
        Whether everything behind the answer follows it.
    """
    lines = [*signal_answer(signal, tz, width, now=now), "", *_why(signal, width), ""]
    lines += _model(signal, width)
    if record is not None:
        lines += entry("Record", record_line(record), width)
    for note in [*(f"a jump in the bar that opened {jump.text}" for jump in signal.jumps), *signal.hints]:
        lines += entry("Note", note, width)
    for label, words in (commands or {}).items():
        lines += command_lines(label, words, width)
    if not details:
        lines += entry("More", "--details: conditions with their values, evidence, model, data", width)
    else:
        lines += ["─" * min(width, MAX_PROSE), *_details(signal, tz, width)]
        lines += _again(signal, repeat, width) if repeat else []
    return "\n".join(lines)


def _again(signal: Signal, repeat: Sequence[str], width: int) -> list[str]:
    """Return the command that gives the same signal again, and for how long it does."""
    note = entry("", signal.repeat_note, width) if signal.repeat_note else []
    return [*command_lines("Again", repeat, width), *note]


def signal_summary(signal: Signal, tz: ZoneInfo, width: int = MAX_PROSE) -> str:
    """Return what the signal is and what it is worth, without its reasons."""
    return "\n".join(signal_answer(signal, tz, width))


def signal_answer(signal: Signal, tz: ZoneInfo, width: int, *, now: int | None = None) -> list[str]:
    """Return the direction with the advice, then the figures that it rests on."""
    side = Side(signal.signal)
    return [
        *wrapped(
            f"{side.arrow} {side.name}\N{NO-BREAK SPACE}  {signal.ticker}   {_ADVICE[signal.advice]}"
            f"{simulated_mark(simulated=signal.simulated)}",
            width,
            2,
        ),
        *wrapped(
            f"For the close at {to_local_text(signal.target_at, tz)}, made at {to_local_text(signal.decided_at, tz)}",
            width,
            2,
        ),
        *_stale(signal, now, width),
        "",
        *_figures(signal, width),
    ]


def _stale(signal: Signal, now: int | None, width: int) -> list[str]:
    """Return what is said of bars that end long before `now`."""
    if now is None or now - signal.decided_at <= _RECENT_HOURS:
        return []
    age = length_text(now - signal.decided_at)
    return wrapped(f"OLD BARS: they end {age} ago. This says nothing about the next hour.", width, 2)


def length_text(hours: int) -> str:
    """Return a length of time in the largest unit that leaves at least two of it."""
    days = hours / _HOURS_A_DAY
    if days >= 2 * _DAYS_A_MONTH:
        return f"{days / _DAYS_A_MONTH:.0f} months"
    return f"{days:.0f} days" if days >= 2 else f"{hours} h"


def _figures(signal: Signal, width: int) -> list[str]:
    quote = _quote(signal)
    low, high = signal.interval
    return [
        *entry("Price now", f"{price(signal.current_price)} {quote}", width),
        *entry("Forecast", _forecast(signal, quote), width),
        *entry("Likely range", f"{price(low)} to {price(high)} {quote}, in 9 of 10 such hours", width),
        *entry("Cost", _worth(signal), width),
        *entry("Confidence", _confidence(signal), width),
    ]


def _forecast(signal: Signal, quote: str) -> str:
    if not signal.forecast_side:
        return f"{price(signal.predicted_price)} {quote}: no move"
    move, needed = (value / signal.current_price for value in (signal.price_difference, signal.threshold))
    return (
        f"{price(signal.predicted_price)} {quote}, {percent(move, 3, signed=True)} "
        f"(a signal needs more than ±{percent(needed, 3)})"
    )


def _worth(signal: Signal) -> str:
    costs = (
        f"{percent(signal.round_trip_cost, 3)} a round trip, expected gain {percent(signal.expected_move, 3)}"
    )
    if signal.advice is Advice.TRADE:
        return f"{costs}: worth a trade"
    if signal.worth_a_trade:
        return f"{costs}: more than it costs, but too few checks hold"
    return f"{costs}: do not trade"


def _confidence(signal: Signal) -> str:
    evidence = signal.model.evidence
    hours = f"{evidence['n']:,} unseen hours"
    if round(signal.confidence, 2) > 0.5:
        return f"{signal.confidence:.2f}: right in {100 * signal.confidence:.0f} of 100 such hours, as tested on {hours}"
    if signal.forecast_side == 0:
        return "0.50: the forecast equals the close"
    if signal.confidence > 0.5:
        return f"0.50, hardly more than a coin toss, as tested on {hours}"
    if evidence["shrink"]:
        return f"0.50: skill was shown on {hours}, but this forecast is smaller than every past error"
    return f"0.50, a coin toss: no skill shown on {hours}"


def _why(signal: Signal, width: int) -> list[str]:
    """Return why the signal is what it is: the forecast, and which checks hold."""
    side = Side(signal.forecast_side or Side.LONG).label
    others = len(signal.conditions) - 1
    checks = f"{signal.passed} of the other {others} checks hold for {side} ({signal.required} needed)"
    if signal.signal:
        reason = f"forecast large enough; {checks}"
    elif not signal.conditions[FORECAST]:
        reason = f"{'forecast too small' if signal.forecast_side else 'no move forecast'}; {checks}"
    else:
        reason = f"forecast large enough, but only {checks}"
    lines = wrapped(f"Why {signal.direction.upper()}: {reason}", width, 2)
    for label, wanted in (("yes", True), ("no", False)):
        names = [name for name, held in signal.conditions.items() if held is wanted]
        if names:
            lines += wrapped(f"  {label:<4}".replace(" ", "\N{NO-BREAK SPACE}") + ", ".join(names), width, 6)
    return lines


def _model(signal: Signal, width: int) -> list[str]:
    """Return which model answered, how old it is, and whether backtests and the loop use it."""
    model, loop = signal.model, signal.loop
    age = signal.decided_at - model.trained_through
    when = f"{model.decision} now"
    if model.decision == "reused":
        when = f"trained on bars up to {length_text(age)} ago" if age else "trained on bars up to this hour"
    answered = f"{model.name}, {when}, {model.network} network on {model.rows:,} h."
    if model.name == WALK_FORWARD:
        return entry("Model", f"{answered} Backtests and the trading loop decide this hour by it too.", width)
    theirs = "see --walk-forward"
    if loop is not None:
        theirs = f"theirs: {Side(loop.signal).label}, {price(loop.predicted_price)}"
    others = (
        f"Backtests and the trading loop use others ({theirs}); --model {model.name} makes them use this one."
    )
    return entry("Model", f"{answered} {others}", width)


def _details(signal: Signal, tz: ZoneInfo, width: int) -> list[str]:
    return [*_conditions(signal, width), "", *_facts(signal, tz, width)]


def _conditions(signal: Signal, width: int) -> list[str]:
    side = signal.forecast_side or 1
    why = "the forecast's side" if signal.forecast_side else "the forecast has no side"
    lines = [f"Conditions for {Side(side).label} ({why})"]
    values = condition_values(signal, side)
    column = max(12, *map(len, signal.conditions))
    for name, held in signal.conditions.items():
        label = f"  {'yes' if held else 'no':<4} {name:<{column}} "
        lines += wrapped(label.replace(" ", "\N{NO-BREAK SPACE}") + values[name], width, len(label))
    return lines


def condition_values(signal: Signal, side: int) -> Mapping[str, str]:
    """Return what each condition compares with its limit, for the side 1 or -1."""
    values = signal.indicators
    above, below = ("above", "below") if side > 0 else ("below", "above")
    threshold, quote = ("" if side > 0 else "-") + price(signal.threshold), _quote(signal)
    own = descriptions_of(signal.plugins)
    return {name: texts[side < 0] for name, texts in own.items()} | {
        FORECAST: f"forecast move {price(signal.price_difference)} {quote}, needs {above} {threshold} {quote}",
        "rsi": f"RSI {number(values['rsi'], 1)}, needs {below} {65 if side > 0 else 35}",
        "macd": f"MACD histogram {values['macd_histogram']:.4g}, needs {above} 0",
        "obv": f"OBV minus its 20-bar mean {values['obv']:,.4g}, needs {above} 0",
        "vwap": f"close {price(signal.current_price)}, needs {above} VWAP 24 h {price(values['vwap'])}",
        "price_trend": f"close {price(signal.current_price)}, needs {above} EMA 20 {price(values['ema_20'])}",
        "ema_cross": f"EMA 20 {price(values['ema_20'])}, needs {above} EMA 50 {price(values['ema_50'])}",
        "adx": f"ADX {number(values['adx'], 1)}, needs above 25",
        "calm": f"volatility 24 h {percent(values['realised_volatility'], 3)}, needs below "
        f"{percent(1.2 * signal.bands['volatility_mean'], 3)} (1.2 x its 20-bar mean)",
        "volume": f"volume {number(values['volume_ratio'])} x its 10-bar mean, needs above 1.1",
    }


def _facts(signal: Signal, tz: ZoneInfo, width: int) -> list[str]:
    lines: list[str] = []
    for label, text in _labelled_facts(signal, tz):
        lines += entry(label, text, width)
    return lines


def _labelled_facts(signal: Signal, tz: ZoneInfo) -> list[tuple[str, str]]:
    """Return everything behind the answer; what continues the line above has no label."""
    model, data, values, bands = signal.model, signal.data, signal.indicators, signal.bands
    evidence = model.evidence
    return [
        (
            "Threshold",
            (
                f"a move of more than {price(signal.threshold)} {_quote(signal)} "
                f"({percent(signal.threshold / signal.current_price, 3)})"
            ),
        ),
        (
            "Evidence",
            (
                f"direction slope {number(evidence['slope'])} ± {number(evidence['slope_se'])} on {evidence['n']} "
                f"out-of-sample hours"
            ),
        ),
        ("", f"{_measured(evidence)}: {unbeaten_text(model.unbeaten)}"),
        *_misses(signal),
        (
            "Also",
            f"RSI {number(values['rsi'], 1)}, StochRSI {number(values['stoch_rsi'], 1)}, ATR {price(values['atr'])}",
        ),
        (
            "",
            (
                f"Bollinger {price(bands['bollinger_lower'])} to {price(bands['bollinger_upper'])}, "
                f"width {percent(bands['bollinger_width'])}, %B {number(values['bollinger'])}"
            ),
        ),
        *_moved_by(signal),
        *_plugins(signal),
        ("Weights", f"{model.path.name}, lookback {model.lookback_period}, weights {model.fingerprint}"),
        ("", f"{model.decision}: {model.reason}"),
        ("", f"trained on {model.rows} rows through {to_local_text(model.trained_through, tz)}"),
        ("", f"forecasts by {model.forecasts_by}"),
        (
            "",
            (
                f"validation loss / that of no forecast {number(model.stop_loss_ratio, 4)}, "
                f"network {residual_text(model.residual)}"
            ),
        ),
        *_loop(signal, tz),
        (
            "Data",
            (
                f"{source_name(signal.source)}, {data.bars:,} hourly bars from {to_local_text(data.first, tz)}, "
                + _gaps(data)
            ),
        ),
    ]


def _quote(signal: Signal) -> str:
    return signal.ticker.partition("/")[2]


def _gaps(data: DataFacts) -> str:
    """Return how many hours lack a bar, and how many bars a trade."""
    gaps = f"{data.synthetic} h without a bar, filled flat" if data.synthetic else "no gaps"
    quiet = f"{data.zero_volume} bars" if data.zero_volume else "no hour"
    return f"{gaps}; {quiet} without trades"


def _misses(signal: Signal) -> list[tuple[str, str]]:
    """Return why a direction that is known promises nothing, where that is so."""
    if signal.confidence <= 0.5 or signal.expected_move:
        return []
    return [("", "the direction is known a little, the size is not: misses are larger than hits")]


def _moved_by(signal: Signal) -> list[tuple[str, str]]:
    """Return the inputs that moved the forecast most."""
    moved = {name: effect for name, effect in signal.occlusion.items() if effect}
    if not moved:
        return []
    most = sorted(moved, key=lambda name: -abs(moved[name]))[:_MOST_MOVING]
    effects = ", ".join(f"{name} {percent(moved[name], 4, signed=True)}" for name in most)
    return [
        ("Moved by", effects),
        ("", "(what the forecast loses when the input is held at its median in training)"),
    ]


def _plugins(signal: Signal) -> list[tuple[str, str]]:
    if not signal.plugins:
        return []
    own = [name for name in signal.indicators if name not in indicator_names()]
    return [
        ("Plug-ins", plugins_text(signal.plugins)),
        *(("", f"{name} {signal.indicators[name]:.6g}") for name in own),
    ]


def _loop(signal: Signal, tz: ZoneInfo) -> list[tuple[str, str]]:
    """Return what the trading loop says for the same hour, and by which model."""
    loop = signal.loop
    if loop is None:
        return [
            ("Trading loop", "decides by models of its own, on longer spans; none for this hour is at hand")
        ]
    span = " through ".join(to_local_text(hour, tz) for hour in (loop.trained_from, loop.trained_through))
    return [
        (
            "Trading loop",
            (
                f"{Side(loop.signal).label}, forecast {price(loop.predicted_price)}, confidence {loop.confidence:.2f}, "
                f"by weights {loop.fingerprint}"
            ),
        ),
        ("", f"trained from {span}"),
    ]


def _measured(evidence: Mapping[str, Any]) -> str:
    if evidence["hit_rate"] is None:
        return "no move forecast"
    right, correlation = percent(evidence["hit_rate"], 1), number(evidence["rank_correlation"], 3)
    return f"direction right in {right}, rank correlation {correlation}"
