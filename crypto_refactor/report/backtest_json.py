"""A backtest as the documented JSON and CSV."""

from __future__ import annotations

from dataclasses import asdict

from crypto_refactor.backtest.backtester import BacktestResult
from crypto_refactor.backtest.metrics import by_side
from crypto_refactor.backtest.statistics import (
    condition_figures,
    entry_figures,
    feature_correlations,
    signal_counts,
    why_no_entry,
)
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.venues import ALPACA_RULES_AS_OF
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.format import percent
from crypto_refactor.report.trades import csv_text, trades_text
from crypto_refactor.signals.conditions import CONDITIONS

SCHEMA = 1


def backtest_json(result: BacktestResult) -> dict[str, object]:
    """Return the documented JSON."""
    bars, made = result.window, result.walk.signals
    stretches = result.walk.stretches
    correlations = feature_correlations(stretches, result.settings, pinned=result.pinned is not None)
    return {
        "schema": SCHEMA,
        "ticker": str(result.ticker),
        "timeframe": "1h",
        "source": bars.source,
        "simulated": bars.simulated,
        "end": to_iso(result.end),
        "window": {
            "first": to_iso(int(bars.opened[1])),
            "last": to_iso(int(bars.opened[-1])),
            "bars": len(bars) - 1,
        },
        "settings": settings_json(result),
        "models": models_json(result),
        "metrics": result.metrics.to_dict(),
        "at_alpaca": None if result.alpaca_metrics is None else result.alpaca_metrics.to_dict(),
        "at_alpaca_note": alpaca_note(result),
        "buy_and_hold": result.hold_metrics.to_dict(),
        "by_side": by_side(result.run.trades),
        "signals": signal_counts(made),
        "conditions": {n: asdict(f) for n, f in condition_figures(made, result.signal_rules).items()},
        "feature_correlation": {name: asdict(figure) for name, figure in correlations.items()},
        "entries": asdict(entry_figures(result.run.fills, bars, made, result.rules)),
        "pending": pending_json(result),
        "halted_at": None if result.run.halted_at is None else to_iso(result.run.halted_at),
        "data": {
            "fingerprint": bars.fingerprint(),
            "synthetic": result.quality.synthetic,
            "missing": result.quality.missing,
            "zero_volume": result.quality.zero_volume,
            "undecidable": result.undecidable,
        },
        "significance": None if result.significance is None else result.significance.to_dict(),
        "audit": None if result.audit is None else result.audit.to_dict(),
        "verdict": None if result.verdict is None else asdict(result.verdict),
    }


def alpaca_note(result: BacktestResult) -> str:
    """Return what the column at Alpaca went by, or why there is none, in one or two sentences."""
    rules, run = result.alpaca_rules, result.at_alpaca
    if rules is None or run is None:
        return f"Alpaca does not trade {result.ticker} (as of {ALPACA_RULES_AS_OF})."
    text = f"long only, fee {percent(rules.fee)} in what is received, entries halt {percent(rules.max_drawdown, 1)} below the peak"
    text += "." if run.halted_at is None else f"; they were halted at {to_iso(run.halted_at)}."
    if not any(fill.reason == "entry" for fill in run.fills):
        text += f" {why_no_entry(result.walk.signals, rules) or 'There was no signal.'}"
    return text


def settings_json(result: BacktestResult) -> dict[str, object]:
    """Return everything that decided the result, beside the bars."""
    rules = asdict(result.rules)
    venue = result.rules.venue
    return {
        **asdict(result.settings),
        **_pinned_settings(result),
        **asdict(result.signal_rules),
        **rules,
        "venue": "none" if venue is None else venue.name,
        "venue_rules_as_of": None if venue is None else venue.as_of,
        "initial_balance": result.metrics.initial_balance,
        "hours": result.hours,
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


def pending_json(result: BacktestResult) -> list[dict[str, object]]:
    """Return what was decided at the last close and would be filled after it."""
    return [
        {"action": "enter", "side": decision.side, "fraction": decision.fraction}
        if isinstance(decision, Enter)
        else {"action": "exit", "reason": decision.reason}
        for decision in result.run.pending
    ]


def trades_csv(result: BacktestResult) -> str:
    """Return one row per trade; simulated ones carry a further column that says so."""
    rows = ((result.ticker, trade) for trade in result.run.trades)
    return trades_text(rows, simulated=result.window.simulated)


def signals_csv(result: BacktestResult) -> str:
    """Return one row per decided bar; simulated ones carry a further column that says so."""
    made, window = result.walk.signals, result.window
    targets = dict(zip(window.closed.tolist(), result.run.target.tolist(), strict=True))
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
