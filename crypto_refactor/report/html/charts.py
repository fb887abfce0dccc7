"""All charts of the page but the price chart."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.diagnostics import FeatureCorrelation
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.backtest.significance.calibration import Calibration, CalibrationBin
from crypto_refactor.backtest.significance.fee_sensitivity import CostPoint
from crypto_refactor.backtest.significance.forecast_skill import Skill
from crypto_refactor.report.formatting import percent
from crypto_refactor.report.html import plotly_style as style
from crypto_refactor.report.html import series
from crypto_refactor.report.html.plotly_style import Chart, Trace, axis, line, scatter, short, time_axis

MAX_DOT, MIN_DOT = 20.0, 7.0
MIN_CONFIDENCE_RANGE = 0.6
"""The confidence axis reaches at least this far: most values lie close to one half."""
MIN_HOURS_FOR_ROLLING = 48


def equity_curves(result: RunResult) -> dict[str, FloatArray]:
    """Return the equity of each account run."""
    runs = {"This run": result.requested, "At Alpaca": result.alpaca, "Buy and hold": result.buy_and_hold}
    return {name: run.simulation.equity for name, run in runs.items() if run is not None}


_CURVES = {
    "This run": (style.RUN, "solid"),
    "At Alpaca": (style.ALPACA, "dash"),
    "Buy and hold": (style.HOLD, "dot"),
}


def equity_chart(result: RunResult, tz: ZoneInfo) -> Chart:
    """Draw the equity curves, and below them their distance from the previous peak."""
    traces = []
    for name, equity in equity_curves(result).items():
        color, dash = _CURVES[name]
        curve = line(name, short(equity), color, dash, hovertemplate="%{y:,.2f}", legendgroup=name)
        fall = line(
            f"{name}, drawdown",
            short(series.drawdown_series(equity)),
            color,
            dash,
            yaxis="y2",
            hovertemplate="%{y:.2%}",
            legendgroup=name,
            showlegend=False,
        )
        traces += [curve, fall]
    traces[1] |= {"fill": "tozeroy", "fillcolor": style.BAND}
    layout = {
        "xaxis": time_axis(f"time ({tz.key})", anchor="y2"),
        "yaxis": axis(result.ticker.quote, domain=[0.36, 1], tickformat=",.4~s"),
        "yaxis2": axis("drawdown", domain=[0, 0.28], tickformat=".2~%"),
        "hoversubplots": "axis",
    }
    summary = "Equity of this run, at Alpaca and of buy and hold, each with its drawdown."
    return Chart(name="equity", summary=summary, traces=traces, layout=layout, height=520)


def rolling_hours(result: RunResult) -> int | None:
    """Return the span of the rolling Sharpe ratio; None where the window is too short for one."""
    hours = len(result.window) - 1
    return min(series.ROLLING_HOURS, hours // 2) if hours >= MIN_HOURS_FOR_ROLLING else None


def rolling_chart(result: RunResult, span: int, tz: ZoneInfo) -> Chart:
    """Draw the rolling Sharpe ratio, and the range in which it is noise."""
    noise = series.sharpe_noise(span)
    run, hold = (
        [
            None if value is None else float(np.round(value, 3))
            for value in series.rolling_sharpe(equity, result.window.closed, span)
        ]
        for equity in (result.requested.simulation.equity, result.buy_and_hold.simulation.equity)
    )
    traces = [
        line("This run", run, style.RUN, hovertemplate="%{y:.1f}"),
        line("Buy and hold", hold, style.HOLD, "dot", hovertemplate="%{y:.1f}"),
    ]
    reach = 1.1 * max([noise, *(abs(value) for value in run + hold if value is not None)])
    layout = {
        "xaxis": time_axis(f"end of the {span} hours ({tz.key})"),
        "yaxis": axis("annualised Sharpe ratio", range=[-reach, reach]),
        "shapes": [style.level_band(-noise, noise)],
    }
    summary = f"Rolling Sharpe ratio over {span} hours, with the range of noise."
    return Chart(name="rolling-sharpe", summary=summary, traces=traces, layout=layout, height=320)


def correlation_chart(correlations: dict[str, FeatureCorrelation]) -> Chart:
    """Draw the correlation of each feature with the next return; bars of two errors hold 0 where it may be noise."""
    names = list(reversed(correlations))
    figures = [correlations[name] for name in names]
    ends = [
        abs(value) + error
        for figure in figures
        for value, error in ((figure.train, 0.0), (figure.out_of_sample, figure.noise or 0.0))
        if value is not None
    ]
    reach = 1.1 * max(ends, default=1.0)
    layout = {
        "xaxis": axis(
            "correlation with the next hour's return", tickformat="+.2f", range=[-reach, reach], zeroline=True
        ),
        "yaxis": axis(type="category"),
        "hovermode": "closest",
    }
    noise = [figure.noise or 0.0 for figure in figures]
    out_of_sample = _dots(
        "Out of sample", [figure.out_of_sample for figure in figures], names, "diamond", style.RUN
    )
    traces = [
        _dots("In training", [figure.train for figure in figures], names, "circle-open", style.MUTED),
        out_of_sample | {"error_x": style.error_bars(noise, style.RUN)},
    ]
    summary = f"Correlation of each of the {len(names)} features with the next return, in training and out of sample."
    return Chart(name="correlation", summary=summary, traces=traces, layout=layout, height=460)


def _dots(name: str, values: list[float | None], names: list[str], symbol: str, color: str) -> Trace:
    x = [None if value is None else round(value, 4) for value in values]
    marker = {"symbol": symbol, "size": 9, "color": color, "line": {"color": color, "width": 1.5}}
    return scatter(name, "markers", x, names, hovertemplate="%{y}: %{x:+.3f}", marker=marker)


def forecast_chart(bins: Sequence[series.Bin]) -> Chart:
    """Draw the mean outcome against the mean forecast, by the size of the forecast."""
    forecasts = [part.forecast * 1e4 for part in bins]
    measured = scatter(
        "Outcome",
        "markers",
        short(forecasts),
        short([part.outcome * 1e4 for part in bins]),
        error_y=style.error_bars([part.noise * 1e4 for part in bins], style.RUN),
        marker={"size": 9, "color": style.RUN},
        customdata=[part.count for part in bins],
        hovertemplate="forecast %{x:+.1f} bp<br>outcome %{y:+.1f} bp<br>%{customdata} hours<extra></extra>",
    )
    layout = {
        "xaxis": axis("mean forecast, bp", tickformat="+~g"),
        "yaxis": axis("mean outcome, bp", tickformat="+~g", zeroline=True),
        "hovermode": "closest",
    }
    traces = [style.reference_line("As forecast", short([min(forecasts), max(forecasts)])), measured]
    summary = "Mean outcome against mean forecast, by the size of the forecast."
    return Chart(name="forecast", summary=summary, traces=traces, layout=layout, height=400)


def calibration_chart(skill: Skill) -> Chart:
    """Draw how often the direction was right against the stated confidence, before and after shrinking."""
    stages = (
        ("Before shrinking", skill.raw_confidence, style.MUTED, "circle-open"),
        ("As stated", skill.confidence, style.RUN, "circle"),
    )
    return confidence_chart("calibration", stages)


def confidence_chart(name: str, stages: Sequence[tuple[str, Calibration, str, str]]) -> Chart:
    """Draw how often the direction was right against stated confidence; each stage has a name, a colour and a symbol."""
    top = max([MIN_CONFIDENCE_RANGE, *(part.stated for _, stage, *_ in stages for part in stage.bins)])
    ends = [end for _, stage, *_ in stages for part in stage.bins for end in _error_ends(part)]
    layout = {
        "xaxis": axis("stated confidence", tickformat=".0%"),
        # The error of a few hours reaches beyond what a share can be.
        "yaxis": axis(
            "direction right",
            tickformat=".0%",
            range=[max(min(ends, default=0.0), 0.0) - 0.03, min(max(ends, default=1.0), 1.0) + 0.03],
        ),
        "hovermode": "closest",
    }
    traces = [
        style.reference_line("Perfect calibration", (0.5, top)),
        *(_calibrated(*stage) for stage in stages),
    ]
    summary = "How often the direction was right, by stated confidence."
    return Chart(name=name, summary=summary, traces=traces, layout=layout)


def _error_ends(part: CalibrationBin) -> tuple[float, float]:
    """Return the ends of the error bar of a bin: two binomial errors of a fair coin."""
    return part.observed - part.n**-0.5, part.observed + part.n**-0.5


def _calibrated(name: str, calibration: Calibration, color: str, symbol: str) -> Trace:
    bins = calibration.bins
    most = max((part.n for part in bins), default=1)
    return scatter(
        name,
        "markers",
        short([part.stated for part in bins]),
        short([part.observed for part in bins]),
        error_y=style.error_bars([part.n**-0.5 for part in bins], color),
        customdata=[part.n for part in bins],
        hovertemplate="stated %{x:.1%}<br>right %{y:.1%}<br>%{customdata:,} hours<extra></extra>",
        marker={
            "symbol": symbol,
            "color": color,
            "size": [round(MIN_DOT + (MAX_DOT - MIN_DOT) * (part.n / most) ** 0.5, 1) for part in bins],
            "line": {"color": color, "width": 1.5},
        },
    )


def costs_chart(sweep: Sequence[CostPoint]) -> Chart:
    """Draw the total return of the same trades at other fees."""
    known = [(point, point.total_return) for point in sweep if point.total_return is not None]
    bars: Trace = {
        "type": "bar",
        "x": [f"× {point.factor:g}" for point, _ in known],
        "y": short([earned for _, earned in known]),
        "text": [percent(earned, signed=True) for _, earned in known],
        "textposition": "outside",
        # A label keeps its size where its bar is narrow, as on a phone.
        "constraintext": "none",
        "cliponaxis": False,
        "customdata": [percent(point.fee, 3) for point, _ in known],
        "hovertemplate": "%{customdata} per fill: %{text}<extra></extra>",
        "marker": {
            "opacity": 0.85,
            "color": [style.GAIN if earned >= 0 else style.LOSS for _, earned in known],
        },
    }
    layout = {
        "xaxis": axis("multiple of this run's fee", type="category"),
        "yaxis": axis("total return", tickformat="+.0%", zeroline=True),
        "hovermode": "closest",
        "bargap": 0.5,
        "margin": {"l": 8, "r": 8, "t": 24, "b": 24},
    }
    return Chart(name="costs", summary="Total return by fee.", traces=[bars], layout=layout, height=320)
