"""The report of a run as one HTML file that loads nothing from anywhere."""

from collections.abc import Sequence
from functools import partial
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.execution.options import option_hints
from crypto_refactor.report import commentary
from crypto_refactor.report.hour_remarks import account_columns, hour_warning
from crypto_refactor.report.html import charts, section_data, series
from crypto_refactor.report.html.plotly_style import Chart, chart_data, wall_clock
from crypto_refactor.report.html.price_chart import Reasons, price_chart, signal_reasons, target_reasons
from crypto_refactor.report.html.templating import environment
from crypto_refactor.report.metric_rows import METRIC_ROWS
from crypto_refactor.signals.condition_catalogue import descriptions_of

SECTIONS = {
    "verdict": "Verdict",
    "equity": "Equity and drawdowns",
    "figures": "Key figures",
    "luck": "Skill or luck?",
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
_FOOTER = (
    "A backtest describes the past. It does not predict the result of the next trade, and it is not advice."
)
_MODEL_SECTIONS = ("conditions", "features", "forecast", "models", "audit")
_CHART_OF_SECTION = {"rolling": "rolling-sharpe", "calibration": "calibration", "costs": "costs"}
"""Sections that are left out where their chart cannot be drawn."""


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
    signals, correlations = result.walk.signals, result.diagnostics.correlations
    outcomes = series.outcomes(signals, result.window)
    bins = series.binned(outcomes)
    drawn = [charts.correlation_chart(correlations)]
    if bins:
        drawn.append(charts.forecast_chart(bins))
    if result.significance is not None and result.significance.skill is not None:
        drawn.append(charts.calibration_chart(result.significance.skill))
    return _page(
        result,
        _charts(result, signal_reasons(signals), tz, drawn),
        tz,
        absent=("targets",),
        title=f"{result.ticker} backtest",
        command=command,
        warning=None,
        caveat=None,
        remarks=option_hints(result.requested.rules) + commentary.backtest_remarks(result, tz),
        signal_remarks=commentary.signal_remarks(result),
        descriptions=descriptions_of(result.settings.plugins),
        correlations=correlations,
        forecasts=section_data.forecast_data(outcomes, bins),
        audit_titles=commentary.AUDIT_TITLES,
        provenance=section_data.backtest_provenance(result),
    )


def evaluation_html(result: EvaluationResult, *, command: str | None, tz: ZoneInfo) -> str:
    """Return an evaluation of external targets as one HTML file: a backtest's page without models."""
    return _page(
        result,
        _charts(result, target_reasons(result.targets, tz), tz, []),
        tz,
        absent=_MODEL_SECTIONS,
        title=f"{result.ticker} evaluation of targets",
        command=command,
        warning=hour_warning(result),
        caveat=commentary.CANNOT_BE_AUDITED,
        remarks=option_hints(result.requested.rules) + commentary.evaluation_remarks(result, tz),
        target_remarks=commentary.target_remarks(result, tz),
        provenance=section_data.evaluation_provenance(result),
        **section_data.target_data(result, tz),
    )


def _charts(result: RunResult, reasons: Reasons, tz: ZoneInfo, further: Sequence[Chart]) -> dict[str, Chart]:
    """Return all charts in the order of the page."""
    drawn = [charts.equity_chart(result, tz), price_chart(result, reasons, tz)]
    span = charts.rolling_hours(result)
    if span is not None:
        drawn.append(charts.rolling_chart(result, span, tz))
    drawn += further
    if result.significance is not None and result.requested.simulation.fills:
        drawn.append(charts.costs_chart(result.significance.cost_sweep))
    return {chart.name: chart for chart in drawn}


def _page(
    result: RunResult, drawn: dict[str, Chart], tz: ZoneInfo, *, absent: Sequence[str], **details: object
) -> str:
    left_out = {*absent, *(name for name, chart in _CHART_OF_SECTION.items() if chart not in drawn)}
    if result.significance is None:
        left_out.add("luck")
    sections = {name: title for name, title in SECTIONS.items() if name not in left_out}
    sections["trades"] += f" ({len(result.requested.simulation.trades)})"
    simulated = result.window.simulated
    hours = {"time": [wall_clock(hour, tz) for hour in result.window.closed.tolist()]}
    template = environment().get_template("page.html.jinja")
    return template.render(
        folder="sections",
        footer=_FOOTER,
        simulated_note="Nothing below was ever traded.",
        refresh=None,
        result=result,
        significance=result.significance,
        quote=result.ticker.quote,
        simulated=simulated,
        sections=sections,
        charts=drawn,
        chart_data=chart_data(drawn.values(), hours, simulated=simulated),
        tz=tz,
        clock=partial(wall_clock, tz=tz),
        headline=section_data.headline(result),
        metric_rows=METRIC_ROWS,
        columns=account_columns(result),
        drawdowns=section_data.drawdown_rows(result),
        curve_names=list(charts.equity_curves(result)),
        months=section_data.month_rows(result, tz),
        rolling_hours=charts.rolling_hours(result),
        about=commentary.window_text(result.window, tz),
        rules_text=commentary.rules_text(result.requested.rules),
        sides=commentary.side_remarks(result.requested.simulation.trades, result.ticker.quote),
        pending_text=commentary.pending_text(result, tz),
        repeat_text=commentary.repeat_text(result),
        **details,
    )
