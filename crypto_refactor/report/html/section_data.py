"""What the templates of the sections show, beside the result itself: rows and facts without any markup."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.backtest.significance.verdict import EVIDENCE, NO_EVIDENCE, TOO_FEW
from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.report.documents.backtest import backtest_settings, evaluation_settings
from crypto_refactor.report.formatting import plugins_text, source_name
from crypto_refactor.report.html import series
from crypto_refactor.report.html.charts import equity_curves
from crypto_refactor.sides import Side
from crypto_refactor.version import __version__

_HEADLINES = {
    EVIDENCE: ("✓", "Evidence of an edge"),
    NO_EVIDENCE: ("–", "No evidence of an edge"),
    TOO_FEW: ("?", "Not enough data"),
}

Data = dict[str, Any]


def headline(result: RunResult) -> Data:
    """Return the class, mark and text of the verdict's box; a failed audit comes before every verdict."""
    if result.audit_passed is False:
        return {"look": "failed", "mark": "!", "text": "The audit failed: do not trust these figures"}
    if isinstance(result, EvaluationResult) and result.one_hour_later.dependence is not None:
        return {"look": "failed", "mark": "!", "text": "This result hangs on one hour: do not trust it"}
    if result.verdict is None:
        return {"look": "unjudged", "mark": "?", "text": "Not tested against chance"}
    mark, text = _HEADLINES[result.verdict.code]
    return {"look": result.verdict.code.replace("_", "-"), "mark": mark, "text": text}


def drawdown_rows(result: RunResult) -> list[Data]:
    """Return the worst drawdowns of the requested account, by hours."""
    closed = result.window.closed.tolist()
    return [
        {
            "depth": drawdown.depth,
            "peak": closed[drawdown.peak],
            "trough": closed[drawdown.trough],
            "recovered": None if drawdown.recovered is None else closed[drawdown.recovered],
            "hours": closed[-1 if drawdown.recovered is None else drawdown.recovered] - closed[drawdown.peak],
        }
        for drawdown in series.worst_drawdowns(result.requested.simulation.equity)
    ]


def month_rows(result: RunResult, tz: ZoneInfo) -> list[Data]:
    """Return the returns of each calendar month, and of the whole window, whose name is None."""
    curves, closed = equity_curves(result).values(), result.window.closed.tolist()
    spans = [*series.month_starts(result.window.closed, tz), (None, 0, len(closed) - 1)]
    return [
        {
            "name": name,
            "hours": closed[stop] - closed[first],
            "changes": [_change(equity, first, stop) for equity in curves],
        }
        for name, first, stop in spans
    ]


def _change(equity: FloatArray, first: int, stop: int) -> float | None:
    before, after = float(equity[first]), float(equity[stop])
    # What rounds to 0 is shown as 0.
    return round(after / before - 1, 4) + 0.0 if before > 0 else None


def forecast_data(outcomes: series.Outcomes, bins: Sequence[series.Bin]) -> Data:
    """Return the spread of forecasts and outcomes in basis points, and how often their signs agree."""
    forecast, outcome = outcomes.forecast, outcomes.outcome
    directed = (forecast != 0) & (outcome != 0)
    right = (np.sign(forecast) == np.sign(outcome))[directed]
    return {
        "count": len(forecast),
        "bins": len(bins),
        "spread": float(np.std(forecast)) * 1e4 if bins else None,
        "outcome_spread": float(np.std(outcome)) * 1e4 if bins else None,
        "directed": int(directed.sum()),
        "right": float(right.mean()) if len(right) else None,
    }


def target_data(result: EvaluationResult, tz: ZoneInfo) -> Data:
    """Return how often each side was the target, and facts about the file."""
    targets, closes = result.targets, result.side_counts
    within = targets.target[targets.within(int(result.window.closed[0]), result.end)]
    total = sum(closes.values())
    return {
        "target_counts": {
            side.label: {
                "rows": int((within == side).sum()),
                "closes": closes[side.label],
                "share": closes[side.label] / total if total else None,
            }
            for side in Side
        },
        "target_facts": {
            "first target": to_local_text(int(targets.made_at[0]), tz),
            "last target": to_local_text(int(targets.made_at[-1]), tz),
            "rows at hours without a bar": result.between_bars,
            "fingerprint of the targets": targets.fingerprint(),
        },
    }


def backtest_provenance(result: BacktestResult) -> Data:
    """Return everything a backtest depends on, in groups."""
    cards = [period.model.card for period in result.walk.periods]
    settings = backtest_settings(result)
    weights = ", ".join(dict.fromkeys(card.fingerprint for card in cards))
    trained_with = {name: text for card in cards for name, text in card.versions.items()}
    return {
        "Data": _bar_facts(result),
        "Settings": settings | {"plugins": plugins_text(result.settings.plugins)},
        "Models": {"seed": settings["seed"], "weights": weights},
        "Versions": _versions(("onnxruntime", "pandas", "ta", "plotly"), trained_with),
    }


def evaluation_provenance(result: EvaluationResult) -> Data:
    """Return everything an evaluation depends on, in groups."""
    targets = result.targets
    return {
        "Data": _bar_facts(result),
        "Settings": evaluation_settings(result),
        "Targets": {"file": targets.origin, "fingerprint of the targets": targets.fingerprint()},
        "Versions": _versions(("numpy", "pandas", "plotly"), {}),
    }


def _bar_facts(result: RunResult) -> Data:
    window, quality = result.window, result.quality
    return {
        "ticker": str(result.ticker),
        "source": source_name(window.source),
        "end (UTC)": to_iso(result.end),
        "first bar (UTC)": to_iso(int(window.closed[0])),
        "last bar (UTC)": to_iso(int(window.opened[-1])),
        "bars": len(window) - 1,
        "fingerprint of the bars": window.fingerprint(),
        "forward-filled / missing / without volume": (
            f"{quality.synthetic} / {quality.missing} / {quality.zero_volume} hours"
        ),
    }


def _versions(libraries: Iterable[str], trained_with: Mapping[str, str]) -> Data:
    versions = {"crypto-refactor": __version__, **trained_with}
    for name in libraries:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions
