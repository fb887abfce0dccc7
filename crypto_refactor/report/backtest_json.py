"""A backtest as the documented JSON and CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict

from crypto_refactor.backtest.backtester import BacktestResult
from crypto_refactor.backtest.metrics import by_side
from crypto_refactor.backtest.statistics import (
    condition_figures,
    entry_figures,
    feature_correlations,
    signal_counts,
)
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.market.hours import to_iso
from crypto_refactor.signals.conditions import CONDITIONS
from crypto_refactor.signals.signal import DIRECTIONS

SCHEMA = 1
TRADE_COLUMNS = (
    "ticker",
    "direction",
    "entry_at",
    "entry_price",
    "exit_at",
    "exit_price",
    "quantity",
    "gross_pnl",
    "fees",
    "net_pnl",
    "net_return",
    "bars_held",
    "exit_reason",
)


def backtest_json(result: BacktestResult) -> dict[str, object]:
    """Return the documented JSON."""
    bars, made = result.window, result.walk.signals
    stretches = result.walk.stretches
    correlations = feature_correlations(stretches, result.settings)
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
        },
        "significance": None,
        "audit": None,
        "verdict": None,
    }


def settings_json(result: BacktestResult) -> dict[str, object]:
    """Return everything that decided the result, beside the bars."""
    rules = asdict(result.rules)
    venue = result.rules.venue
    return {
        **asdict(result.settings),
        **asdict(result.signal_rules),
        **rules,
        "venue": "none" if venue is None else venue.name,
        "venue_rules_as_of": None if venue is None else venue.as_of,
        "initial_balance": result.metrics.initial_balance,
        "hours": result.hours,
        "model": result.pinned,
    }


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
    rows = [
        [
            str(result.ticker),
            DIRECTIONS[trade.direction],
            to_iso(trade.entered),
            trade.entry_price,
            to_iso(trade.exited),
            trade.exit_price,
            trade.quantity,
            trade.gross_pnl,
            trade.fees,
            trade.net_pnl,
            trade.net_return,
            trade.bars_held,
            trade.exit_reason,
        ]
        for trade in result.run.trades
    ]
    return _csv(TRADE_COLUMNS, rows, simulated=result.window.simulated)


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
    rows = [
        [to_iso(at), close, predicted, threshold, confidence, *held, count, signal, targets[at], model]
        for at, close, predicted, threshold, confidence, held, count, signal, model in columns
    ]
    return _csv(header, rows, simulated=window.simulated)


def _csv(header: tuple[str, ...], rows: list[list[object]], *, simulated: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, "simulated"] if simulated else header)
    writer.writerows([*row, "SIMULATED"] if simulated else row for row in rows)
    return text.getvalue()
