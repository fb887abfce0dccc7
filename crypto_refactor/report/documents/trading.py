"""What trading commands found and did, as the documented JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from crypto_refactor.execution.sub_account import Fill, SubAccount
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.replay_summary import ReplayFigures, ticker_figures, total_figures
from crypto_refactor.trading.explanations import ledger_record
from crypto_refactor.trading.historical.replay import ReplayResult, TickerReplay
from crypto_refactor.trading.ledger.order_record import OrderRecord
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable

SCHEMA = 1


def outcome_json(entry: TickerOutcome) -> dict[str, Any]:
    """Return one decision: UTC stamps, null for what is undefined, never NaN.

    Parameters
    ----------
    entry : TickerOutcome
        What a pass found and did for a ticker.

    Returns
    -------
    dict
        `signal` is null where the model did not say anything, `target` where nothing was decided,
        `position` and `equity` where nothing is traded.
    """
    document: dict[str, Any] = _finite(
        {
            "schema": SCHEMA,
            "ticker": str(entry.ticker),
            "simulated": entry.simulated,
            "account": entry.account,
            "bar": to_iso(entry.bar),
            "price": entry.price,
            "signal": _signal(entry),
            "target": entry.target,
            "orders": [_order(order) for order in entry.orders],
            "fills": [_fill(fill) for fill in entry.fills],
            "pending": list(entry.pending),
            "position": None if entry.sub_account is None else _position(entry.sub_account),
            "equity": entry.equity,
            "acted": entry.acted,
            "late": entry.late,
            "reason": entry.reason,
            "decision": _decision(entry),
            "notes": list(entry.notes),
        }
    )
    return document


def row_json(row: TickerRow) -> dict[str, Any]:
    """Return one ticker's row: its decision, its error, or why it is not offered."""
    if isinstance(row, Failure):
        error = row.error
        problem = {"code": error.exit_code, "message": error.what, "remedy": error.remedy}
        return {"schema": SCHEMA, "ticker": str(row.ticker), "error": problem}
    if isinstance(row, Unavailable):
        return {"schema": SCHEMA, "ticker": str(row.ticker), "unavailable": row.why}
    return outcome_json(row)


def multi_json(mode: str, rows: Sequence[TickerRow]) -> dict[str, Any]:
    """Return one pass over several tickers.

    Parameters
    ----------
    mode : str
        Of the command.
    rows : sequence of TickerRow
        In the order they are to be shown.
    """
    return {
        "schema": SCHEMA,
        "mode": mode,
        "tickers": [row_json(row) for row in rows],
        "failed": _failed(rows),
    }


def replay_json(result: ReplayResult) -> dict[str, Any]:
    """Return what a replay came to.

    As in `multi_json`, `tickers` holds whatever is known of each one: what it came to, its error, or why it
    is not offered.  `metrics` and `buy_and_hold` are those of the backtest of the same window; the other
    figures are the ledger's own, and `same_as_backtest` says whether the two agree to the last bit.
    """
    document: dict[str, Any] = _finite(
        {
            "schema": SCHEMA,
            "account": result.account,
            "resumed": result.resumed,
            "tickers": [
                *map(_replayed, result.replayed),
                *(row_json(row) for row in result.rows),
            ],
            "failed": _failed(result.rows),
            "total": _total(result),
        }
    )
    return document


def _signal(entry: TickerOutcome) -> int | None:
    if entry.decision is None or not len(entry.decision.signals):
        return None
    return int(entry.decision.signals.signal[-1])


def _decision(entry: TickerOutcome) -> dict[str, Any] | None:
    if entry.decision is None:
        return None
    kept = ledger_record(entry.decision, entry.reason)
    return {**kept, "cutoff": to_iso(kept["cutoff"])}


def _order(order: OrderRecord) -> dict[str, Any]:
    return {
        **asdict(order),
        "ticker": str(order.ticker),
        "bar": to_iso(order.bar),
        "stage": order.stage.value,
    }


def _fill(fill: Fill) -> dict[str, Any]:
    return {**fill._asdict(), "at": to_iso(fill.at)}


def _position(holding: SubAccount) -> dict[str, Any]:
    return {
        "side": holding.side,
        "quantity": holding.quantity,
        "average_price": holding.average_price if holding.quantity else None,
        "cash": holding.cash,
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
    }


def _total(result: ReplayResult) -> dict[str, Any] | None:
    if not result.replayed:
        return None
    total: ReplayFigures = total_figures([ticker_figures(replayed) for replayed in result.replayed])
    return {
        "initial_balance": total.initial,
        "final_balance": total.final,
        "total_return": total.gain,
        "buy_and_hold": {"final_balance": total.hold, "total_return": total.hold_gain},
        "fees_paid": total.fees,
        "trades": total.trades,
    }


def _finite(value: Any) -> Any:
    """Return `value` with null in the place of every number that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
