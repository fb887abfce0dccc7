"""The report of a run as one HTML file that loads nothing from anywhere."""

from __future__ import annotations

from functools import partial
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.report import commentary
from crypto_refactor.report.html import charts, section_data, series
from crypto_refactor.report.html.plotly_style import Chart, chart_data, wall_clock
from crypto_refactor.report.html.price_chart import Reasons, price_chart, signal_reasons, target_reasons
from crypto_refactor.report.html.templating import environment
from crypto_refactor.report.metric_rows import METRIC_ROWS
from crypto_refactor.signals.conditions import DESCRIPTIONS

SECTIONS = {
    "verdict": "Verdict",
    "figures": "Key figures",
    "luck": "Skill or luck?",
    "equity": "Equity and drawdowns",
    "price": "Price, entries and exits",
    "months": "Monthly returns",
    "rolling": "Rolling Sharpe ratio",
    "trades": "Trades",
    "conditions": "Conditions",
    "features": "Features and the next return",
    "forecast": "Forecast against outcome",
    "calibration": "Calibration and coverage",
    "costs": "Effect of fees",
    "models": "Models",
    "audit": "Audit",
    "targets": "Targets",
    "reproduce": "Repeat this run",
}
"""Titles of the sections in order; each name is an anchor and that of a template."""
_OF_MODELS = frozenset({"conditions", "features", "forecast", "calibration", "models", "audit"})
_OF_TARGETS = frozenset({"targets"})


def report_html(result: BacktestResult, *, command: str | None, tz: ZoneInfo) -> str:
    """Return a backtest as one HTML file; the same arguments give the same text.

    Parameters
    ----------
    result : BacktestResult
        The backtest, with its significance tests and audit where there are any.
    command : str or None
        The command that repeats the run.
    tz : ZoneInfo
        Time zone of all times in the text and the charts.
    """
    outcomes = series.outcomes(result.walk.signals, result.window)
    bins = series.binned(outcomes)
    drawn = [charts.correlation_chart(result.diagnostics.correlations)]
    drawn += [charts.forecast_chart(bins)] if bins else []
    skill = None if result.significance is None else result.significance.skill
    drawn += [] if skill is None else [charts.calibration_chart(skill)]
    return _page(
        f"{result.ticker} backtest",
        result,
        command,
        tz,
        signal_reasons(result.walk.signals),
        drawn,
        absent=_OF_TARGETS if skill is not None else _OF_TARGETS | {"calibration"},
        remarks=commentary.backtest_remarks(result, tz),
        caveat=None,
        signal_remarks=commentary.signal_remarks(result),
        descriptions=DESCRIPTIONS,
        forecasts=section_data.forecast_data(outcomes, bins),
        audit_titles=commentary.AUDIT_TITLES,
        provenance=section_data.backtest_provenance(result),
        **section_data.correlation_data(result),
    )


def evaluation_html(result: EvaluationResult, *, command: str | None, tz: ZoneInfo) -> str:
    """Return an evaluation of external targets as one HTML file: a backtest's page without models."""
    return _page(
        f"{result.ticker} evaluation of targets",
        result,
        command,
        tz,
        target_reasons(result.targets, tz),
        [],
        absent=_OF_MODELS,
        remarks=commentary.evaluation_remarks(result, tz),
        caveat=commentary.CANNOT_BE_AUDITED,
        target_remarks=commentary.target_remarks(result),
        provenance=section_data.evaluation_provenance(result),
        **section_data.target_data(result, tz),
    )


def _page(
    title: str,
    result: RunResult,
    command: str | None,
    tz: ZoneInfo,
    reasons: Reasons,
    further_charts: list[Chart],
    *,
    absent: frozenset[str],
    **details: object,
) -> str:
    from plotly.offline import get_plotlyjs

    span = charts.rolling_hours(result)
    tested, traded = result.significance, bool(result.requested.simulation.fills)
    drawn = [charts.equity_chart(result, tz), price_chart(result, reasons, tz)]
    drawn += [] if span is None else [charts.rolling_chart(result, span, tz)]
    drawn += further_charts
    drawn += [charts.costs_chart(tested.cost_sweep)] if tested is not None and traded else []
    missing = {
        *absent,
        *(["luck", "costs"] if tested is None else []),
        *([] if traded else ["costs"]),
        *([] if span is not None else ["rolling"]),
    }
    sections = {name: text for name, text in SECTIONS.items() if name not in missing}
    sections["trades"] += f" ({len(result.requested.simulation.trades)})"
    hours = {"time": [wall_clock(hour, tz) for hour in result.window.closed.tolist()]}
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            title=title,
            result=result,
            command=command,
            tz=tz,
            clock=partial(wall_clock, tz=tz),
            quote=result.ticker.quote,
            simulated=result.window.simulated,
            significance=tested,
            sections=sections,
            charts={chart.name: chart for chart in drawn},
            chart_data=chart_data(drawn, hours, simulated=result.window.simulated),
            plotly=get_plotlyjs(),
            headline=section_data.headline(result),
            metric_rows=METRIC_ROWS,
            drawdowns=section_data.drawdown_rows(result),
            curve_names=list(charts.equity_curves(result)),
            months=section_data.month_rows(result, tz),
            rolling_hours=span,
            rolling_noise=None if span is None else series.sharpe_noise(span),
            window_text=commentary.window_text(result.window, tz),
            rules_text=commentary.rules_text(result.requested.rules),
            sides=commentary.side_remarks(result.requested.simulation.trades, result.ticker.quote),
            pending_text=commentary.pending_text(result, tz),
            repeat_text=commentary.repeat_text(result),
            **details,
        )
    )
