"""A backtest as the documented JSON and CSV."""

from __future__ import annotations

from dataclasses import asdict

from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.csv_files import csv_text
from crypto_refactor.report.documents.run import columns_json, data_json, ending_json, head_json, rules_json
from crypto_refactor.signals.conditions import CONDITIONS

SCHEMA = 1


def backtest_json(result: BacktestResult) -> dict[str, object]:
    """Return the documented JSON."""
    diagnostics = result.diagnostics
    return {
        "schema": SCHEMA,
        **head_json(result),
        "settings": settings_json(result),
        "models": models_json(result),
        **columns_json(result),
        "signals": diagnostics.signals,
        "conditions": {name: asdict(figures) for name, figures in diagnostics.conditions.items()},
        "feature_correlation": {name: asdict(figure) for name, figure in diagnostics.correlations.items()},
        "entries": asdict(diagnostics.entries) | {"beyond_cost": diagnostics.entries_beyond_cost},
        **ending_json(result),
        "data": data_json(result) | {"undecidable": result.undecidable},
        "significance": None if result.significance is None else result.significance.to_dict(),
        "audit": None if result.audit is None else result.audit.to_dict(),
        "verdict": None if result.verdict is None else asdict(result.verdict),
    }


def settings_json(result: BacktestResult) -> dict[str, object]:
    """Return everything that decided the result, beside the bars."""
    return {
        **asdict(result.settings),
        **_pinned_settings(result),
        **asdict(result.signal_rules),
        **rules_json(result),
        "model": result.pinned,
    }


def _pinned_settings(result: BacktestResult) -> dict[str, object]:
    """Return what a pinned model says of itself in place of the walk-forward settings."""
    if result.pinned is None:
        return {}
    card = result.walk.stretches[0].model.card
    return {"network": card.network, "seed": card.seed, "train_hours": None, "refit_every": None}


def models_json(result: BacktestResult) -> list[dict[str, object]]:
    """Return each model and the bars it decided."""
    rows: list[dict[str, object]] = []
    for stretch in result.walk.stretches:
        card, made = stretch.model.card, stretch.made.made_at
        rows.append(
            {
                "fingerprint": card.fingerprint,
                "trained_from": to_iso(card.trained_from),
                "trained_through": to_iso(card.trained_through),
                "first_scored": to_iso(int(made[0])) if len(made) else None,
                "last_scored": to_iso(int(made[-1])) if len(made) else None,
            }
        )
    return rows


def signals_csv(result: BacktestResult) -> str:
    """Return one row per decided bar; simulated ones carry a further column that says so."""
    made, window = result.walk.signals, result.window
    targets = dict(zip(window.closed.tolist(), result.requested.simulation.target.tolist(), strict=True))
    header = (
        "made_at",
        "close",
        "predicted_price",
        "threshold",
        "confidence",
        *CONDITIONS,
        "confirmations",
        "signal",
        "target",
        "model",
    )
    columns = zip(
        made.made_at.tolist(),
        made.close.tolist(),
        made.predicted.tolist(),
        made.threshold.tolist(),
        made.confidence.tolist(),
        made.held.astype(int).tolist(),
        made.confirmations.tolist(),
        made.signal.tolist(),
        result.walk.deciders,
        strict=True,
    )
    rows: dict[int, list[object]] = {
        at: [to_iso(at), close, predicted, threshold, confidence, *held, count, signal, targets[at], model]
        for at, close, predicted, threshold, confidence, held, count, signal, model in columns
    }
    # A real bar that could not be decided on has a row too: its close, its target 0 and empty cells.
    blank: list[object] = [""] * (len(header) - 4)
    for at, close, synthetic in zip(
        window.closed.tolist(), window.close.tolist(), window.synthetic.tolist(), strict=True
    ):
        if not synthetic and at not in rows:
            rows[at] = [to_iso(at), close, *blank, targets[at], ""]
    return csv_text(header, [rows[at] for at in sorted(rows)], simulated=window.simulated)
