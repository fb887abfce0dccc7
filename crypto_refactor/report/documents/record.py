"""The record of forecasts as the documented JSON."""

from collections.abc import Sequence
from typing import Any

from crypto_refactor.correlation import Mean
from crypto_refactor.market.hours import to_iso
from crypto_refactor.trading.record.martingales import ALARM, EVIDENCE
from crypto_refactor.trading.record.record import SeriesRecord
from crypto_refactor.trading.record.scores import NOMINAL_COVERAGE, Score, ScoreGroup

SCHEMA = 1


def record_json(record: SeriesRecord | None, *, series: str | None, others: Sequence[str], notes: Sequence[str], simulated: bool) -> dict[str, Any]:  # fmt: skip
    """Return the whole record of a series; `forecasts` is 0, and nothing else is told, before the first one."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "series": series,
        "simulated": simulated,
        "forecasts": 0,
        "others": list(others),
        "notes": list(notes),
    }
    if record is None:
        return document
    return document | {
        **record_summary(record),
        "score": score_json(record.score),
        "by_ticker": _groups(record.by_ticker),
        "by_model": _groups(record.by_model),
        "by_month": _groups(record.by_month),
    }


def record_summary(record: SeriesRecord) -> dict[str, Any]:
    """Return what `status` and signals tell of a record."""
    recent = record.recent
    return {
        "series": record.series,
        "forecasts": len(record.forecasts),
        "scored": record.score.n,
        "waiting": record.waiting,
        "unscored": record.unscored,
        "after_the_fact": record.after_the_fact,
        "first": to_iso(record.forecasts[0].record.bar),
        "last": to_iso(record.forecasts[-1].record.bar),
        "recent": {
            "n": recent.n,
            "stated": recent.stated,
            "right": recent.right,
            "stated_confidence": recent.stated_confidence,
        },
        "evidence": {
            "product": record.score.product,
            "wanted": EVIDENCE,
            "reached_at": _hour(record.score.evidence_at),
        },
        "alarm": {
            "detector": record.detector,
            "level": ALARM,
            "raised_at": [to_iso(at) for at in record.alarms],
            "last": _hour(record.alarmed_at),
        },
    }


def score_json(score: Score) -> dict[str, Any]:
    """Return how good scored forecasts were; null for what too few of them do not tell."""
    correlation = score.rank_correlation
    return {
        "n": score.n,
        "stated": score.stated,
        "right": score.right,
        **_mean("hit_rate", score.hit_rate),
        "stated_confidence": score.stated_confidence,
        "silent": {"n": score.silent, "directed": score.silent_directed, "right": score.silent_right},
        "rank_correlation": correlation.value,
        "rank_correlation_se": correlation.se,
        "rmse": score.rmse,
        "zero_rmse": score.zero_rmse,
        "rmse_ratio": score.rmse_ratio,
        "with_interval": score.with_interval,
        "nominal_coverage": NOMINAL_COVERAGE,
        **_mean("coverage", score.coverage),
        "calibration": [
            {
                "low": each.low,
                "high": each.high,
                "n": each.n,
                "stated": each.stated,
                "observed": each.observed,
            }
            for each in score.calibration.bins
        ],
        "brier": score.calibration.brier,
        "evidence": {"product": score.product, "reached_at": _hour(score.evidence_at)},
    }


def _groups(groups: Sequence[ScoreGroup]) -> list[dict[str, Any]]:
    return [{"name": group.name, **score_json(group.score)} for group in groups]


def _mean(name: str, mean: Mean | None) -> dict[str, float | None]:
    return {name: None if mean is None else mean.value, f"{name}_se": None if mean is None else mean.se}


def _hour(hour: int | None) -> str | None:
    return None if hour is None else to_iso(hour)
