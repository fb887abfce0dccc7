"""Equity, falls from its peak, months and the rolling Sharpe ratio."""

from __future__ import annotations

import numpy as np

from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.report.formatting import UNDEFINED, percent
from crypto_refactor.report.html import charts, series
from crypto_refactor.report.html.charts import Chart, axis, line, short, time_axis, titled
from crypto_refactor.report.html.markup import Html, join, tag
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.tables import Cell, numbers, signed_look, table, words

HEAT_STEPS = 4
HEAT_STEP = 0.02
MIN_HOURS_FOR_ROLLING = 48


def equity_section(context: PageContext[RunResult]) -> Section:
    """Return the equity curves, the depth below their peaks, and the worst falls."""
    chart = _equity_chart(context)
    switch = charts.axis_switch(chart, "yaxis", (("Linear", "linear"), ("Logarithmic", "log")))
    caption = (
        f"Equity at every hourly close in {context.quote}, fees paid; below it, how far each curve lies under "
        "its highest point so far."
    )
    body = join(switch, charts.with_caption(chart, caption), tag("h3", "Worst drawdowns"), _falls(context))
    return Section(name="equity", title="Equity and drawdowns", body=body, charts=(chart,))


def _curves(context: PageContext[RunResult]) -> list[tuple[str, Simulation, str, str]]:
    result = context.result
    curves = [("This run", result.requested.simulation, charts.RUN, "solid")]
    if result.alpaca is not None:
        curves.append(("At Alpaca", result.alpaca.simulation, charts.ALPACA, "dash"))
    return [*curves, ("Buy and hold", result.buy_and_hold.simulation, charts.HOLD, "dot")]


def _equity_chart(context: PageContext[RunResult]) -> Chart:
    traces = []
    for name, run, color, dash in _curves(context):
        traces.append(line(name, short(run.equity), color, dash, hovertemplate="%{y:,.2f}", legendgroup=name))
        traces.append(
            line(
                f"{name}, below its peak",
                short(series.drawdown_series(run.equity)),
                color,
                dash,
                yaxis="y2",
                hovertemplate="%{y:.2%}",
                legendgroup=name,
                showlegend=False,
            )
        )
    traces[1] |= {"fill": "tozeroy", "fillcolor": charts.BAND}
    layout = {
        "xaxis": time_axis(anchor="y2", title=titled(f"time ({context.tz.key})")),
        "yaxis": axis(domain=[0.36, 1], title=titled(context.quote), tickformat=",.4~s"),
        "yaxis2": axis(domain=[0, 0.28], title=titled("below peak"), tickformat=".0%"),
        "hoversubplots": "axis",
    }
    summary = "Equity of this run, at Alpaca and of buying and holding, and how far each is below its peak."
    return Chart(name="equity", summary=summary, traces=traces, layout=layout, height=520)


def _falls(context: PageContext[RunResult]) -> Html:
    falls = series.worst_drawdowns(context.result.requested.simulation.equity)
    if not falls:
        return tag("p", "The equity never fell below an earlier close.")
    closed = context.result.window.closed.tolist()
    rows = []
    for position, fall in enumerate(falls, start=1):
        end = len(closed) - 1 if fall.recovered is None else fall.recovered
        until = None if fall.recovered is None else closed[fall.recovered]
        rows.append(
            (
                str(position),
                Cell(text=percent(fall.depth), look="loss"),
                charts.wall_clock(closed[fall.peak], context.tz),
                charts.wall_clock(closed[fall.trough], context.tz),
                "not yet" if until is None else charts.wall_clock(until, context.tz),
                f"{closed[end] - closed[fall.peak]:,} h",
            )
        )
    columns = (
        words("#"),
        numbers("Depth"),
        words("Peak"),
        words("Lowest"),
        words("Recovered"),
        numbers("Length"),
    )
    note = tag("p", f"Of this run. Times in {context.tz.key}.", class_="note")
    return join(table("The five worst drawdowns of this run", columns, rows), note)


def months_section(context: PageContext[RunResult]) -> Section:
    """Return the return of each calendar month, in three columns."""
    months = series.month_starts(context.result.window.closed, context.tz)
    curves = _curves(context)
    rows = [
        [_month_name(name, first, stop), *(_heat(run, first, stop) for _, run, _, _ in curves)]
        for name, first, stop in months
    ]
    whole = len(context.result.window) - 1
    rows.append([tag("strong", "Whole window"), *(_heat(run, 0, whole) for _, run, _, _ in curves)])
    columns = (words("Month"), *(numbers(name) for name, *_ in curves))
    note = f"Calendar months in {context.tz.key}, after fees. A window may begin and end within one: its hours are stated."
    body = join(table("Returns by month", columns, rows), tag("p", note, class_="note"))
    return Section(name="months", title="Monthly returns", body=body)


def _month_name(name: str, first: int, stop: int) -> Html:
    return join(name, " ", tag("small", f"{stop - first:,} h"))


def _heat(run: Simulation, first: int, stop: int) -> Cell:
    before, after = float(run.equity[first]), float(run.equity[stop])
    if before <= 0:
        return Cell(text=UNDEFINED)
    # What rounds to nothing is shown as nothing.
    change = round(after / before - 1, 4) + 0.0
    step = min(int(abs(change) / HEAT_STEP) + 1, HEAT_STEPS)
    look = signed_look(change)
    return Cell(text=percent(change, signed=True), look=None if look is None else f"heat {look}-{step}")


def rolling_section(context: PageContext[RunResult]) -> Section | None:
    """Return the rolling Sharpe ratio with the range in which it says nothing, None for a short window."""
    run, hold = context.result.requested.simulation, context.result.buy_and_hold.simulation
    hours = len(run.equity) - 1
    if hours < MIN_HOURS_FOR_ROLLING:
        return None
    span = min(series.ROLLING_HOURS, hours // 2)
    noise = series.sharpe_noise(span)
    rolled = [_rounded(series.rolling_sharpe(each.equity, span)) for each in (run, hold)]
    traces = [
        line("This run", rolled[0], charts.RUN, hovertemplate="%{y:.1f}"),
        line("Buy and hold", rolled[1], charts.HOLD, "dot", hovertemplate="%{y:.1f}"),
    ]
    widest = max([noise, *(abs(value) for values in rolled for value in values if value is not None)])
    layout = {
        "xaxis": time_axis(title=titled(f"end of the {span} hours ({context.tz.key})")),
        "yaxis": axis(title=titled("Sharpe ratio, a year"), range=[-1.1 * widest, 1.1 * widest]),
        "shapes": [charts.level_band(-noise, noise)],
    }
    chart = Chart(
        name="rolling-sharpe",
        summary=f"Rolling Sharpe ratio over {span} hours, with the range of noise.",
        traces=traces,
        layout=layout,
        height=320,
    )
    caption = (
        f"Annualised from the last {span} hourly returns. So short a stretch measures it badly: luck alone keeps it "
        f"within ± {noise:.1f} (the shaded band, two standard errors) 95 % of the time. Nothing inside the band is news."
    )
    body = charts.with_caption(chart, caption)
    return Section(name="rolling", title="Rolling Sharpe ratio", body=body, charts=(chart,))


def _rounded(values: list[float | None]) -> list[float | None]:
    return [None if value is None else float(np.round(value, 3)) for value in values]
