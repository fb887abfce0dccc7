"""The journal of trials as the documented JSON."""

from collections.abc import Sequence
from typing import Any

from crypto_refactor.backtest.journal.store import JournalRow
from crypto_refactor.market.hours import to_iso

SCHEMA = 1


def trials_json(rows: Sequence[JournalRow]) -> dict[str, Any]:
    """Return trials, in the given order."""
    return {"schema": SCHEMA, "trials": [_trial(row) for row in rows]}


def _trial(row: JournalRow) -> dict[str, Any]:
    record = row.record
    return {
        "number": row.number,
        "first_run_at": row.first_run_at,
        "last_run_at": row.last_run_at,
        "runs": row.runs,
        "command": record.command,
        "ticker": record.ticker,
        "source": record.source,
        "simulated": record.simulated,
        "window": {
            "first": to_iso(record.first),
            "last": to_iso(record.last - 1),
            "hours": record.last - record.first,
        },
        "data": {"fingerprint": record.data},
        "settings": dict(record.settings),
        "settings_hash": record.settings_hash,
        "total_return": record.total_return,
        "sharpe": record.sharpe,
        "sharpe_se": record.sharpe_se,
        "hourly_sharpe": record.hourly_sharpe,
        "trades": record.trades,
        "verdict": row.verdict,
    }
