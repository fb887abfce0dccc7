"""Which models decided, and whether the run passed its audit."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from crypto_refactor.backtest.audit.findings import Audit
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.report.formatting import number, percent
from crypto_refactor.report.html.charts import wall_clock
from crypto_refactor.report.html.markup import Html, join, tag
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.tables import Cell, facts, numbers, table, words


def models_section(context: PageContext[BacktestResult]) -> Section:
    """Return each model, what it had learnt from, what it knew and what it decided."""
    columns = (
        words("Weights", "fingerprint of the weights"),
        words("Learnt from, through"),
        words("Decided from, through"),
        numbers("Closes"),
        numbers("Long"),
        numbers("Flat"),
        numbers("Short"),
        numbers("Slope ± SE", "of outcomes on forecasts, on rows the fit never saw; 1 is perfect"),
        numbers("RMSE / zero", "on rows the fit never saw; below 1 is better than forecasting nothing"),
        numbers("Evidence", "share of a forecast that is supported"),
    )
    result = context.result
    rows = [_model(stretch, context) for stretch in result.walk.stretches]
    text = (
        "Every close is decided by a model whose last lesson lies before it. Slope, RMSE and evidence were measured "
        f"before the model decided anything, on rows its fit had not seen. Times in {context.tz.key}."
    )
    if result.pinned is not None:
        text = f"One frozen model, {result.pinned}, decided everything."
    body = join(tag("p", text), table("Models and what each decided", columns, rows))
    return Section(name="models", title="Models", body=body)


def _model(stretch: PeriodSignals, context: PageContext[BacktestResult]) -> tuple[object, ...]:
    card, made, tz = stretch.model.card, stretch.made, context.tz
    sides = [f"{int((made.signal == side).sum()):,}" for side in (1, 0, -1)]
    evidence = card.evidence
    return (
        tag("code", card.fingerprint),
        _span(card.trained_from, card.trained_through, tz),
        _span(stretch.period.first, stretch.period.last, tz),
        f"{len(made):,}",
        *sides,
        f"{number(evidence.slope)} ± {number(evidence.slope_se)}",
        number(evidence.rmse_ratio, 4),
        percent(evidence.shrink, 0),
    )


def _span(first: int, last: int, tz: ZoneInfo) -> Html:
    return join(wall_clock(first, tz), tag("br"), wall_clock(last, tz))


def audit_section(audit: Audit | None) -> Section:
    """Return what the audit looked at and found."""
    if audit is None:
        return Section(name="audit", title="Audit", body=tag("p", "This run was not audited."))
    verdict = tag("strong", "Passed" if audit.passed else "FAILED", class_="gain" if audit.passed else "loss")
    again = f": {audit.bars_checked:,} of {audit.bars:,} closes were decided again from the bars known at the time."
    columns = (words("Check"), words("Outcome"), words("What was looked at"))
    rows = [
        (
            check.name,
            Cell(text="passed", look="gain") if check.passed else Cell(text="FAILED", look="loss"),
            Cell(text=check.detail, look="prose"),
        )
        for check in audit.checks
    ]
    parts = [tag("p", verdict, again), table("Checks of the audit", columns, rows)]
    if audit.first_difference is not None:
        parts += [tag("h3", "First difference"), facts(audit.first_difference.to_dict())]
    return Section(name="audit", title="Audit", body=join(*parts))
