"""The charts of an account's page."""

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.formatting import exit_text, money, percent, price
from crypto_refactor.report.html import plotly_style as style
from crypto_refactor.report.html import series
from crypto_refactor.report.html.account.history import AccountHistory, TickerHistory
from crypto_refactor.report.html.charts import confidence_chart
from crypto_refactor.report.html.plotly_style import (
    Chart,
    Layout,
    Trace,
    axis,
    chart_text,
    scatter,
    short,
    time_axis,
)
from crypto_refactor.sides import Side
from crypto_refactor.trading.record.scores import Score

_CONDITION_HEIGHT = 19
"""Pixels for each row of the strip of conditions."""
_PRICE_HEIGHT = 330


def account_equity_chart(history: AccountHistory, backtest: Mapping[int, float], tz: ZoneInfo) -> Chart:
    """Draw the equity of the account, of buy-and-hold and of the reconciled backtest, and drawdowns below.

    Parameters
    ----------
    history : AccountHistory
        The account.
    backtest : dict of int to float
        Equity of the backtest of the same hours, by close; empty where there is none.
    tz : ZoneInfo
        Time zone of the axis.
    """
    times = [style.wall_clock(hour, tz) for hour in history.hours.tolist()]
    backtested = [backtest.get(hour) for hour in history.hours.tolist()]
    curves: list[tuple[str, list[float | None] | list[float], str, str]] = [
        ("Account", short(history.equity), style.RUN, "solid"),
        (
            "Its backtest",
            [None if value is None else round(value, 2) for value in backtested],
            style.ALPACA,
            "dash",
        ),
        ("Buy and hold", short(history.held), style.HOLD, "dot"),
    ]
    traces = [
        scatter(
            name,
            "lines",
            times,
            values,
            line={"color": color, "dash": dash, "width": 1.6},
            hovertemplate="%{y:,.2f}",
        )
        for name, values, color, dash in curves
        if any(value is not None for value in values)
    ]
    traces.append(
        scatter(
            "Drawdown of the account",
            "lines",
            times,
            short(series.drawdown_series(history.equity)),
            yaxis="y2",
            line={"color": style.RUN, "width": 1.2},
            fill="tozeroy",
            fillcolor=style.BAND,
            hovertemplate="%{y:.2%}",
            showlegend=False,
        )
    )
    layout = {
        "xaxis": time_axis(f"time ({tz.key})", anchor="y2"),
        "yaxis": axis(history.quote, domain=[0.36, 1], tickformat=",.6~g"),
        "yaxis2": axis("drawdown", domain=[0, 0.28], tickformat=".2~%"),
        "hoversubplots": "axis",
    }
    summary = "Equity of the account beside buy and hold and the backtest of the same hours."
    return Chart(name="account-equity", summary=summary, traces=traces, layout=layout, height=480)


def record_chart(score: Score) -> Chart:
    """Draw how often the direction came true, by stated confidence."""
    return confidence_chart("record", [("As stated", score.calibration, style.RUN, "circle")])


def chart_name(part: TickerHistory) -> str:
    """Return the name of a ticker's chart, which is also its anchor."""
    return f"price-{str(part.status.ticker).replace('/', '-')}"


def decisions_chart(part: TickerHistory, tz: ZoneInfo) -> Chart | None:
    """Draw recent closes, the forecasts made of them with their 90 % band, fills, and the strip of conditions.

    None where nothing has been decided.
    """
    rows = part.recent
    if not rows:
        return None
    names = list(dict.fromkeys(name for row in rows for name in row.get("conditions", {})))
    height = _PRICE_HEIGHT + _CONDITION_HEIGHT * len(names)
    share = _CONDITION_HEIGHT * len(names) / height
    traces = [
        *_forecast(part, rows[0]["bar"], tz),
        scatter(
            "Close",
            "lines",
            [style.wall_clock(row["bar"], tz) for row in rows],
            short([row["close"] for row in rows]),
            line={"color": style.INK, "width": 1.2},
            hovertemplate="%{y:,.6~g}",
        ),
        *_entries_and_exits(part, rows[0]["bar"], tz),
        *(_condition(name, rows, tz) for name in reversed(names)),
    ]
    layout: Layout = {
        "xaxis": time_axis(f"time ({tz.key})", anchor="y2" if names else "y"),
        "yaxis": axis(part.status.ticker.quote, domain=[share + 0.05 if names else 0, 1], tickformat=",.6~g"),
        "hovermode": "x",
        "shapes": _held_spans(part, rows[0]["bar"], tz),
    }
    if names:
        # A label for each condition, also on paper, where plotly would leave out every other one.
        layout["yaxis2"] = axis(
            type="category",
            domain=[0, share],
            showgrid=False,
            tickfont={"size": 11},
            tickmode="linear",
            dtick=1,
        )
    fills = sum(fill.at >= rows[0]["bar"] for fill in part.fills)
    summary = f"{part.status.ticker}: {len(rows)} hourly closes, the forecast of each and {fills} fills."
    return Chart(name=chart_name(part), summary=summary, traces=traces, layout=layout, height=height)


