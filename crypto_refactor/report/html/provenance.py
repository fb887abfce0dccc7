"""Which models decided, whether the run passed its audit, and how to repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor import __version__
from crypto_refactor.backtest.walkforward import Stretch
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.backtest_json import settings_json
from crypto_refactor.report.format import UNDEFINED, number, percent, source_name
from crypto_refactor.report.html.charts import wall_clock
from crypto_refactor.report.html.markup import Html, join, tag
from crypto_refactor.report.html.section import Context, Section
from crypto_refactor.report.html.tables import Cell, numbers, table, words

_LIBRARIES = ("onnxruntime", "pandas", "ta", "plotly")


def models_section(context: Context) -> Section:
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


def _model(stretch: Stretch, context: Context) -> tuple[object, ...]:
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


def audit_section(context: Context) -> Section:
    """Return what the audit looked at and found."""
    audit = context.audit
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
        parts += [tag("h3", "First difference"), _facts(audit.first_difference.to_dict())]
    return Section(name="audit", title="Audit", body=join(*parts))


def reproduce_section(context: Context) -> Section:
    """Return everything needed to come to the same figures again."""
    result = context.result
    window = result.window
    parts: list[Html] = []
    if context.command is not None:
        parts.append(tag("pre", tag("code", context.command), class_="command", tabindex="0"))
    else:
        parts.append(tag("p", f"Repeat with the settings below and --end {to_iso(result.end)}."))
    data: dict[str, object] = {
        "ticker": str(result.ticker),
        "source": source_name(window.source),
        "end (UTC)": to_iso(result.end),
        "first bar (UTC)": to_iso(int(window.opened[1])),
        "last bar (UTC)": to_iso(int(window.opened[-1])),
        "bars": len(window) - 1,
        "fingerprint of the bars": window.fingerprint(),
        "carried / missing / without volume": (
            f"{result.quality.synthetic} / {result.quality.missing} / {result.quality.zero_volume} hours"
        ),
    }
    fingerprints = dict.fromkeys(stretch.model.card.fingerprint for stretch in result.walk.stretches)
    groups: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("Data", data),
        ("Settings", settings_json(result)),
        ("Models", {"seed": settings_json(result)["seed"], "weights": ", ".join(fingerprints)}),
        ("Versions", _versions(context)),
    )
    parts += [join(tag("h3", title), _facts(facts)) for title, facts in groups]
    return Section(name="reproduce", title="Repeat this run", body=join(*parts))


def _versions(context: Context) -> dict[str, str]:
    found = {"crypto-refactor": __version__}
    for stretch in context.result.walk.stretches:
        found |= stretch.model.card.versions
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _facts(facts: Mapping[str, Any]) -> Html:
    pairs = [
        tag("div", tag("dt", name.replace("_", " ")), tag("dd", _value(value)))
        for name, value in facts.items()
    ]
    return tag("dl", *pairs, class_="facts")


def _value(value: object) -> str:
    if value is None:
        return UNDEFINED
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_value(each)}" for name, each in value.items())
    return f"{value:.15g}" if isinstance(value, float) else str(value)
