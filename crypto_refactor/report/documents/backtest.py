"""A backtest, its audit and an evaluation of external targets as the documented JSON."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from crypto_refactor.backtest.audit_findings import Audit
from crypto_refactor.backtest.diagnostics import entry_sizes
from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.external.one_hour_later import OneHourLater
from crypto_refactor.backtest.jump_shares import JumpShare
from crypto_refactor.backtest.metrics import Metrics, figures_by_side
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.options import NEEDS_A_FORECAST
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.quality import QualityReport
from crypto_refactor.report.commentary import alpaca_note
from crypto_refactor.report.hints import all_hints
from crypto_refactor.report.hour_remarks import acting_text, hour_warning

SCHEMA = 1

Document = dict[str, Any]


def backtest_json(result: BacktestResult) -> Document:
    """Return a backtest."""
    diagnostics = result.diagnostics
    return {
        **_head(result),
        "settings": backtest_settings(result),
        "models": _models(result),
        **_accounts(result),
        "signals": diagnostics.signals,
        "conditions": {name: asdict(figures) for name, figures in diagnostics.conditions.items()},
        "feature_correlation": {name: asdict(figure) for name, figure in diagnostics.correlations.items()},
        "input_importance": None
        if result.importance is None
        else {name: asdict(figure) for name, figure in result.importance.items()},
        "entries": asdict(diagnostics.entries) | {"beyond_cost": diagnostics.entries_beyond_cost},
        **_ending(result),
        "data": _data(result) | {"undecidable": result.undecidable},
        "data_quality": data_quality(result.quality, result.jump_shares),
        "significance": None if result.significance is None else result.significance.to_dict(),
        "audit": None if result.audit is None else result.audit.to_dict(),
        "earlier_trials": earlier_trials(result),
        "verdict": None if result.verdict is None else asdict(result.verdict),
        "hints": all_hints(result),
    }


def earlier_trials(result: RunResult) -> Document | None:
    """Return what was tried on these hours before; null where nobody counts."""
    return None if result.earlier is None else result.earlier.to_dict(result.requested.metrics)


def audit_json(result: BacktestResult, audit: Audit) -> Document:
    """Return an audit, and what was audited."""
    return {**_head(result), "settings": backtest_settings(result), "audit": audit.to_dict()}


def evaluation_json(result: EvaluationResult) -> Document:
    """Return an evaluation: the document of a backtest without models, signals, conditions and features."""
    targets = result.targets
    return {
        "schema": SCHEMA,
        "warning": hour_warning(result),
        **_head(result),
        "settings": evaluation_settings(result),
        "targets": {
            "file": None if targets.path is None else str(targets.path),
            "stamped": targets.stamped.value,
            "acting": acting_text(result),
            "rows": len(targets),
            "fingerprint": targets.fingerprint(),
            "ignored_columns": list(targets.ignored),
            "made_between_bars": result.between_bars,
            **result.side_counts,
        },
        **_accounts(result),
        "one_hour_later": _one_hour_later(result.one_hour_later),
        "entries": asdict(entry_sizes(result.requested.simulation.fills, result.window)),
        **_ending(result),
        "data": _data(result),
        "data_quality": data_quality(result.quality, result.jump_shares),
        "significance": None if result.significance is None else result.significance.to_dict(),
        "earlier_trials": earlier_trials(result),
        "verdict": None if result.verdict is None else asdict(result.verdict),
        "hints": all_hints(result),
    }


def _one_hour_later(later: OneHourLater) -> Document:
    return {
        "metrics": later.run.metrics.to_dict(),
        "first_hour_return": later.first_hour,
        "first_hour_error": later.error,
        "dependence": None if later.dependence is None else later.dependence.value,
    }


def data_quality(quality: QualityReport, shares: Sequence[JumpShare]) -> Document:
    """Return each close that jumps; for those within the window, what it means for the result."""
    known = {share.jump: share.to_dict() for share in shares}
    without_share = {"as_move": None, "counted": None}
    return {"jumps": [known.get(jump, jump.to_dict() | without_share) for jump in quality.jumps]}


def backtest_settings(result: BacktestResult) -> Document:
    """Return everything but the bars that determines a backtest."""
    settings = result.settings.to_dict()
    if result.pinned is not None:
        card = result.walk.periods[0].model.card
        settings |= {
            "network": card.network,
            "residual": card.residual,
            "seed": card.seed,
            "train_hours": None,
            "refit_every": None,
        }
    return {**settings, **asdict(result.signal_rules), **_rules(result), "model": result.pinned}


def evaluation_settings(result: EvaluationResult) -> Document:
    """Return everything but the bars and the targets that determines an evaluation."""
    return {name: value for name, value in _rules(result).items() if name not in NEEDS_A_FORECAST}


def metrics_by_account(
    requested: Metrics, alpaca: Metrics | None, buy_and_hold: Metrics, *, note: str | None = None
) -> Document:
    """Return the metrics of the three accounts, and a note on the one at Alpaca, as a part of a document."""
    return {
        "metrics": requested.to_dict(),
        "at_alpaca": None if alpaca is None else alpaca.to_dict(),
        **({} if note is None else {"at_alpaca_note": note}),
        "buy_and_hold": buy_and_hold.to_dict(),
    }


def _head(result: RunResult) -> Document:
    bars = result.window
    return {
        "schema": SCHEMA,
        "ticker": str(result.ticker),
        "timeframe": "1h",
        "source": bars.source,
        "simulated": bars.simulated,
        "end": to_iso(result.end),
        "window": {
            "first": to_iso(int(bars.closed[0])),
            "last": to_iso(int(bars.opened[-1])),
            "bars": len(bars) - 1,
        },
    }


def _rules(result: RunResult) -> Document:
    rules = result.requested.rules
    return {
        **asdict(rules),
        "venue": "none" if rules.venue is None else rules.venue.name,
        "venue_rules_as_of": None if rules.venue is None else rules.venue.as_of,
        "initial_balance": result.requested.metrics.initial_balance,
        "hours": result.hours,
    }


def _models(result: BacktestResult) -> list[Document]:
    """Return each model and the bars it decided."""
    return [
        {
            "fingerprint": period.model.card.fingerprint,
            "trained_from": to_iso(period.model.card.trained_from),
            "trained_through": to_iso(period.model.card.trained_through),
            "first_scored": to_iso(int(period.signals.decided_at[0])) if len(period.signals) else None,
            "last_scored": to_iso(int(period.signals.decided_at[-1])) if len(period.signals) else None,
        }
        for period in result.walk.periods
    ]


def _accounts(result: RunResult) -> Document:
    return {
        **metrics_by_account(*result.scenarios.metrics, note=alpaca_note(result)),
        "by_side": figures_by_side(result.requested.simulation.trades),
    }


def _ending(result: RunResult) -> Document:
    """Return the decisions of the last close, which no bar follows, and since when entries are halted."""
    run = result.requested.simulation
    return {
        "pending": [
            {"action": "enter", "side": decision.side, "fraction": decision.fraction}
            if isinstance(decision, Enter)
            else {"action": "exit", "reason": decision.reason}
            for decision in run.pending
        ],
        "halted_at": None if run.halted_at is None else to_iso(run.halted_at),
    }


def _data(result: RunResult) -> Document:
    """Return which bars were used, and how complete they are."""
    return {
        "fingerprint": result.window.fingerprint(),
        "synthetic": result.quality.synthetic,
        "missing": result.quality.missing,
        "zero_volume": result.quality.zero_volume,
    }