def _forecast(part: TickerHistory, since: int, tz: ZoneInfo) -> list[Trace]:
    """Return the forecasts and their bands at the hours they are of: one after they were made."""
    made = [forecast for forecast in part.forecasts if forecast.bar >= since]
    banded = [
        (style.wall_clock(each.bar + 1, tz), each.low, each.high)
        for each in made
        if each.low is not None and each.high is not None
    ]
    times = [time for time, _, _ in banded]
    edge: Layout = {"line": {"width": 0, "color": style.RANGE}, "hoverinfo": "skip", "showlegend": False}
    band = [
        scatter("Low", "lines", times, short([low for _, low, _ in banded]), **edge),
        scatter(
            "90 % band",
            "lines",
            times,
            short([high for _, _, high in banded]),
            **{**edge, "showlegend": True},
            fill="tonexty",
            fillcolor=style.RANGE,
        ),
    ]
    forecast = scatter(
        "Forecast",
        "lines",
        [style.wall_clock(each.bar + 1, tz) for each in made],
        short([each.predicted for each in made]),
        line={"color": style.RUN, "width": 1.2, "dash": "dot"},
        text=[f"confidence {each.confidence:.2f}" for each in made],
        hovertemplate="%{y:,.6~g}, %{text}",
    )
    return [*(band if banded else []), forecast]


def _entries_and_exits(part: TickerHistory, since: int, tz: ZoneInfo) -> list[Trace]:
    trades = [trade for trade in part.trades if trade.exit_reason != "dust" and trade.exit_hour >= since]
    closed = [trade for trade in trades if trade.closed]
    points = {
        ("Long entry", "triangle-up", style.RUN): _entries(trades, 1, since),
        ("Short entry", "triangle-down", style.ALPACA): _entries(trades, -1, since),
        ("Exit with a profit", "circle", style.GAIN): [
            (
                trade.exit_hour,
                trade.exit_price,
                _exit_text(trade.exit_reason, trade.net_pnl, trade.net_return),
            )
            for trade in closed
            if trade.net_pnl > 0
        ],
        ("Exit with a loss", "x-thin-open", style.LOSS): [
            (
                trade.exit_hour,
                trade.exit_price,
                _exit_text(trade.exit_reason, trade.net_pnl, trade.net_return),
            )
            for trade in closed
            if trade.net_pnl <= 0
        ],
    }
    return [
        scatter(
            name,
            "markers",
            [style.wall_clock(hour, tz) for hour, _, _ in marks],
            short([at for _, at, _ in marks]),
            text=[
                f"{chart_text(text)} at {price(at)}<br>{to_local_text(hour, tz)}" for hour, at, text in marks
            ],
            hovertemplate="%{text}<extra></extra>",
            marker={"symbol": symbol, "size": 11, "color": color, "line": {"color": color, "width": 2}},
        )
        for (name, symbol, color), marks in points.items()
        if marks
    ]


def _entries(trades: Sequence[Trade], side: int, since: int) -> list[tuple[int, float, str]]:
    return [
        (trade.entry_hour, trade.entry_price, f"{Side(side).label} entry")
        for trade in trades
        if trade.direction == side and trade.entry_hour >= since
    ]


def _exit_text(reason: str, net: float, net_return: float) -> str:
    return f"exit, {exit_text(reason)}: net {money(net)}, {percent(net_return, signed=True)}"


def _condition(name: str, rows: Sequence[Mapping[str, Mapping[str, bool]]], tz: ZoneInfo) -> Trace:
    """Return a row of squares at the hours at which a condition held for the side of the forecast."""
    times = [style.wall_clock(int(row["bar"]), tz) for row in rows if row.get("conditions", {}).get(name)]  # type: ignore[call-overload]  # a row holds values of several kinds
    return scatter(
        name,
        "markers",
        times,
        [name] * len(times),
        yaxis="y2",
        showlegend=False,
        hoverinfo="skip",
        marker={"symbol": "square", "size": 5, "color": style.RUN, "opacity": 0.75},
    )


def _held_spans(part: TickerHistory, since: int, tz: ZoneInfo) -> list[Layout]:
    """Shade the hours in which a position was held."""
    return [
        {
            "type": "rect",
            "xref": "x",
            "yref": "y domain",
            "x0": style.wall_clock(max(trade.entry_hour, since), tz),
            "x1": style.wall_clock(trade.exit_hour, tz),
            "y0": 0,
            "y1": 1,
            "fillcolor": style.BAND,
            "line": {"width": 0},
            "layer": "below",
        }
        for trade in part.trades
        if trade.exit_hour > since and trade.exit_reason != "dust"
    ]
