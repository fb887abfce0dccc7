"""An evaluation of somebody else's targets as JSON, as alike to a backtest's as can be."""

from __future__ import annotations

from dataclasses import asdict

from crypto_refactor.backtest.diagnostics import entry_sizes
from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.report.documents.run import columns_json, data_json, ending_json, head_json, rules_json

SCHEMA = 1


def evaluation_json(found: EvaluationResult) -> dict[str, object]:
    """Return the document of a backtest without models, signals, conditions and features."""
    return {
        "schema": SCHEMA,
        **head_json(found),
        "settings": evaluation_settings(found),
        "targets": {
            "file": str(found.targets.path),
            "rows": len(found.targets),
            "fingerprint": found.targets.fingerprint(),
            "ignored_columns": list(found.targets.ignored),
            "made_between_bars": found.between_bars,
            **found.side_counts,
        },
        **columns_json(found),
        "entries": asdict(entry_sizes(found.requested.simulation.fills, found.window)),
        **ending_json(found),
        "data": data_json(found),
        "significance": None if found.significance is None else found.significance.to_dict(),
        "verdict": None if found.verdict is None else asdict(found.verdict),
    }


def evaluation_settings(found: EvaluationResult) -> dict[str, object]:
    """Return everything that decided the result, beside the bars and the targets."""
    values = rules_json(found)
    # Both ask for a forecast, and targets are targets.
    del values["exit"], values["strict"]
    return values
