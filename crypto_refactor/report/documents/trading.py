"""Decisions and replays of trading commands as the documented JSON: UTC stamps, null for what is undefined."""

import math
from collections.abc import Sequence
from typing import Any

from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.documents.backtest import data_quality
from crypto_refactor.report.documents.records import decision_json, order_json
from crypto_refactor.report.replay_summary import ticker_figures, total_figures
from crypto_refactor.trading.explanations import ledger_record
from crypto_refactor.trading.historical.replay import ReplayResult, TickerReplay
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable

SCHEMA = 1


def outcome_json(outcome: TickerOutcome) -> dict[str, Any]:
    """Return one decision.

    `signal` is null where the model made none, `target` where nothing was decided, `position` and `equity` where
    nothing is traded.
    """
    account, decision = outcome.sub_account, outcome.decision
    document: dict[str, Any] = _finite(
        {
            "schema": SCHEMA,
            "ticker": str(outcome.ticker),
            "simulated": outcome.simulated,
            "account": outcome.account,
            "bar": to_iso(outcome.bar),
            "price": outcome.price,
            "signal": int(decision.signals.signal[-1])
            if decision is not None and len(decision.signals)
            else None,
            "target": outcome.target,
            "orders": [order_json(order) for order in outcome.orders],
            "fills": [fill.to_dict() for fill in outcome.fills],
            "pending": list(outcome.pending),
            "position": None if account is None else _position(account),
            "equity": outcome.equity,
            "acted": outcome.acted,
            "late": outcome.late,
            "reason": outcome.reason,
            "decision": None if decision is None else decision_json(ledger_record(decision, outcome.reason)),
            "notes": list(outcome.notes),
        }
    )
    return document


def row_json(row: TickerRow) -> dict[str, Any]:
    """Return one ticker's row: its decision, its error, or why it is not offered."""
    if isinstance(row, Failure):
        return {"schema": SCHEMA, "ticker": str(row.ticker), "error": row.error.to_dict()}
    if isinstance(row, Unavailable):
        return {"schema": SCHEMA, "ticker": str(row.ticker), "unavailable": row.why}
    return outcome_json(row)


def multi_json(mode: str, rows: Sequence[TickerRow]) -> dict[str, Any]:
    """Return one pass over several tickers, in the order of `rows`."""
    return {
        "schema": SCHEMA,
        "mode": mode,
        "tickers": [row_json(row) for row in rows],
        "failed": _failed(rows),
    }


def replay_json(result: ReplayResult) -> dict[str, Any]:
    """Return a replay.

    As in `multi_json`, `tickers` holds the result of each one, its error, or why it is not offered.  `metrics` and
    `buy_and_hold` are those of the backtest of the same window; the other figures come from the ledger, and
    `same_as_backtest` tells whether the two agree to the last bit.
    """
    document: dict[str, Any] = _finite(
        {
            "schema": SCHEMA,
            "account": result.account,
            "resumed": result.resumed,
            "tickers": [*map(_replayed, result.replayed), *map(row_json, result.rows)],
            "failed": _failed(result.rows),
            "total": _total(result),
        }
    )
    return document


def _position(account: SubAccount) -> dict[str, Any]:
    return {
        "side": account.side,
        "quantity": account.quantity,
        "average_price": account.average_price if account.quantity else None,
        "cash": account.cash,
    }


def _failed(rows: Sequence[TickerRow]) -> list[str]:
    return [str(row.ticker) for row in rows if isinstance(row, Failure)]


def _replayed(replayed: TickerReplay) -> dict[str, Any]:
    backtest, figures = replayed.backtest, ticker_figures(replayed)
    window = backtest.window
    return {
        "ticker": str(replayed.ticker),
        "source": window.source,
        "simulated": window.simulated,
        "window": {
            "first": to_iso(int(window.opened[1])),
            "last": to_iso(int(window.opened[-1])),
            "hours": backtest.hours,
        },
        "equity": figures.final,
        "fees_paid": figures.fees,
        "trades": figures.trades,
        "same_as_backtest": replayed.same,
        "metrics": backtest.requested.metrics.to_dict(),
        "buy_and_hold": backtest.buy_and_hold.metrics.to_dict(),
        "data_quality": data_quality(backtest.quality, backtest.jump_shares),
    }


def _total(result: ReplayResult) -> dict[str, Any] | None:
    if not result.replayed:
        return None
    total = total_figures(map(ticker_figures, result.replayed))
    return {
        "initial_balance": total.initial,
        "final_balance": total.final,
        "total_return": total.gain,
        "buy_and_hold": {"final_balance": total.hold, "total_return": total.hold_gain},
        "fees_paid": total.fees,
        "trades": total.trades,
    }


def _finite(value: Any) -> Any:
    """Return `value` with null in place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
