"""The look that all charts share, as plotly JSON.

A colour is ``var(--name)``: the style sheet defines it for the light and the dark theme.  ``@name`` in place of an array
stands for a column that several charts share.  The script of the page replaces both.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.market.hours import to_datetime

RUN, ALPACA, HOLD = "var(--run)", "var(--alpaca)", "var(--hold)"
GAIN, LOSS, MUTED, INK = "var(--gain)", "var(--loss)", "var(--muted)", "var(--ink)"
LINE, BAND, RANGE, SURFACE = "var(--line)", "var(--band)", "var(--range)", "var(--surface)"
SIGNIFICANT_DIGITS = 8

Trace = dict[str, Any]
Layout = dict[str, Any]

LEGEND: Layout = {"orientation": "h", "x": 0, "xanchor": "left", "yanchor": "bottom", "traceorder": "normal"}
_LAYOUT: Layout = {
    "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "font": {"color": INK, "size": 12, "family": "system-ui, sans-serif"},
    "hovermode": "x unified",
    "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
    "hoverlabel": {"bgcolor": SURFACE, "bordercolor": LINE, "font": {"color": INK}, "align": "left"},
    "legend": {**LEGEND, "y": 1.02},
}
_SIMULATED: Layout = {
    "text": "SIMULATED",
    "showarrow": False,
    "xref": "paper",
    "yref": "paper",
    "x": 0.5,
    "y": 0.5,
    "textangle": -18,
    "font": {"size": 44, "color": "var(--watermark)"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A chart in plotly's terms; `summary` is for screen readers, `height` is in pixels."""

    name: str
    summary: str
    traces: list[Trace]
    layout: Layout
    height: int = 380


def chart_data(charts: Iterable[Chart], columns: Mapping[str, object], *, simulated: bool) -> object:
    """Return everything that the script of the page draws from."""
    return {
        "columns": dict(columns),
        "charts": [
            {"name": chart.name, "data": chart.traces, "layout": _layout(chart, simulated=simulated)}
            for chart in charts
        ],
    }


def _layout(chart: Chart, *, simulated: bool) -> Layout:
    layout = {"height": chart.height, **_LAYOUT, **chart.layout}
    return layout | {"annotations": [_SIMULATED]} if simulated else layout


def short(values: FloatArray | Sequence[float]) -> list[float]:
    """Round values to the digits a chart can show, to keep the file small."""
    return [float(f"{value:.{SIGNIFICANT_DIGITS}g}") for value in np.asarray(values, dtype=float).tolist()]


def axis(title: str = "", **more: object) -> Layout:
    """Return an axis in the look of the page."""
    look: Layout = dict.fromkeys(("gridcolor", "zerolinecolor", "linecolor", "tickcolor"), LINE)
    if title:
        look["title"] = {"text": title, "font": {"color": MUTED, "size": 12}}
    return look | {"automargin": True} | more


def time_axis(title: str = "", **more: object) -> Layout:
    """Return an axis of hours."""
    return axis(title, type="date", hoverformat="%d %b %Y, %H:%M", **more)


def scatter(name: str, mode: str, x: object, y: object, **more: object) -> Trace:
    """Return a trace of lines or markers."""
    return {"type": "scatter", "mode": mode, "name": name, "x": x, "y": y, **more}


def line(name: str, y: object, color: str, dash: str = "solid", **more: object) -> Trace:
    """Return a line over the hours of the window."""
    look = {"color": color, "dash": dash, "width": 1.6}
    return scatter(name, "lines", "@time", y, **{"line": look, **more})


def reference_line(name: str, ends: Sequence[float]) -> Trace:
    """Return the dashed diagonal on which both axes agree."""
    look = {"color": MUTED, "dash": "dash", "width": 1.5}
    return scatter(name, "lines", list(ends), list(ends), hoverinfo="skip", line=look)


def error_bars(sizes: Sequence[float], color: str) -> Layout:
    """Return error bars of these sizes, along x or y."""
    return {"type": "data", "array": short(sizes), "color": color, "thickness": 1.2, "width": 4}


def level_band(low: float, high: float) -> Layout:
    """Return a shaded range of the y axis, over the whole width."""
    return _band(xref="paper", x0=0, x1=1, y0=low, y1=high)


def _band(**corners: object) -> Layout:
    return {"type": "rect", **corners, "fillcolor": BAND, "line": {"width": 0}, "layer": "below"}


def wall_clock(hour: int, tz: ZoneInfo) -> str:
    """Return `hour` in `tz` in the form that plotly reads as a date."""
    return to_datetime(hour).astimezone(tz).strftime("%Y-%m-%d %H:%M")


def chart_text(value: object) -> str:
    """Escape text for plotly, which reads the texts of a chart as its own markup."""
    return html.escape(str(value), quote=False)
