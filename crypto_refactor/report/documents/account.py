"""An account, its trades and its manual closes as the documented JSON."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.csv_files import trade_row
from crypto_refactor.report.documents.record import record_summary
from crypto_refactor.report.documents.records import decision_json, instant_json, order_json
from crypto_refactor.trading.account_status import AccountStatus, TickerStatus
from crypto_refactor.trading.health.decision_age import DecisionAge
from crypto_refactor.trading.manual.close import CloseResult
from crypto_refactor.trading.record.record import SeriesRecord

SCHEMA = 1


def status_json(
    status: AccountStatus | None,
    ledger: Path,
    halt: str | None,
    record: SeriesRecord | None = None,
    age: DecisionAge | None = None,
) -> dict[str, Any]:
    """Return the status of an account; `account` is null before the first trading run, `age` where none was asked for."""
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "ledger": str(ledger),
        "account": None,
        "halt": halt,
        "record": None if record is None else record_summary(record),
        "others": [],
        "simulated_others": [],
    }
    if age is not None:
        document |= age_json(age)
    if status is None:
        return document
    row = status.row
    return document | {
        "account": row.name,
        "simulated": status.simulated,
        "source": row.about.get("source"),
        "opened_at": instant_json(row.opened_at),
        "traded_at": instant_json(row.traded_at),
        "sub_accounts": [_sub_account(ticker) for ticker in status.tickers],
        "totals": {
            "opened_with": status.opened_with,
            "cash": status.cash,
            "equity": status.equity,
        },
        "others": list(status.others),
        "simulated_others": list(status.simulated_others),
    }


def age_json(age: DecisionAge) -> dict[str, Any]:
    """Return when an account decided last, and whether that is recent enough."""
    return {
        "last_decision_at": None if age.at is None else instant_json(age.at.isoformat()),
        "age_seconds": None if age.age is None else round(age.age.total_seconds()),
        "max_age_seconds": round(age.allowed.total_seconds()),
        "recent": age.is_recent,
    }


def _sub_account(status: TickerStatus) -> dict[str, Any]:
    account = status.account
    return {
        "ticker": str(status.ticker),
        "opened_with": status.opening.balance,
        "opened_at": to_iso(status.opening.at),
        "cash": account.cash,
        "side": account.side,
        "quantity": account.quantity,
        "average_price": account.average_price if account.quantity else None,
        "entered_at": to_iso(account.entry_hour) if account.side else None,
        "marked_at": to_iso(status.marked_at),
        "equity": status.equity,
        "peak_equity": account.peak_equity,
        "halted": account.halted,
        "ruined": account.ruined,
        "stopped_side": account.blocked_side,
        "decision": None if status.decision is None else decision_json(status.decision),
        "pending": list(status.pending),
        "unsettled": [order_json(order) for order in status.unsettled],
    }


def trades_json(
    account: str | None, trades: Iterable[tuple[Ticker, Trade]], *, simulated: bool
) -> dict[str, Any]:
    """Return the trades of an account under the column names of the CSV file."""
    return {
        "schema": SCHEMA,
        "account": account,
        "simulated": simulated,
        "trades": [trade_row(ticker, trade) for ticker, trade in trades],
    }


def closings_json(account: str | None, closings: Sequence[CloseResult], *, simulated: bool) -> dict[str, Any]:
    """Return the result of closing each ticker."""
    return {
        "schema": SCHEMA,
        "account": account,
        "simulated": simulated,
        "tickers": [_closing(closing) for closing in closings],
        "failed": [str(closing.ticker) for closing in closings if closing.error is not None],
    }


def _closing(closing: CloseResult) -> dict[str, Any]:
    document: dict[str, Any] = {
        "ticker": str(closing.ticker),
        "fills": [fill.to_dict() for fill in closing.result.fills],
        "trades": [trade_row(closing.ticker, trade) for trade in closing.result.trades],
        "orders": [order_json(order) for order in closing.result.orders],
        "quantity": None if closing.sub_account is None else closing.sub_account.quantity,
        "waiting": closing.waiting,
        "notes": list(closing.result.notes),
    }
    if closing.error is not None:
        document["error"] = closing.error.to_dict()
    return document
