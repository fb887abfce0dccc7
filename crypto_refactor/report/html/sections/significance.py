"""Skill or luck: tests of the run, calibration of its forecasts, and what costs do to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from crypto_refactor.backtest.result import RunResult
from crypto_refactor.backtest.significance.calibration import Calibration, Coverage
from crypto_refactor.backtest.significance.correlation import Correlation
from crypto_refactor.backtest.significance.fee_sensitivity import CostPoint
from crypto_refactor.backtest.significance.forecast_skill import ForecastFigures, Skill
from crypto_refactor.backtest.significance.random_entry import RandomEntry
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.report.formatting import UNDEFINED, number, percent
from crypto_refactor.report.html import charts
from crypto_refactor.report.html.charts import Chart, Trace, axis, short, titled
from crypto_refactor.report.html.markup import Html, join, tag
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.tables import Cell, numbers, signed_look, table, words

LARGEST_DOT, SMALLEST_DOT = 20.0, 7.0
MIN_TOP = 0.6
"""The axis of confidence reaches at least this far: most statements lie close to one half."""


def interval_text(ends: tuple[float, float] | None, show: Callable[[float | None], str]) -> str:
    """Return a pair of figures as an interval."""
    return UNDEFINED if ends is None else f"{show(ends[0])} to {show(ends[1])}"


def correlation_text(found: Correlation, decimals: int) -> str:
    """Return a correlation with its error."""
    if found.value is None:
        return UNDEFINED
    error = "" if found.se is None else f" ± {found.se:.{decimals}f}"
    return f"{found.value:+.{decimals}f}{error}"


def significance_section(context: PageContext[RunResult]) -> Section | None:
    """Return the tests against luck, None where there were none."""
    found = context.significance
    if found is None:
        return None
    columns = (words("Test of the run"), numbers("Found"), words("What it means"))
    parts = [table("Tests against luck", columns, _against_luck(found))]
    if found.skill is not None:
        parts += [tag("h3", "Skill of the forecasts, whatever was traded on them"), _skill_table(found.skill)]
    return Section(name="luck", title="Skill or luck?", body=join(*parts))


def _against_luck(found: Significance) -> list[tuple[str, str, str]]:
    return [
        (
            "Return, 95 % interval",
            interval_text(found.intervals.total_return, percent),
            "Blocks of this run's hours drawn again and again: where its return might as well have been.",
        ),
        (
            "Sharpe ratio, 95 % interval",
            interval_text(found.intervals.sharpe, number),
            "The same for the Sharpe ratio, a year.",
        ),
        (
            "Probabilistic Sharpe ratio",
            percent(found.probabilistic_sharpe, 1),
            "Probability that the true Sharpe ratio is above 0.",
        ),
        ("Random entries, p", *_random_entries(found.random_entry)),
        (
            "Break-even fee, a fill",
            percent(found.break_even.fee, 3),
            f"There is none: {found.break_even.reason}."
            if found.break_even.reason
            else "At this fee nothing would be left of the result.",
        ),
    ]


def _random_entries(found: RandomEntry | None) -> tuple[str, str]:
    if found is None:
        return UNDEFINED, "No trade was closed that could be compared."
    spread = interval_text((found.low, found.high), percent)
    meaning = (
        f"Share of {found.draws:,} draws of the same trades, entered at random, that earn at least as much."
    )
    return f"{found.p:.3f}", f"{meaning} 95 % of them earn {spread}."


def _skill_table(skill: Skill) -> Html:
    columns = (words("Forecast"), numbers("Model"), numbers("Ridge"), words("What it means"))
    shows: tuple[tuple[str, Callable[[ForecastFigures], str], str], ...] = (
        (
            "RMSE / zero forecast",
            lambda each: number(each.rmse_ratio, 4),
            "Below 1 is better than forecasting nothing.",
        ),
        (
            "Correlation with what came",
            lambda each: correlation_text(each.pearson, 3),
            "Pearson's; ± one standard error, from whole days.",
        ),
        (
            "Rank correlation (IC)",
            lambda each: correlation_text(each.spearman, 3),
            "Spearman's; ± one standard error, from whole days.",
        ),
    )
    rows = [
        (name, show(skill.model), UNDEFINED if skill.ridge is None else show(skill.ridge), meaning)
        for name, show, meaning in shows
    ]
    note = f"Over {skill.n:,} hours. Ridge: a linear regression on the last bar's 14 inputs, which is hard to beat."
    return join(table("Skill of the forecasts", columns, rows), tag("p", note, class_="note"))


def calibration_section(context: PageContext[RunResult]) -> Section | None:
    """Return confidence and intervals beside what came true, None where that was not measured."""
    found = context.significance
    if found is None or found.skill is None:
        return None
    skill = found.skill
    stages = (
        ("Before shrinking", skill.unshrunk, charts.MUTED, "circle-open"),
        ("As stated", skill.stated, charts.RUN, "circle"),
    )
    chart = _calibration_chart(stages)
    scores = ", ".join(f"{name.lower()} {number(stage.brier, 4)}" for name, stage, *_ in stages)
    caption = (
        "How often the direction was right, by the confidence stated: on the dashed line 60 % comes true 60 % of the "
        f"time. Larger dots hold more hours; bars are two standard errors. Brier score: {scores}; a coin toss gets 0.2500, lower is better."
    )
    body = join(
        charts.with_caption(chart, caption),
        tag("h3", "Does the 90 % interval hold 90 % of the closes?"),
        _coverage(skill.coverage),
    )
    return Section(name="calibration", title="Calibration and coverage", body=body, charts=(chart,))


def _calibration_chart(stages: Sequence[tuple[str, Calibration, str, str]]) -> Chart:
    top = max([MIN_TOP, *(each.stated for _, stage, *_ in stages for each in stage.bins)])
    traces: list[Trace] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "As it should be",
            "x": [0.5, top],
            "y": [0.5, top],
            "hoverinfo": "skip",
            "line": {"color": charts.MUTED, "dash": "dash", "width": 1.5},
        }
    ]
    traces += [_calibrated(*stage) for stage in stages]
    layout = {
        "xaxis": axis(title=titled("confidence stated"), tickformat=".0%"),
        "yaxis": axis(title=titled("direction right"), tickformat=".0%"),
        "hovermode": "closest",
    }
    summary = "How often the direction was right, by the confidence stated."
    return Chart(name="calibration", summary=summary, traces=traces, layout=layout)


def _calibrated(name: str, found: Calibration, color: str, symbol: str) -> Trace:
    most = max((each.n for each in found.bins), default=1)
    spread = LARGEST_DOT - SMALLEST_DOT
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": short([each.stated for each in found.bins]),
        "y": short([each.observed for each in found.bins]),
        "error_y": {
            "type": "data",
            # Two binomial errors of a coin's tosses.
            "array": short([each.n**-0.5 for each in found.bins]),
            "color": color,
            "thickness": 1.2,
            "width": 4,
        },
        "customdata": [each.n for each in found.bins],
        "hovertemplate": "stated %{x:.1%}<br>came true %{y:.1%}<br>%{customdata:,} hours<extra></extra>",
        "marker": {
            "symbol": symbol,
            "color": color,
            "size": [round(SMALLEST_DOT + spread * (each.n / most) ** 0.5, 1) for each in found.bins],
            "line": {"color": color, "width": 1.5},
        },
    }


def _coverage(found: Coverage) -> Html:
    parts = (
        ("All", found.overall),
        ("Calm third", found.calm),
        ("Middle third", found.middle),
        ("Wild third", found.wild),
    )
    rows = [(name, percent(part.share, 1), f"{part.n:,}") for name, part in parts]
    columns = (words("Hours, by ATR / close"), numbers("Next close inside"), numbers("Hours"))
    return table("Coverage of the 90 % interval", columns, rows)


def costs_section(context: PageContext[RunResult]) -> Section | None:
    """Return what the same trades earn at other fees, None where that was not asked for or nothing traded."""
    if context.significance is None or not context.result.requested.simulation.fills:
        return None
    sweep = context.significance.cost_sweep
    rows = [
        (
            f"× {point.factor:g}",
            percent(point.fee, 3),
            Cell(text=percent(point.total_return, signed=True), look=signed_look(point.total_return)),
        )
        for point in sweep
    ]
    chart = _sweep_chart(sweep)
    columns = (words("Fee"), numbers("A fill"), numbers("Total return"))
    body = join(
        charts.with_caption(chart, "The same entries and exits at other fees, everything else unchanged."),
        table("Total return by fee", columns, rows),
    )
    return Section(name="costs", title="What costs do to it", body=body, charts=(chart,))


def _sweep_chart(sweep: Sequence[CostPoint]) -> Chart:
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
        "hovertemplate": "%{customdata} a fill: %{text}<extra></extra>",
        "marker": {
            "opacity": 0.85,
            "color": [charts.GAIN if earned >= 0 else charts.LOSS for _, earned in known],
        },
    }
    layout = {
        "xaxis": axis(title=titled("times the fee of this run"), type="category"),
        "yaxis": axis(title=titled("total return"), tickformat="+.0%", zeroline=True),
        "hovermode": "closest",
        "bargap": 0.5,
        "margin": {"l": 8, "r": 8, "t": 24, "b": 24},
    }
    return Chart(name="costs", summary="Total return by fee.", traces=[bars], layout=layout, height=320)
