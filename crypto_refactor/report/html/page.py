"""The page: one file, verdict first, that loads nothing from anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.report.commentary import (
    CANNOT_BE_AUDITED,
    backtest_remarks,
    evaluation_remarks,
    window_text,
)
from crypto_refactor.report.html import charts
from crypto_refactor.report.html.markup import Html, join, script_json, tag
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.sections import models_and_audit as provenance
from crypto_refactor.report.html.sections import performance, signals, verdict
from crypto_refactor.report.html.sections import significance as evidence
from crypto_refactor.report.html.sections.price_chart import price_section
from crypto_refactor.report.html.sections.reproduce import of_models, of_targets, reproduce_section
from crypto_refactor.report.html.sections.targets import targets_section
from crypto_refactor.report.html.sections.trade_reasons import signal_reasons, target_reasons
from crypto_refactor.report.html.sections.trades import trades_section

# The browser itself refuses whatever this page would load: no address, not even a relative one, is allowed.
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
_SIMULATED = "SIMULATED"
_SIMULATED_TEXT = (
    "these bars come from the bundled simulation. They are not a market, and nothing below was ever traded."
)


def report_html(result: BacktestResult, *, command: str | None, tz: ZoneInfo) -> str:
    """Return a backtest as one HTML file.

    The same arguments give the same text.

    Parameters
    ----------
    result : BacktestResult
        What is told.
    command : str or None
        The command that repeats the run.
    tz : ZoneInfo
        In which people read times.
    """
    context = PageContext(result=result, tz=tz, command=command)
    sections = (
        verdict.verdict_section(context, audit=result.audit),
        verdict.figures_section(context, backtest_remarks(result, tz)),
        evidence.significance_section(context),
        performance.equity_section(context),
        price_section(context, signal_reasons(result.walk.signals)),
        performance.months_section(context),
        performance.rolling_section(context),
        trades_section(context),
        signals.conditions_section(context),
        signals.correlation_section(context),
        signals.forecast_section(context),
        evidence.calibration_section(context),
        evidence.costs_section(context),
        provenance.models_section(context),
        provenance.audit_section(result.audit),
        reproduce_section(context, of_models(result)),
    )
    return _page(f"{result.ticker} backtest", context, sections)


def evaluation_html(found: EvaluationResult, *, command: str | None, tz: ZoneInfo) -> str:
    """Return an evaluation of somebody else's targets as one HTML file: the page of a backtest without models.

    The same arguments give the same text.

    Parameters
    ----------
    found : EvaluationResult
        What is told.
    command : str or None
        The command that repeats the run.
    tz : ZoneInfo
        In which people read times.
    """
    context = PageContext(result=found, tz=tz, command=command)
    sections = (
        verdict.verdict_section(context, caveat=CANNOT_BE_AUDITED),
        verdict.figures_section(context, evaluation_remarks(found, tz)),
        evidence.significance_section(context),
        performance.equity_section(context),
        price_section(context, target_reasons(found.targets, tz)),
        performance.months_section(context),
        performance.rolling_section(context),
        trades_section(context),
        evidence.costs_section(context),
        targets_section(context),
        reproduce_section(context, of_targets(found)),
    )
    return _page(f"{found.ticker} evaluation of targets", context, sections)


def _page(title: str, context: PageContext[RunResult], given: Sequence[Section | None]) -> str:
    sections = [section for section in given if section is not None]
    mark = f"{_SIMULATED} " if context.simulated else ""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{mark}{title}"),
        tag("style", _asset("report.css")),
    )
    body = tag(
        "body",
        _banner(context),
        _header(title, context, sections),
        tag("main", *(_placed(section) for section in sections)),
        _footer(),
        _scripts(context, sections),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _banner(context: PageContext[RunResult]) -> Html:
    if not context.simulated:
        return Html("")
    return tag("div", tag("strong", _SIMULATED), f": {_SIMULATED_TEXT}", class_="simulated", role="note")


def _header(title: str, context: PageContext[RunResult], sections: Sequence[Section]) -> Html:
    toggle = tag("button", "Dark or light", type="button", id="theme", class_="theme")
    links = [tag("a", section.title, href=f"#{section.name}") for section in sections[1:]]
    return tag(
        "header",
        tag("div", tag("h1", title), toggle, class_="title"),
        tag("p", window_text(context.result.window, context.tz), class_="about"),
        tag("nav", *links, aria_label="Sections"),
    )


def _placed(section: Section) -> Html:
    heading = tag("h2", section.title, id=f"{section.name}-title")
    return tag("section", heading, section.body, id=section.name, aria_labelledby=f"{section.name}-title")


def _footer() -> Html:
    text = "A backtest is about the past. It does not say what the next trade earns, and it is no advice."
    return tag("footer", tag("p", text))


def _scripts(context: PageContext[RunResult], sections: Sequence[Section]) -> Html:
    from plotly.offline import get_plotlyjs

    drawn = [chart for section in sections for chart in section.charts]
    hours = context.result.window.closed.tolist()
    columns = {"time": [charts.wall_clock(hour, context.tz) for hour in hours]}
    document = charts.document(drawn, columns, watermark=_SIMULATED if context.simulated else None)
    return join(
        tag("script", script_json(document), type="application/json", id="charts"),
        # plotly's own file, unchanged: the browser reads it as a script, so it is not escaped.
        tag("script", Html(get_plotlyjs())),
        tag("script", _asset("report.js")),
    )


def _asset(name: str) -> Html:
    return Html(files("crypto_refactor.report.html").joinpath(name).read_text(encoding="utf-8"))
