"""A signal in the terminal: the direction first, then the reasons."""

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.report.forecast_text import record_line, residual_text, unbeaten_text
from crypto_refactor.report.formatting import (
    number,
    percent,
    plugins_text,
    price,
    simulated_mark,
    source_name,
)
from crypto_refactor.sides import Side
from crypto_refactor.signals.condition_catalogue import FORECAST, descriptions_of
from crypto_refactor.signals.signal import Signal
from crypto_refactor.trading.record.record import SeriesRecord


def signal_text(signal: Signal, tz: ZoneInfo, record: SeriesRecord | None = None) -> str:
    """Return the signal as several lines, times in `tz`, with the last line of its model's record."""
    forecast = _forecast(signal)
    if record is not None:
        forecast.append(f"Record        {record_line(record)}")
    return "\n".join(
        [*_headline(signal, tz), "", *forecast, "", *_conditions(signal), "", *_facts(signal, tz)]
    )


def signal_summary(signal: Signal, tz: ZoneInfo) -> str:
    """Return what the signal is and what it is worth, without conditions and facts."""
    return "\n".join([*_headline(signal, tz), *_forecast(signal)])


def _headline(signal: Signal, tz: ZoneInfo) -> list[str]:
    return [
        (
            f"{Side(signal.signal).arrow} {signal.direction.upper()}   {signal.ticker}   "
            f"confidence {signal.confidence:.2f}{simulated_mark(simulated=signal.simulated)}"
        ),
        f"  made at {to_local_text(signal.decided_at, tz)} for the close at {to_local_text(signal.target_at, tz)}",
    ]


def _forecast(signal: Signal) -> list[str]:
    move = signal.price_difference / signal.current_price
    low, high = signal.interval
    return [
        (
            f"Forecast      {price(signal.current_price)} -> {price(signal.predicted_price)} ({percent(move, 3, signed=True)}), "
            f"90 % interval {price(low)} to {price(high)}"
        ),
        (
            f"Threshold     {price(signal.threshold)} ({percent(signal.threshold / signal.current_price, 3)}): "
            f"the forecast must be further than this from the close"
        ),
        f"Confidence    {_confidence(signal)}",
        f"Worth it?     {_worth(signal)}",
        f"Decided by    {_decision(signal)}",
    ]


def _confidence(signal: Signal) -> str:
    evidence = signal.model.evidence
    measured = f"direction slope {number(evidence['slope'])} ± {number(evidence['slope_se'])} on {evidence['n']} out-of-sample hours"
    if signal.confidence > 0.5:
        right = f"right in {100 * signal.confidence:.0f} of 100 such hours, by the evidence"
        return f"{signal.confidence:.2f}: {right}\n{_more(measured)}"
    if signal.forecast_side == 0:
        return "0.50: the forecast equals the close"
    if evidence["shrink"]:
        return f"0.50: the forecast is smaller than every past error ({measured})"
    return f"0.50, a coin toss: the model has shown no evidence of skill\n{_more(measured)}"


def _worth(signal: Signal) -> str:
    costs = (
        f"expected move {percent(signal.expected_move, 3)}, round trip {percent(signal.round_trip_cost, 3)}"
    )
    if signal.worth_a_trade:
        return f"{costs}: worth a trade"
    if signal.confidence > 0.5 and not signal.expected_move:
        return f"{costs}: not worth a trade\n{_more('direction is known a little, size is not: misses are larger than hits')}"
    return f"{costs}: not worth a trade"


def _decision(signal: Signal) -> str:
    missing = [name for name, held in signal.conditions.items() if not held and name != FORECAST]
    side = Side(signal.forecast_side or Side.LONG).label
    confirmations = f"{signal.passed} of {len(signal.conditions) - 1} confirmations are met for {side}, {signal.required} needed"
    if signal.signal:
        return f"forecast beyond its threshold, and {confirmations}"
    if not signal.conditions[FORECAST]:
        return f"forecast within its threshold, so flat ({confirmations})"
    return f"too few confirmations: {confirmations} (missing: {', '.join(missing)})"


def _conditions(signal: Signal) -> list[str]:
    side = signal.forecast_side or 1
    lines = [f"Conditions for {Side(side).label} (the forecast's side)"]
    values = condition_values(signal, side)
    width = max(12, *map(len, signal.conditions))
    lines += [
        f"  {'yes' if held else ' no'}  {name:<{width}} {values[name]}"
        for name, held in signal.conditions.items()
    ]
    return lines


