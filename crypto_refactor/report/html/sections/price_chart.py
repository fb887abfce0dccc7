"""The price with every entry and exit, and why each was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crypto_refactor.backtest.result import RunResult
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.formatting import money, percent, price
from crypto_refactor.report.html import charts
from crypto_refactor.report.html.charts import Chart, Trace, axis, line, short, time_axis, titled
from crypto_refactor.report.html.markup import chart_text
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.sections.trade_reasons import Reasons
from crypto_refactor.report.rules_summary import HYPOTHETICAL
from crypto_refactor.signals.signal import DIRECTIONS

EXIT_REASONS: Mapping[str, str] = {
    "neutral": "the side held was no longer wanted",
    "opposite": "the opposite side was wanted",
    "fade": "the forecast was on the other side",
    "stop_loss": "stop-loss",
    "take_profit": "take-profit",
    "no_data": "too many bars of the window were missing to decide",
    "ruin": "a short had used up the equity",
    "open": "still held at the end, marked at the last close",
    "dust": "what rounding had left, marked at the last close",
}


def price_section(context: PageContext[RunResult], reasons: Reasons) -> Section:
    """Return the chart of the price with the trades of this run, and the reasons of each entry."""
    chart = _chart(context, reasons)
    hypothetical = "" if context.result.requested.rules.long_only else f" Shorts are {HYPOTHETICAL}."
    caption = (
        "Hourly closes, the range from low to high shaded behind them. ▲ long entry, ▼ short entry, ● exit with a "
        "profit after fees, ✕ exit with a loss; hover or tap for the reason. Drag to zoom, double-click to see all."
    )
    body = charts.with_caption(chart, caption, hypothetical)
    return Section(name="price", title="Price, entries and exits", body=body, charts=(chart,))


def _chart(context: PageContext[RunResult], reasons: Reasons) -> Chart:
    window = context.result.window
    held = [trade for trade in context.result.requested.simulation.trades if trade.exit_reason != "dust"]
    gone = [trade for trade in held if trade.closed]
    entry, leave = _entry_text(context, reasons), _exit_text(context)
    quiet: Trace = {"hoverinfo": "skip", "showlegend": False}
    hair = {"width": 0, "color": charts.RANGE}
    traces: list[Trace] = [
        line("Low", short(window.low), charts.RANGE, **quiet) | {"line": hair},
        line("High", short(window.high), charts.RANGE, **quiet)
        | {"line": hair, "fill": "tonexty", "fillcolor": charts.RANGE},
        # An entry lies on the close before it: the line must not take its place under the pointer.
        line("Close", short(window.close), charts.INK, hoverinfo="skip")
        | {"line": {"color": charts.INK, "width": 1.1}},
        _connections(held, context),
    ]
    kinds: tuple[_Kind, ...] = (
        _Kind("Long entry", "triangle-up", charts.RUN, lambda t: t.direction > 0),
        _Kind("Short entry (hypothetical)", "triangle-down", charts.ALPACA, lambda t: t.direction < 0),
    )
    traces += [kind.entries(held, context, entry) for kind in kinds]
    ends: tuple[_Kind, ...] = (
        _Kind("Exit with a profit", "circle", charts.GAIN, lambda t: t.net_pnl > 0),
        _Kind("Exit with a loss", "x-thin-open", charts.LOSS, lambda t: t.net_pnl <= 0),
    )
    traces += [kind.exits(gone, context, leave) for kind in ends]
    layout = {
        "xaxis": time_axis(rangeslider={"visible": True, "thickness": 0.1}, rangeselector=_ranges()),
        "yaxis": axis(title=titled(context.quote), tickformat=",.6~g"),
        "hovermode": "closest",
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.12,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
    }
    summary = f"Hourly closes with {len(held)} entries and {len(gone)} exits."
    return Chart(name="price", summary=summary, traces=traces, layout=layout, height=540)


@dataclass(frozen=True, slots=True)
class _Kind:
    """One sort of marker, and which trades wear it."""

    name: str
    symbol: str
    color: str
    wears: Callable[[Trade], bool]

    def entries(
        self, trades: list[Trade], context: PageContext[RunResult], text: Callable[[Trade], str]
    ) -> Trace:
        mine = [trade for trade in trades if self.wears(trade)]
        places = [(trade.entered, trade.entry_price) for trade in mine]
        return self._markers(places, [text(trade) for trade in mine], context, size=12)

    def exits(
        self, trades: list[Trade], context: PageContext[RunResult], text: Callable[[Trade], str]
    ) -> Trace:
        mine = [trade for trade in trades if self.wears(trade)]
        places = [(trade.exited, trade.exit_price) for trade in mine]
        return self._markers(places, [text(trade) for trade in mine], context, size=9)

    def _markers(
        self, places: list[tuple[int, float]], texts: list[str], context: PageContext[RunResult], *, size: int
    ) -> Trace:
        outline = 2.5 if self.symbol.endswith("-open") else 1
        edge = self.color if self.symbol.endswith("-open") else charts.SURFACE
        return {
            "type": "scatter",
            "mode": "markers",
            "name": self.name,
            "x": [charts.wall_clock(hour, context.tz) for hour, _ in places],
            "y": short([value for _, value in places]),
            "text": texts,
            "hovertemplate": "%{text}<extra></extra>",
            "marker": {
                "symbol": self.symbol,
                "size": size,
                "color": self.color,
                "line": {"color": edge, "width": outline},
            },
        }


def _connections(trades: list[Trade], context: PageContext[RunResult]) -> Trace:
    """Return thin lines from each entry to its exit."""
    x: list[str | None] = []
    y: list[float | None] = []
    for trade in trades:
        x += [charts.wall_clock(trade.entered, context.tz), charts.wall_clock(trade.exited, context.tz), None]
        y += [*short([trade.entry_price, trade.exit_price]), None]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "Held",
        "x": x,
        "y": y,
        "hoverinfo": "skip",
        "showlegend": False,
        "line": {"color": charts.MUTED, "width": 1.5, "dash": "dot"},
    }


def _entry_text(context: PageContext[RunResult], reasons: Reasons) -> Callable[[Trade], str]:
    def text(trade: Trade) -> str:
        return "<br>".join(
            (
                f"<b>{DIRECTIONS[trade.direction]} entry</b> at {price(trade.entry_price)}",
                to_local_text(trade.entered, context.tz),
                *map(chart_text, reasons(trade.entered)),
            )
        )

    return text


def _exit_text(context: PageContext[RunResult]) -> Callable[[Trade], str]:
    def text(trade: Trade) -> str:
        return "<br>".join(
            (
                f"<b>exit of a {DIRECTIONS[trade.direction]}</b> at {price(trade.exit_price)}",
                to_local_text(trade.exited, context.tz),
                chart_text(EXIT_REASONS.get(trade.exit_reason, trade.exit_reason)),
                f"net {percent(trade.net_return, signed=True)}, {money(trade.net_pnl)} {chart_text(context.quote)}",
                f"held {trade.bars_held} h",
            )
        )

    return text


def _ranges() -> dict[str, object]:
    steps = ((1, "day", "1 day"), (7, "day", "1 week"), (1, "month", "1 month"))
    buttons: list[dict[str, object]] = [
        {"count": count, "step": step, "label": label, "stepmode": "backward"} for count, step, label in steps
    ]
    return {
        "buttons": [*buttons, {"step": "all", "label": "All"}],
        "y": 1.04,
        "bgcolor": charts.SURFACE,
        "activecolor": charts.LINE,
        "font": {"color": charts.INK},
    }
