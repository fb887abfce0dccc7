"""A comparison as one HTML file: what the ranking is worth, the ranking, and the portfolios."""

from zoneinfo import ZoneInfo

from crypto_refactor.backtest.comparison.parameter_grid import value_text
from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.comparison.selection import HeldOutTest
from crypto_refactor.backtest.comparison.trials import Trial
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.comparison_notes import comparison_notes, shared_rules
from crypto_refactor.report.html import plotly_style as style
from crypto_refactor.report.html.plotly_style import (
    Chart,
    Trace,
    axis,
    chart_data,
    chart_text,
    line,
    scatter,
    short,
    time_axis,
)
from crypto_refactor.report.html.templating import environment
from crypto_refactor.report.metric_rows import sharpe_text
from crypto_refactor.report.verdict_lines import (
    REQUIRED_PROBABILITY,
    beats_chance,
    comparison_answer,
    comparison_title,
    has_traded,
    missing_data,
)

SECTIONS = {
    "verdict": "Verdict",
    "held-out": "Chosen on one part, tested on the rest",
    "ranking": "Ranking",
    "sharpe": "Sharpe ratios and their errors",
    "portfolios": "Portfolios",
    "dropped": "Not compared",
}
"""Titles of the sections in order; each name is an anchor and that of a template."""
BARS_SHOWN, CURVES_SHOWN = 40, 6
_LABEL = 24
"""Characters of varied values in the label of a trial: the axis takes its room from the bars."""
_COLOURS = (style.RUN, style.ALPACA, style.GAIN, style.LOSS, style.INK, style.MUTED)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
"""Lines differ without their colours, too: on paper and to the colour-blind."""
_FOOTER = (
    "The best of many trials looks better than it is. A backtest does not predict the result of the next trade, and it "
    "is not advice."
)


def comparison_html(comparison: Comparison, held_out: HeldOutTest | None, *, tz: ZoneInfo) -> str:
    """Return a comparison, and what was tested of its choice, as one HTML file.

    Parameters
    ----------
    comparison : Comparison
        The ranking.
    held_out : HeldOutTest or None
        Where the comparison chose on a part of the window.
    tz : ZoneInfo
        Time zone of all times.
    """
    request, end = comparison.request, comparison.end
    repeated = end if held_out is None else held_out.end
    simulated = request.source.name == SAMPLE
    drawn = {chart.name: chart for chart in _charts(comparison, tz)}
    hours = [] if end is None else range(end - request.hours, end + 1)
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            folder="comparison",
            footer=_FOOTER,
            refresh=None,
            title="Comparison",
            about=comparison_title(comparison, tz),
            simulated=simulated,
            simulated_note="Nothing below was ever traded.",
            sections={
                name: title for name, title in SECTIONS.items() if name not in _absent(comparison, held_out)
            },
            charts=drawn,
            chart_data=chart_data(
                drawn.values(), {"time": [style.wall_clock(hour, tz) for hour in hours]}, simulated=simulated
            ),
            comparison=comparison,
            held_out=held_out,
            tested={} if held_out is None else _tested(held_out),
            headline=_headline(comparison),
            notes=comparison_notes(comparison) if comparison.trials else [],
            varied=[name for name, _ in comparison.request.settings[0].varied],
            compared=shared_rules(comparison) if comparison.trials else [],
            quote=_quotes(comparison),
            required_probability=REQUIRED_PROBABILITY,
            has_traded=has_traded,
            sharpe_text=sharpe_text,
            end_text=None if repeated is None else to_iso(repeated),
            bars_shown=BARS_SHOWN,
            curves_shown=CURVES_SHOWN,
            tz=tz,
        )
    )


def _headline(comparison: Comparison) -> dict[str, str]:
    """Return the class, mark and text of the verdict's box."""
    bias = comparison.selection_bias
    if comparison.audits_passed < len(comparison.trials):
        return {"look": "failed", "mark": "!", "text": "Audits failed: do not trust these figures"}
    if bias is None:
        return {"look": "unjudged", "mark": "?", "text": "Nothing to rank"}
    answer = comparison_answer(comparison).removesuffix(".")
    if missing_data(comparison):
        return {"look": "unjudged", "mark": "?", "text": answer}
    if not beats_chance(bias):
        return {"look": "no-evidence", "mark": "–", "text": answer}
    return {"look": "evidence", "mark": "✓", "text": answer}