def condition_values(signal: Signal, side: int) -> Mapping[str, str]:
    """Return what each condition compares, for the side 1 or -1."""
    values = signal.indicators
    more, less = (">", "<") if side > 0 else ("<", ">")
    threshold = ("" if side > 0 else "-") + price(signal.threshold)
    own = descriptions_of(signal.plugins)
    return {name: texts[side < 0] for name, texts in own.items()} | {
        FORECAST: f"predicted - close {price(signal.price_difference)} {more} {threshold}",
        "rsi": f"RSI {number(values['rsi'], 1)} {less} {65 if side > 0 else 35}",
        "macd": f"MACD histogram {values['macd_histogram']:.4g} {more} 0",
        "obv": f"OBV minus its 20-bar mean {values['obv']:,.4g} {more} 0",
        "vwap": f"close {price(signal.current_price)} {more} VWAP 24 h {price(values['vwap'])}",
        "price_trend": f"close {price(signal.current_price)} {more} EMA 20 {price(values['ema_20'])}",
        "ema_cross": f"EMA 20 {price(values['ema_20'])} {more} EMA 50 {price(values['ema_50'])}",
        "adx": f"ADX {number(values['adx'], 1)} > 25",
        "calm": f"volatility 24 h {percent(values['realised_volatility'], 3)} < "
        f"1.2 x {percent(signal.bands['volatility_mean'], 3)} (its 20-bar mean)",
        "volume": f"volume {number(values['volume_ratio'])} x its 10-bar mean > 1.1",
    }


def _facts(signal: Signal, tz: ZoneInfo) -> list[str]:
    model, data, values, bands = signal.model, signal.data, signal.indicators, signal.bands
    evidence = model.evidence
    return [
        f"Also          RSI {number(values['rsi'], 1)}, StochRSI {number(values['stoch_rsi'], 1)}, ATR {price(values['atr'])}",
        _more(
            f"Bollinger {price(bands['bollinger_lower'])} to {price(bands['bollinger_upper'])}, "
            f"width {percent(bands['bollinger_width'])}, %B {number(values['bollinger'])}"
        ),
        *_moved_by(signal),
        *_plugins(signal),
        f"Model         {model.decision}: {model.reason}",
        _more(
            f"{model.path.name}, {model.network} network, lookback {model.lookback_period}, weights {model.fingerprint}"
        ),
        _more(f"trained on {model.rows} rows through {to_local_text(model.trained_through, tz)}"),
        _more(f"forecasts by {model.forecasts_by}"),
        _more(
            f"stop slice: loss / zero forecast {number(model.stop_loss_ratio, 4)}, network {residual_text(model.residual)}"
        ),
        _more(f"out of sample: {_measured(evidence)}: {unbeaten_text(model.unbeaten)}"),
        *_loop(signal, tz),
        f"Data          {source_name(signal.source)}, {data.bars:,} hourly bars from {to_local_text(data.first, tz)},",
        _more(f"{data.synthetic} forward-filled, {data.zero_volume} without volume"),
        *[_more(f"jump in the bar that opened {jump.text}") for jump in signal.jumps],
        *(f"Hint          {hint}" for hint in signal.hints),
        f"Repeat with   --end {to_iso(signal.end)}",
    ]


_MOST_MOVING = 3


def _moved_by(signal: Signal) -> list[str]:
    """Return the inputs that moved the forecast most."""
    moved = {name: effect for name, effect in signal.occlusion.items() if effect}
    if not moved:
        return []
    most = sorted(moved, key=lambda name: -abs(moved[name]))[:_MOST_MOVING]
    effects = ", ".join(f"{name} {percent(moved[name], 4, signed=True)}" for name in most)
    return [
        f"Moved most by {effects}",
        _more("(what the forecast loses when the input is held at its median in training)"),
    ]


def _plugins(signal: Signal) -> list[str]:
    if not signal.plugins:
        return []
    own = [name for name in signal.indicators if name not in indicator_names()]
    return [
        f"Plug-ins      {plugins_text(signal.plugins)}",
        *(_more(f"{name} {signal.indicators[name]:.6g}") for name in own),
    ]


def _loop(signal: Signal, tz: ZoneInfo) -> list[str]:
    """Return what the trading loop says for the same hour, and how to make both use one model."""
    name, loop = signal.model.path.stem.split("_", 2)[-1], signal.loop
    if loop is None:
        text = "decides by models of its own, on longer spans; none for this hour is at hand"
    else:
        text = (
            f"{Side(loop.signal).label}, forecast {price(loop.predicted_price)}, confidence {loop.confidence:.2f}, by weights "
            f"{loop.fingerprint},"
        )
    lines = [f"Trading loop  {text}"]
    if loop is not None:
        span = (to_local_text(hour, tz) for hour in (loop.trained_from, loop.trained_through))
        lines.append(_more(f"trained from {' through '.join(span)}"))
    return [*lines, _more(f"one model for both: run_trading.py --model {name}")]


def _measured(evidence: Mapping[str, Any]) -> str:
    if evidence["hit_rate"] is None:
        return "no move forecast"
    right, correlation = percent(evidence["hit_rate"], 1), number(evidence["rank_correlation"], 3)
    return f"direction right in {right}, rank correlation {correlation}"


def _more(text: str) -> str:
    """Return a line that continues the one above."""
    return " " * 14 + text
