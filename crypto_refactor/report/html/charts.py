"""Charts as plotly's own JSON: one look for all of them, colours by name, times written once.

A colour is ``var(--name)``: the page's style sheet knows what it is by day and by night.  ``@name`` in the
place of an array stands for a column that several charts share.  The page's script puts both in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.report.html.markup import Html, join, tag

RUN, ALPACA, HOLD = "var(--run)", "var(--alpaca)", "var(--hold)"
GAIN, LOSS, MUTED, INK = "var(--gain)", "var(--loss)", "var(--muted)", "var(--ink)"
LINE, BAND, RANGE, SURFACE = "var(--line)", "var(--band)", "var(--range)", "var(--surface)"
SIGNIFICANT_DIGITS = 8

Trace = dict[str, Any]
Layout = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart of the page.

    Attributes
    ----------
    name : str
        The element's id is ``chart-`` and this.
    summary : str
        What it shows, for readers who do not see it.
    traces, layout : list, dict
        In plotly's terms.
    height : int
        In pixels.
    """

    name: str
    summary: str
    traces: list[Trace]
    layout: Layout
    height: int = 380


def place(chart: Chart) -> Html:
    """Return the element a chart is drawn in."""
    empty = tag("noscript", tag("p", "This chart is drawn by a script, and scripts are switched off."))
    return tag(
        "div",
        empty,
        id=f"chart-{chart.name}",
        class_="chart",
        role="img",
        aria_label=chart.summary,
        style=f"height:{chart.height}px",
    )


def axis_switch(chart: Chart, axis: str, choices: Sequence[tuple[str, str]]) -> Html:
    """Return buttons that change the type of an axis; the first choice is the one it is drawn with."""
    buttons = [
        tag(
            "button",
            label,
            type="button",
            data_chart=chart.name,
            data_axis=axis,
            data_type=kind,
            aria_pressed="true" if position == 0 else "false",
        )
        for position, (label, kind) in enumerate(choices)
    ]
    return tag("div", *buttons, class_="switch", role="group", aria_label="Scale of the axis")


def document(charts: Sequence[Chart], columns: Mapping[str, object], *, watermark: str | None) -> object:
    """Return everything the page's script draws from."""
    return {
        "columns": dict(columns),
        "charts": [
            {
                "name": chart.name,
                "data": chart.traces,
                "layout": _layout(chart, watermark),
            }
            for chart in charts
        ],
    }


def short(values: FloatArray | Sequence[float]) -> list[float]:
    """Return values with the digits a chart can show, so that the file stays small."""
    return [float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in np.asarray(values, dtype=float).tolist()]


def axis(**more: object) -> Layout:
    """Return an axis in the look of the page."""
    look = {
        "gridcolor": LINE,
        "zerolinecolor": LINE,
        "linecolor": LINE,
        "tickcolor": LINE,
        "automargin": True,
    }
    return look | more


def time_axis(**more: object) -> Layout:
    """Return an axis of hours."""
    return axis(type="date", hoverformat="%d %b %Y, %H:%M", **more)


def titled(text: str) -> Layout:
    """Return the title of an axis."""
    return {"text": text, "font": {"color": MUTED, "size": 12}}


def line(name: str, y: object, color: str, dash: str = "solid", **more: object) -> Trace:
    """Return a line over the hours of the window."""
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": "@time",
        "y": y,
        "line": {"color": color, "dash": dash, "width": 1.6},
        **more,
    }


def _layout(chart: Chart, watermark: str | None) -> Layout:
    common: Layout = {
        "height": chart.height,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"color": INK, "size": 12, "family": "system-ui, sans-serif"},
        "hovermode": "x unified",
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
        "hoverlabel": {"bgcolor": SURFACE, "bordercolor": LINE, "font": {"color": INK}, "align": "left"},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "traceorder": "normal",
        },
    }
    layout = common | chart.layout
    if watermark is None:
        return layout
    stamp = {
        "text": watermark,
        "showarrow": False,
        "xref": "paper",
        "yref": "paper",
        "x": 0.5,
        "y": 0.5,
        "textangle": -18,
        "font": {"size": 44, "color": "var(--watermark)"},
    }
    return layout | {"annotations": [stamp, *layout.get("annotations", [])]}


def with_caption(chart: Chart, *children: object) -> Html:
    """Return a chart with the text that explains it below."""
    return tag("figure", place(chart), tag("figcaption", join(*children)))


def level_band(low: float, high: float) -> Layout:
    """Return a shaded range of the y axis, over the whole width."""
    return {
        "type": "rect",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": low,
        "y1": high,
        "fillcolor": BAND,
        "line": {"width": 0},
        "layer": "below",
    }


def wall_clock(hour: int, tz: ZoneInfo) -> str:
    """Return `hour` as the clock on the wall shows it in `tz`, the way plotly reads dates."""
    return to_datetime(hour).astimezone(tz).strftime("%Y-%m-%d %H:%M")


def column_band(low: float, high: float) -> Layout:
    """Return a shaded range of the x axis, over the whole height."""
    return level_band(0, 1) | {"xref": "x", "yref": "paper", "x0": low, "x1": high}