def _absent(comparison: Comparison, held_out: HeldOutTest | None) -> set[str]:
    absent = set() if comparison.failed or comparison.unavailable else {"dropped"}
    if held_out is None:
        absent.add("held-out")
    if not comparison.trials:
        absent |= {"ranking", "sharpe", "portfolios"}
    if not any(_has_ratio(trial) for trial in comparison.trials):
        absent.add("sharpe")
    return absent


def _tested(held_out: HeldOutTest) -> dict[str, Metrics]:
    """Return the chosen trial on both parts, and what could have been had there, by name."""
    picked, result, best = held_out.choice_trial, held_out.chosen, held_out.best_in_hindsight
    if picked is None:
        return {}
    rows = {"chosen, on the hours that chose it": picked.scenarios.requested.metrics}
    if result is not None:
        rows["chosen, on the rest"] = result.requested.metrics
        rows["buy and hold, on the rest"] = result.buy_and_hold.metrics
    if best is not None:
        rows[f"best in hindsight: {best.ticker}, {best.parameter_set.label}"] = (
            best.scenarios.requested.metrics
        )
    return rows


def _charts(comparison: Comparison, tz: ZoneInfo) -> list[Chart]:
    charts = []
    ranked = [trial for trial in comparison.trials if _has_ratio(trial)][:BARS_SHOWN]
    if ranked:
        charts.append(_sharpe_chart(comparison, ranked))
    if comparison.portfolios:
        charts.append(_portfolio_chart(comparison, tz))
    return charts


def _has_ratio(trial: Trial) -> bool:
    return has_traded(trial) and trial.scenarios.requested.metrics.sharpe is not None


def _sharpe_chart(comparison: Comparison, ranked: list[Trial]) -> Chart:
    """Draw the Sharpe ratio of each trial, two of its errors, and what the best would show by chance."""
    metrics = [trial.scenarios.requested.metrics for trial in reversed(ranked)]
    several = len(comparison.request.settings) > 1
    places = [
        f"{place}. {trial.ticker}" + (f", {_values(trial)}" if several else "")
        for place, trial in enumerate(ranked, start=1)
    ]
    errors = [2 * (each.sharpe_se or 0.0) for each in metrics]
    ratios = [each.sharpe or 0.0 for each in metrics]
    dots = scatter(
        "Sharpe ratio",
        "markers",
        short(ratios),
        [chart_text(place) for place in reversed(places)],
        text=[chart_text(trial.parameter_set.label) for trial in reversed(ranked)],
        error_x=style.error_bars(errors, style.RUN),
        marker={"size": 9, "color": style.RUN},
        hovertemplate="%{y} (%{text}): %{x:+.2f}<extra></extra>",
    )
    bias = comparison.selection_bias
    shapes = [] if bias is None else [_chance_line(bias.expected_best_sharpe)]
    layout = {
        "xaxis": axis("annualised Sharpe ratio", zeroline=True),
        "yaxis": axis(type="category"),
        "hovermode": "closest",
        "shapes": shapes,
        "showlegend": False,
    }
    summary = f"Sharpe ratios of the first {len(ranked)} trials, with two standard errors."
    return Chart(name="sharpe", summary=summary, traces=[dots], layout=layout, height=120 + 26 * len(ranked))


def _values(trial: Trial) -> str:
    """Return the values that the setting of a trial varies, as short as an axis needs."""
    text = ", ".join(value_text(name, value) for name, value in trial.parameter_set.varied)
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"


def _chance_line(value: float) -> dict[str, object]:
    look = {"color": style.LOSS, "dash": "dash", "width": 1.5}
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": value,
        "x1": value,
        "y0": 0,
        "y1": 1,
        "line": look,
    }


def _quotes(comparison: Comparison) -> str:
    """Return the currency of the amounts."""
    return " and ".join(sorted({trial.ticker.quote for trial in comparison.trials}))


def _portfolio_chart(comparison: Comparison, tz: ZoneInfo) -> Chart:
    looks = zip(_COLOURS, _DASHES, strict=True)
    traces: list[Trace] = [
        line(portfolio.parameter_set.label, short(portfolio.equity), *look, hovertemplate="%{y:,.2f}")
        for portfolio, look in zip(comparison.portfolios, looks, strict=False)
    ]
    layout = {"xaxis": time_axis(f"time ({tz.key})"), "yaxis": axis(_quotes(comparison), tickformat=",.6~g")}
    summary = f"Equity of the portfolios of the first {len(traces)} settings."
    return Chart(name="portfolios", summary=summary, traces=traces, layout=layout)
