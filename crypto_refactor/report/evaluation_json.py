"""An evaluation of somebody else's targets as JSON and CSV, as alike to a backtest's as can be."""

from __future__ import annotations

from dataclasses import asdict

from crypto_refactor.backtest.evaluation import Evaluation
from crypto_refactor.backtest.metrics import by_side
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.venues import ALPACA_RULES_AS_OF
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.format import percent
from crypto_refactor.report.trades import trades_text

SCHEMA = 1


def evaluation_json(found: Evaluation) -> dict[str, object]:
    """Return the document of a backtest without models, signals, conditions and features."""
    bars, columns = found.window, found.columns
    halted = columns.run.halted_at
    return {
        "schema": SCHEMA,
        "ticker": str(found.ticker),
        "timeframe": "1h",
        "source": bars.source,
        "simulated": bars.simulated,
        "end": to_iso(found.end),
        "window": {
            "first": to_iso(int(bars.opened[1])),
            "last": to_iso(int(bars.opened[-1])),
            "bars": len(bars) - 1,
        },
        "settings": _settings(found),
        "targets": {
            "file": str(found.targets.path),
            "rows": len(found.targets),
            "ignored_columns": list(found.targets.ignored),
            "made_between_bars": found.between_bars,
            **wanted_counts(found),
        },
        "metrics": found.metrics.to_dict(),
        "at_alpaca": None if found.alpaca_metrics is None else found.alpaca_metrics.to_dict(),
        "at_alpaca_note": alpaca_note(found),
        "buy_and_hold": found.hold_metrics.to_dict(),
        "by_side": by_side(columns.run.trades),
        "pending": [
            {"action": "enter", "side": decision.side, "fraction": decision.fraction}
            if isinstance(decision, Enter)
            else {"action": "exit", "reason": decision.reason}
            for decision in columns.run.pending
        ],
        "halted_at": None if halted is None else to_iso(halted),
        "data": {
            "fingerprint": bars.fingerprint(),
            "synthetic": found.quality.synthetic,
            "missing": found.quality.missing,
            "zero_volume": found.quality.zero_volume,
        },
        "significance": found.significance.to_dict(),
        "verdict": asdict(found.verdict),
    }


def _settings(found: Evaluation) -> dict[str, object]:
    rules = found.columns.rules
    venue = rules.venue
    values = asdict(rules)
    # Both ask for a forecast, and targets are targets.
    del values["exit"], values["strict"]
    return {
        **values,
        "venue": "none" if venue is None else venue.name,
        "venue_rules_as_of": None if venue is None else venue.as_of,
        "initial_balance": found.metrics.initial_balance,
        "hours": found.hours,
    }


def wanted_counts(found: Evaluation) -> dict[str, int]:
    """Return at how many real closes each side was wanted."""
    wanted = found.wanted[~found.window.synthetic]
    return {name: int((wanted == side).sum()) for name, side in (("long", 1), ("flat", 0), ("short", -1))}


def alpaca_note(found: Evaluation) -> str:
    """Return what the column at Alpaca went by, or why there is none, in one or two sentences."""
    rules, run = found.columns.alpaca_rules, found.columns.at_alpaca
    if rules is None or run is None:
        return f"Alpaca does not trade {found.ticker} (as of {ALPACA_RULES_AS_OF})."
    halted = "" if run.halted_at is None else f"; they were halted at {to_iso(run.halted_at)}"
    entered = any(fill.reason == "entry" for fill in run.fills)
    return (
        f"long only, fee {percent(rules.fee)} in what is received, entries halt "
        f"{percent(rules.max_drawdown, 1)} below the peak{halted}."
        + ("" if entered else " No entry was filled there.")
    )


def trades_csv(found: Evaluation) -> str:
    """Return one row per trade; simulated ones carry a further column that says so."""
    rows = ((found.ticker, trade) for trade in found.columns.run.trades)
    return trades_text(rows, simulated=found.window.simulated)
