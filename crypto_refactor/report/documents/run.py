"""What the JSON of a backtest, of its audit and of an evaluation have in common."""

from __future__ import annotations

from dataclasses import asdict

from crypto_refactor.backtest.metrics import by_side
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.commentary import alpaca_note


def head_json(told: RunResult) -> dict[str, object]:
    """Return what was traded: ``ticker`` to ``window``."""
    bars = told.window
    return {
        "ticker": str(told.ticker),
        "timeframe": "1h",
        "source": bars.source,
        "simulated": bars.simulated,
        "end": to_iso(told.end),
        "window": {
            "first": to_iso(int(bars.closed[0])),
            "last": to_iso(int(bars.opened[-1])),
            "bars": len(bars) - 1,
        },
    }


def rules_json(told: RunResult) -> dict[str, object]:
    """Return the settings that every run has: rules, money and hours."""
    venue = told.requested.rules.venue
    return {
        **asdict(told.requested.rules),
        "venue": "none" if venue is None else venue.name,
        "venue_rules_as_of": None if venue is None else venue.as_of,
        "initial_balance": told.requested.metrics.initial_balance,
        "hours": told.hours,
    }


def columns_json(told: RunResult) -> dict[str, object]:
    """Return the three columns, ``metrics`` to ``by_side``."""
    return {
        "metrics": told.requested.metrics.to_dict(),
        "at_alpaca": None if told.alpaca is None else told.alpaca.metrics.to_dict(),
        "at_alpaca_note": alpaca_note(told),
        "buy_and_hold": told.buy_and_hold.metrics.to_dict(),
        "by_side": by_side(told.requested.simulation.trades),
    }


def ending_json(told: RunResult) -> dict[str, object]:
    """Return what was decided at the last close and would be filled after it, and since when nothing is entered."""
    halted = told.requested.simulation.halted_at
    return {
        "pending": [
            {"action": "enter", "side": decision.side, "fraction": decision.fraction}
            if isinstance(decision, Enter)
            else {"action": "exit", "reason": decision.reason}
            for decision in told.requested.simulation.pending
        ],
        "halted_at": None if halted is None else to_iso(halted),
    }


def data_json(told: RunResult) -> dict[str, object]:
    """Return which bars were used, and how complete they are."""
    return {
        "fingerprint": told.window.fingerprint(),
        "synthetic": told.quality.synthetic,
        "missing": told.quality.missing,
        "zero_volume": told.quality.zero_volume,
    }
