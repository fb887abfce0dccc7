"""The ledger: decisions, orders, fills and states of all accounts in one SQLite file.

Each bar of a sub-account is one transaction: its fills, trades, equity, decision and the state after it are
written together or not at all.  The key of a decision is (account, ticker, close of the bar), so no process
acts on the same bar twice.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.execution.sub_account import Fill, Trade
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.storage import SqliteFile
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus
from crypto_refactor.trading.ledger.schema import FORMAT, STATE_TABLES, TRADE_COLUMNS, state_from_json
from crypto_refactor.trading.ledger.transaction import LedgerTransaction

_KEY = "account = ? AND ticker = ?"


def _name(ticker: Ticker | None) -> str:
    return "" if ticker is None else str(ticker)


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A sub-account's opening balance and the close at which it was opened."""

    balance: float
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """An account of the ledger; times are ISO-8601 UTC, `about` is what it was last traded with."""

    name: str
    opened_at: str
    traded_at: str
    about: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """Up to when the ledger knows what happened at the broker, and whether a person has said so."""

    through: datetime
    accepted: bool


class Ledger:
    """The accounts of one file, by name; several processes may share it.

    `clock` returns the aware local time, which shows which account was traded last.

    Raises
    ------
    BrokerError
        By every method, if the file is damaged, foreign, of another version, busy for too long, or cannot be
        read or written.
    """

    def __init__(self, path: Path, clock: Callable[[], datetime] = _utc_now) -> None:
        self.path = path
        self._clock = clock
        self._file = SqliteFile(path, FORMAT)
        self._prepared: dict[str, tuple[str, dict[str, Any]]] = {}

    def prepare_account(self, name: str, now: str, about: dict[str, Any]) -> None:
        """Open the account `name` with the first transaction on it: one that never decides leaves no trace."""
        self._prepared[name] = now, about

    def open_account(self, name: str, now: str, about: dict[str, Any] | None = None) -> None:
        """Open the account `name` at the ISO-8601 time `now`, or update what it is traded with."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            _open_account(connection, name, now, about or {})

    def accounts(self) -> tuple[AccountRow, ...]:
        """Return every account, the one traded last first."""
        with self._file.transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT name, opened_at, traded_at, about FROM accounts ORDER BY traded_at DESC, name"
            ).fetchall()
        return tuple(
            AccountRow(name=name, opened_at=opened, traded_at=traded, about=json.loads(about))
            for name, opened, traded, about in rows
        )

    def mark_finished(self, name: str) -> None:
        """Mark a replay as complete."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            connection.execute("UPDATE accounts SET finished = 1 WHERE name = ?", (name,))

    def reset_if_finished(self, name: str) -> bool:
        """Delete the contents of a complete replay; return whether there was one."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            row = connection.execute("SELECT finished FROM accounts WHERE name = ?", (name,)).fetchone()
            if row is None or not row[0]:
                return False
            for table in STATE_TABLES:
                connection.execute(f"DELETE FROM {table} WHERE account = ?", (name,))  # noqa: S608 - own names
            connection.execute("UPDATE accounts SET finished = 0 WHERE name = ?", (name,))
        return True

    def state(self, account: str, ticker: Ticker) -> SubAccountState | None:
        """Return the sub-account's state; None where it was never opened."""
        rows = self._rows("state", "holdings", account, ticker, "ticker")
        return self._parse_state(account, str(ticker), rows[0][0]) if rows else None

    def states(self, account: str) -> dict[Ticker, SubAccountState]:
        """Return the state of every sub-account."""
        with self._file.transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT ticker, state FROM holdings WHERE account = ? ORDER BY ticker", (account,)
            ).fetchall()
        return {Ticker.parse(name): self._parse_state(account, name, text) for name, text in rows}

    def opening(self, account: str, ticker: Ticker) -> Opening | None:
        """Return how the sub-account was opened."""
        rows = self._rows("opened_with, opened_at", "holdings", account, ticker, "ticker")
        return Opening(balance=rows[0][0], at=rows[0][1]) if rows else None

    def order_suffix(self, account: str) -> str:
        """Return what ends every order id of `account` in this ledger, and of no other ledger."""
        with self._file.transaction("BEGIN") as connection:
            row = connection.execute("SELECT token FROM identity").fetchone()
        if row is None:
            raise self._file.damaged("it has lost its token")
        return hashlib.sha256(f"{row[0]}/{account}".encode()).hexdigest()[:8]

    def review(self, account: str, ticker: Ticker | None = None) -> Review | None:
        """Return the last review of the account at the broker, or of one position there."""
        with self._file.transaction("BEGIN") as connection:
            row = connection.execute(
                "SELECT through, accepted FROM reviews WHERE account = ? AND ticker = ?",
                (account, _name(ticker)),
            ).fetchone()
        return None if row is None else Review(through=datetime.fromisoformat(row[0]), accepted=bool(row[1]))

    def record_review(
        self, account: str, through: datetime, ticker: Ticker | None = None, *, accepted: bool = False
    ) -> None:
        """Record that what happened at the broker up to `through` is known; `accepted` by a person."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            connection.execute(
                "INSERT INTO reviews VALUES (?, ?, ?, ?) ON CONFLICT (account, ticker)"
                " DO UPDATE SET through = excluded.through, accepted = excluded.accepted",
                (account, _name(ticker), through.astimezone(UTC).isoformat(), accepted),
            )

    def booked_external_sales(self, account: str) -> dict[str, float]:
        """Return how much of each sale by others is booked, by the broker's order id."""
        with self._file.transaction("BEGIN") as connection:
            return dict(
                connection.execute(
                    "SELECT broker_order_id, quantity FROM external_sales WHERE account = ?", (account,)
                ).fetchall()
            )

    def has_decision(self, account: str, ticker: Ticker, bar: int) -> bool:
        """Return whether a decision was made at the bar that closed at `bar`."""
        with self._file.transaction("BEGIN") as connection:
            row = connection.execute(
                f"SELECT 1 FROM decisions WHERE {_KEY} AND bar = ?",  # noqa: S608
                (account, str(ticker), bar),
            ).fetchone()
        return row is not None

    def models(self, account: str, ticker: Ticker) -> dict[int, str]:
        """Return the key of the cached model that decides, by cut-off."""
        return dict(self._rows("cutoff, key", "models", account, ticker, "cutoff"))

    @contextmanager
    def transaction(self, account: str, ticker: Ticker) -> Iterator[LedgerTransaction]:
        """Write to one sub-account, all of it or nothing."""
        prepared = self._prepared.get(account)
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            if prepared is not None:
                _open_account(connection, account, *prepared)
            yield LedgerTransaction(connection, account, ticker, self._clock().isoformat())
        if prepared is not None:
            self._prepared.pop(account, None)

    def orders(self, account: str, ticker: Ticker, *, unsettled: bool = False) -> tuple[OrderRecord, ...]:
        """Return every order, or those whose outcome is not known, in the order they were recorded."""
        names = tuple(field.name for field in fields(OrderRecord))
        rows = self._rows(", ".join(names), "orders", account, ticker, "rowid")
        values = (dict(zip(names, row, strict=True)) for row in rows)
        orders = (
            OrderRecord(**{**row, "ticker": ticker, "stage": OrderStatus(row["stage"])}) for row in values
        )
        return tuple(order for order in orders if not unsettled or order.stage is OrderStatus.UNSETTLED)

    def order_ids(self, account: str) -> frozenset[str]:
        """Return the id of every order of the account."""
        with self._file.transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT client_order_id FROM orders WHERE account = ?", (account,)
            ).fetchall()
        return frozenset(row[0] for row in rows)

    def fills(self, account: str, ticker: Ticker) -> tuple[Fill, ...]:
        """Return every fill, in order."""
        rows = self._rows(", ".join(Fill._fields), "fills", account, ticker, "rowid")
        return tuple(Fill(*row) for row in rows)

    def trades(self, account: str, ticker: Ticker) -> tuple[Trade, ...]:
        """Return every closed trade, in order."""
        rows = self._rows(", ".join(TRADE_COLUMNS), "trades", account, ticker, "rowid")
        return tuple(Trade(*row) for row in rows)

    def equity(self, account: str, ticker: Ticker) -> list[tuple[int, float]]:
        """Return (close of the bar, equity), the opening balance first."""
        rows = self._rows("bar, equity", "equity", account, ticker, "bar")
        return [(int(bar), float(value)) for bar, value in rows]

    def decisions(self, account: str, ticker: Ticker) -> list[dict[str, Any]]:
        """Return every decision as it was recorded, in order."""
        rows = self._rows("bar, target, entry", "decisions", account, ticker, "bar")
        return [{"bar": bar, "target": target, **json.loads(entry)} for bar, target, entry in rows]

    def _rows(self, columns: str, table: str, account: str, ticker: Ticker, order: str) -> list[Any]:
        query = f"SELECT {columns} FROM {table} WHERE {_KEY} ORDER BY {order}"  # noqa: S608 - own names
        with self._file.transaction("BEGIN") as connection:
            return connection.execute(query, (account, str(ticker))).fetchall()

    def _parse_state(self, account: str, ticker: str, text: str) -> SubAccountState:
        try:
            return state_from_json(text)
        except (ValueError, TypeError, KeyError) as error:
            raise self._file.damaged(f"the state of {ticker} in {account} cannot be read") from error


def _open_account(connection: sqlite3.Connection, name: str, now: str, about: dict[str, Any]) -> None:
    connection.execute(
        "INSERT INTO accounts (name, opened_at, traded_at, about) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET about = excluded.about",
        (name, now, now, json.dumps(about, allow_nan=False)),
    )
