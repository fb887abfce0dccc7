"""The price with every entry and exit, and why each was made."""

from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.external.target_file import ExternalTargets
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.formatting import exit_text, money, percent, price
from crypto_refactor.report.html import plotly_style as style
from crypto_refactor.report.html.plotly_style import Chart, Layout, Trace, axis, chart_text, line, short
from crypto_refactor.sides import Side
from crypto_refactor.signals.conditions import SignalFrame

Reasons = Callable[[int], list[str]]
"""Returns the reasons for an entry decided at an hour, one per line."""


def signal_reasons(signals: SignalFrame) -> Reasons:
    """Explain entries by the signals they follow."""
    rows = {hour: row for row, hour in enumerate(signals.decided_at.tolist())}
    return lambda hour: _signal_lines(signals, rows[hour]) if hour in rows else []


def _signal_lines(signals: SignalFrame, row: int) -> list[str]:
    conditions, close = signals.conditions_met[row], float(signals.close[row])
    missing = [
        name for name, met in zip(signals.conditions[1:], conditions[1:].tolist(), strict=True) if not met
    ]
    forecast = (float(signals.predicted[row]) / close - 1) * 1e4
    lines = [
        f"forecast {forecast:+.1f} bp, threshold {float(signals.threshold[row]) / close * 1e4:.1f} bp",
        f"{int(conditions[1:].sum())} of {len(conditions) - 1} confirmations",
        f"confidence {float(signals.confidence[row]):.2f}",
    ]
    return [*lines, f"missing: {', '.join(missing)}"] if missing else lines


def target_reasons(targets: ExternalTargets, tz: ZoneInfo) -> Reasons:
    """Explain entries by the row of the file they follow, and when that was made if it was earlier."""

    def reasons(hour: int) -> list[str]:
        row = targets.row_at(hour)
        made_at = int(targets.made_at[row])
        since = "" if made_at == hour else f", made at {to_local_text(made_at, tz)}"
        return [f"target {targets.target[row]}, {targets.place(row)}{since}"]

    return reasons


def price_chart(result: RunResult, reasons: Reasons, tz: ZoneInfo) -> Chart:
    """Draw the price with the trades of this run, and the reasons for each entry and exit."""
    trades = [trade for trade in result.requested.simulation.trades if trade.exit_reason != "dust"]
    closed = [trade for trade in trades if trade.closed]

    def entries(side: int) -> list[_Point]:
        return [_entry(trade, reasons, tz) for trade in trades if trade.direction == side]

    def exits(*, profit: bool) -> list[_Point]:
        return [_exit(trade, result.ticker.quote, tz) for trade in closed if (trade.net_pnl > 0) == profit]

    traces = [
        *_prices(result),
        _connections(trades, tz),
        _markers("Long entry", "triangle-up", style.RUN, entries(1), tz, size=12),
        _markers("Short entry (hypothetical)", "triangle-down", style.ALPACA, entries(-1), tz, size=12),
        _markers("Exit with a profit", "circle", style.GAIN, exits(profit=True), tz, size=9),
        _markers("Exit with a loss", "x-thin-open", style.LOSS, exits(profit=False), tz, size=9),
    ]
    slider = {"visible": True, "thickness": 0.1}
    layout = {
        "xaxis": style.time_axis(rangeslider=slider, rangeselector=_range_buttons()),
        "yaxis": axis(result.ticker.quote, tickformat=",.6~g"),
        "hovermode": "closest",
        "legend": {**style.LEGEND, "y": 1.12},
    }
    summary = f"Hourly closes with {len(trades)} entries and {len(closed)} exits."
    return Chart(name="price", summary=summary, traces=traces, layout=layout, height=540)


def _prices(result: RunResult) -> list[Trace]:
    window = result.window
    bound: Layout = {"hoverinfo": "skip", "showlegend": False, "line": {"width": 0, "color": style.RANGE}}
    return [
        line("Low", short(window.low), style.RANGE, **bound),
        line("High", short(window.high), style.RANGE, **bound, fill="tonexty", fillcolor=style.RANGE),
        # An entry lies on the close before it: the line must not take its place under the pointer.
        line(
            "Close", short(window.close), style.INK, hoverinfo="skip", line={"color": style.INK, "width": 1.1}
        ),
    ]


def _connections(trades: Sequence[Trade], tz: ZoneInfo) -> Trace:
    """Return thin lines from each entry to its exit."""
    x: list[str | None] = []
    y: list[float | None] = []
    for trade in trades:
        x += [style.wall_clock(trade.entry_hour, tz), style.wall_clock(trade.exit_hour, tz), None]
        y += [*short([trade.entry_price, trade.exit_price]), None]
    look = {"color": style.MUTED, "width": 1.5, "dash": "dot"}
    return style.scatter("Held", "lines", x, y, hoverinfo="skip", showlegend=False, line=look)


_Point = tuple[int, float, str]
"""Hour, price and text of a marker."""


def _entry(trade: Trade, reasons: Reasons, tz: ZoneInfo) -> _Point:
    lines = (
        f"<b>{Side(trade.direction).label} entry</b> at {price(trade.entry_price)}",
        to_local_text(trade.entry_hour, tz),
        *map(chart_text, reasons(trade.entry_hour)),
    )
    return trade.entry_hour, trade.entry_price, "<br>".join(lines)


def _exit(trade: Trade, quote: str, tz: ZoneInfo) -> _Point:
    lines = (
        f"<b>{Side(trade.direction).label} exit</b> at {price(trade.exit_price)}",
        to_local_text(trade.exit_hour, tz),
        chart_text(exit_text(trade.exit_reason)),
        f"net {percent(trade.net_return, signed=True)}, {money(trade.net_pnl)} {chart_text(quote)}",
        f"held {trade.bars_held} h",
    )
    return trade.exit_hour, trade.exit_price, "<br>".join(lines)


def _markers(
    name: str, symbol: str, color: str, points: Sequence[_Point], tz: ZoneInfo, *, size: int
) -> Trace:
    is_open = symbol.endswith("-open")
    outline = {"color": color if is_open else style.SURFACE, "width": 2.5 if is_open else 1}
    return style.scatter(
        name,
        "markers",
        [style.wall_clock(hour, tz) for hour, _, _ in points],
        short([value for _, value, _ in points]),
        text=[text for _, _, text in points],
        hovertemplate="%{text}<extra></extra>",
        marker={"symbol": symbol, "size": size, "color": color, "line": outline},
    )


def _range_buttons() -> Layout:
    steps = ((1, "day", "1 day"), (7, "day", "1 week"), (1, "month", "1 month"))
    buttons: list[dict[str, object]] = [
        {"count": count, "step": step, "label": label, "stepmode": "backward"} for count, step, label in steps
    ]
    return {
        "buttons": [*buttons, {"step": "all", "label": "All"}],
        "y": 1.04,
        "bgcolor": style.SURFACE,
        "activecolor": style.LINE,
        "font": {"color": style.INK},
    }
