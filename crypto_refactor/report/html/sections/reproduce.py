"""How to come to the same figures again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

from crypto_refactor import __version__
from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.documents.backtest import settings_json
from crypto_refactor.report.documents.evaluation import evaluation_settings
from crypto_refactor.report.formatting import source_name
from crypto_refactor.report.html.markup import join, tag
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.tables import facts

Group = tuple[str, Mapping[str, object]]
"""Facts under a heading of their own."""


def reproduce_section(context: PageContext[RunResult], decided_by: Sequence[Group]) -> Section:
    """Return everything needed to come to the same figures again: the command, the bars, and what decided."""
    told = context.result
    window, quality = told.window, told.quality
    if context.command is not None:
        how = tag("pre", tag("code", context.command), class_="command", tabindex="0")
    else:
        how = tag("p", f"Repeat with the settings below and --end {to_iso(told.end)}.")
    data: dict[str, object] = {
        "ticker": str(told.ticker),
        "source": source_name(window.source),
        "end (UTC)": to_iso(told.end),
        "first bar (UTC)": to_iso(int(window.closed[0])),
        "last bar (UTC)": to_iso(int(window.opened[-1])),
        "bars": len(window) - 1,
        "fingerprint of the bars": window.fingerprint(),
        "carried / missing / without volume": (
            f"{quality.synthetic} / {quality.missing} / {quality.zero_volume} hours"
        ),
    }
    groups = (join(tag("h3", title), facts(pairs)) for title, pairs in (("Data", data), *decided_by))
    return Section(name="reproduce", title="Repeat this run", body=join(how, *groups))


def of_models(result: BacktestResult) -> Sequence[Group]:
    """Return what decided a backtest: settings, models, and the libraries these depend on."""
    cards = [stretch.model.card for stretch in result.walk.stretches]
    settings = settings_json(result)
    weights = ", ".join(dict.fromkeys(card.fingerprint for card in cards))
    trained = {name: text for card in cards for name, text in card.versions.items()}
    return (
        ("Settings", settings),
        ("Models", {"seed": settings["seed"], "weights": weights}),
        ("Versions", _versions(("onnxruntime", "pandas", "ta", "plotly"), trained)),
    )


def of_targets(found: EvaluationResult) -> Sequence[Group]:
    """Return what decided an evaluation: settings and targets; no model, and no library of one."""
    targets = found.targets
    return (
        ("Settings", evaluation_settings(found)),
        ("Targets", {"file": targets.path, "fingerprint of the targets": targets.fingerprint()}),
        ("Versions", _versions(("numpy", "pandas", "plotly"), {})),
    )


def _versions(libraries: Iterable[str], trained: Mapping[str, str]) -> dict[str, str]:
    found = {"crypto-refactor": __version__, **trained}
    for name in libraries:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
