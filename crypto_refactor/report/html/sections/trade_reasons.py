"""Why each entry was made: by a signal with its conditions, or by somebody else's target."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.external.target_file import ExternalTargets
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.signals.conditions import CONDITIONS, SignalFrame

Reasons = Callable[[int], list[str]]
"""Gives the reasons of an entry made at an hour, a line each."""


def signal_reasons(made: SignalFrame) -> Reasons:
    """Return what the signal behind an entry rested on."""
    rows = {hour: row for row, hour in enumerate(made.made_at.tolist())}

    def reasons(hour: int) -> list[str]:
        row = rows.get(hour)
        return [] if row is None else _signal(made, row)

    return reasons


def _signal(made: SignalFrame, row: int) -> list[str]:
    held = made.held[row]
    close = float(made.close[row])
    missing = [name for name, holds in zip(CONDITIONS[1:], held[1:].tolist(), strict=True) if not holds]
    forecast = _bp(float(made.predicted[row]) / close - 1, signed=True)
    reasons = [
        f"forecast {forecast}, threshold {_bp(float(made.threshold[row]) / close)}",
        f"{int(held[1:].sum())} of {len(CONDITIONS) - 1} confirmations",
        f"confidence {float(made.confidence[row]):.2f}",
    ]
    return reasons + ([f"not held: {', '.join(missing)}"] if missing else [])


def target_reasons(targets: ExternalTargets, tz: ZoneInfo) -> Reasons:
    """Return the row behind an entry, and when it was made where that was earlier."""

    def reasons(hour: int) -> list[str]:
        row = targets.row_at(hour)
        made_at = int(targets.made_at[row])
        since = "" if made_at == hour else f", made at {to_local_text(made_at, tz)}"
        return [f"target {targets.target[row]}, line {targets.lines[row]} of the file{since}"]

    return reasons


def _bp(value: float, *, signed: bool = False) -> str:
    return f"{value * 1e4:{'+' if signed else ''}.1f} bp"
