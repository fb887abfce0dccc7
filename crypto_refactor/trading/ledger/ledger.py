"""The ledger: decisions, orders, fills and states of all accounts in one SQLite file.

Each bar of a sub-account is one transaction: its fills, trades, equity, decision and the state after it are
written together or not at all.  The key of a decision is (account, ticker, close of the bar), so no process
acts on the same bar twice.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade, merged_exits
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.storage import SqliteFile
from crypto_refactor.trading.ledger.forecast_record import FORECAST_COLUMNS, ForecastRecord, insert_forecast
from crypto_refactor.trading.ledger.history import BookedFill, EventRow, SettingsRow
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus
from crypto_refactor.trading.ledger.schema import FORMAT, STATE_TABLES, TRADE_COLUMNS
from crypto_refactor.trading.ledger.transaction import LedgerTransaction
from crypto_refactor.trading.ledger.validation import (
    checked_about,
    checked_forecast,
    checked_object,
    checked_row,
    checked_state,
    checked_ticker,
    problem,
)

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
        self._file = SqliteFile(path, replace(FORMAT, backups=True, check=problem))
        self._prepared: dict[str, tuple[str, dict[str, Any]]] = {}
        self._opened: set[str] = set()

    def prepare_account(self, name: str, now: str, about: dict[str, Any]) -> None:
        """Open the account `name` with the first transaction on it: one that never decides leaves no trace."""
        self._prepared[name] = now, about
        self._opened.discard(name)

    def damaged(self, reason: str) -> BrokerError:
        """Return the error for contents that make no sense, with the way back to the newest good backup."""
        error = self._file.damaged(reason)
        assert isinstance(error, BrokerError), "the error of this format"
        return error

    def check(self) -> None:
        """Read the whole file, and refuse it where a part of it makes no sense."""
        self._file.check()

    def newest_backup(self) -> Path | None:
        """Return the newest copy that is intact, None where there is none."""
        return self._file.newest_backup()

    @contextmanager
    def _checked(self, subject: str) -> Iterator[None]:
        """Refuse the ledger as damaged where a value of `subject` makes no sense."""
        try:
            yield
        except ValueError as error:
            raise self.damaged(f"{subject} cannot be read: {error}") from error

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
        names = ("name", "opened_at", "traded_at")
        with self._checked("an account"):
            return tuple(
                AccountRow(**checked_row("accounts", names, row), about=checked_about(about))
                for *row, about in rows
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
            if row[0] != 1:
                raise self.damaged(f"whether {name} is finished cannot be read")
            for table in STATE_TABLES:
                connection.execute(f"DELETE FROM {table} WHERE account = ?", (name,))  # noqa: S608 - own names
            connection.execute("DELETE FROM forecasts WHERE series = ?", (name,))
            connection.execute("UPDATE accounts SET finished = 0 WHERE name = ?", (name,))
        return True

    def state(self, account: str, ticker: Ticker) -> SubAccountState | None:
        """Return the sub-account's state; None where it was never opened."""
        rows = self._rows("state", "holdings", account, ticker, "ticker")
        return self._parse_state(account, str(ticker), rows[0][0]) if rows else None

    def positions(self, account: str) -> dict[Ticker, SubAccount]:
        """Return every sub-account that holds something, dust aside."""
        states = self.states(account).items()
        return {ticker: state.account for ticker, state in states if state.account.side}

    def states(self, account: str) -> dict[Ticker, SubAccountState]:
        """Return the state of every sub-account."""
        with self._file.transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT ticker, state FROM holdings WHERE account = ? ORDER BY ticker", (account,)
            ).fetchall()
        with self._checked(f"a ticker of {account}"):
            tickers = [checked_ticker(name) for name, _ in rows]
        return {
            ticker: self._parse_state(account, str(ticker), text)
            for ticker, (_, text) in zip(tickers, rows, strict=True)
        }

    def opening(self, account: str, ticker: Ticker) -> Opening | None:
        """Return how the sub-account was opened."""
        rows = self._table(("opened_with", "opened_at"), "holdings", account, ticker, "ticker")
        return Opening(balance=rows[0]["opened_with"], at=rows[0]["opened_at"]) if rows else None

    def order_suffix(self, account: str) -> str:
        """Return what ends every order id of `account` in this ledger, and of no other ledger."""
        with self._file.transaction("BEGIN") as connection:
            row = connection.execute("SELECT token FROM identity").fetchone()
        if row is None:
            raise self.damaged("it has lost its token")
        with self._checked("its token"):
            token = checked_row("identity", ("token",), row)["token"]
        return hashlib.sha256(f"{token}/{account}".encode()).hexdigest()[:8]

    def review(self, account: str, ticker: Ticker | None = None) -> Review | None:
        """Return the last review of the account at the broker, or of one position there."""
        with self._file.transaction("BEGIN") as connection:
            row = connection.execute(
                "SELECT through, accepted FROM reviews WHERE account = ? AND ticker = ?",
                (account, _name(ticker)),
            ).fetchone()
        if row is None:
            return None
        with self._checked(f"the last review of {account}"):
            values = checked_row("reviews", ("through", "accepted"), row)
        return Review(through=datetime.fromisoformat(values["through"]), accepted=bool(values["accepted"]))

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
        columns = ("broker_order_id", "quantity")
        with self._file.transaction("BEGIN") as connection:
            rows = connection.execute(
                "SELECT broker_order_id, quantity FROM external_sales WHERE account = ?", (account,)
            ).fetchall()
        with self._checked(f"sales in {account}"):
            sales = [checked_row("external_sales", columns, row) for row in rows]
        return {sale["broker_order_id"]: sale["quantity"] for sale in sales}

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
        rows = self._table(("cutoff", "key"), "models", account, ticker, "cutoff")
        return {row["cutoff"]: row["key"] for row in rows}

    @contextmanager
    def transaction(self, account: str, ticker: Ticker) -> Iterator[LedgerTransaction]:
        """Write to one sub-account, all of it or nothing."""
        prepared, opened = self._prepared.get(account), account in self._opened
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            # A file that was deleted meanwhile has begun anew, and does not know the account.
            if prepared is not None and not (opened and _has_account(connection, account)):
                _open_account(connection, account, *prepared)
            yield LedgerTransaction(connection, account, ticker, self._clock().isoformat())
        self._opened.add(account)

    def orders(self, account: str, ticker: Ticker, *, unsettled: bool = False) -> tuple[OrderRecord, ...]:
        """Return every order, or those whose outcome is not known, in the order they were recorded."""
        names = tuple(field.name for field in fields(OrderRecord))
        rows = self._table(names, "orders", account, ticker, "rowid")
        orders = (
            OrderRecord(**{**row, "ticker": ticker, "stage": OrderStatus(row["stage"])}) for row in rows
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
        rows = self._table(Fill._fields, "fills", account, ticker, "rowid")
        return tuple(Fill(**row) for row in rows)

    def booked_fills(self, account: str, ticker: Ticker) -> tuple[BookedFill, ...]:
        """Return every fill with the close after which it was booked, in order."""
        rows = self._table((*Fill._fields, "after"), "fills", account, ticker, "rowid")
        return tuple(
            BookedFill(
                Fill(**{name: row[name] for name in Fill._fields}),
                row["at"] if row["after"] is None else row["after"],
            )
            for row in rows
        )

    def events(self, account: str, ticker: Ticker) -> tuple[EventRow, ...]:
        """Return what changed the sub-account beside bars and fills, in order."""
        rows = self._table(("after", "fills", "kind", "amount"), "events", account, ticker, "rowid")
        return tuple(EventRow(**row) for row in rows)

    def settings(self, account: str, ticker: Ticker) -> tuple[SettingsRow, ...]:
        """Return what the sub-account was traded with, in order; nothing from versions that did not keep it."""
        rows = self._rows("bar, about, rules, state", "settings", account, ticker, "bar")
        with self._checked(f"the settings of {ticker} in {account}"):
            return tuple(
                SettingsRow(
                    bar=checked_row("settings", ("bar",), (bar,))["bar"],
                    about=checked_about(about),
                    rules=checked_object(rules),
                    before=checked_state(state),
                )
                for bar, about, rules, state in rows
            )

    def known_bars(self, account: str, ticker: Ticker) -> list[dict[str, Any]]:
        """Return the bars as they were known when they were processed, by their columns, in order."""
        columns = ("bar", *COLUMNS, "synthetic", "protection")
        return self._table(columns, "known_bars", account, ticker, "bar")

    def trades(self, account: str, ticker: Ticker) -> tuple[Trade, ...]:
        """Return every closed trade, in order; the table holds a row for each order of its exit."""
        rows = self._table(TRADE_COLUMNS, "trades", account, ticker, "rowid")
        return merged_exits(Trade(*row.values()) for row in rows)

    def equity(self, account: str, ticker: Ticker) -> list[tuple[int, float]]:
        """Return (close of the bar, equity), the opening balance first."""
        rows = self._table(("bar", "equity"), "equity", account, ticker, "bar")
        return [(row["bar"], float(row["equity"])) for row in rows]

    def decisions(self, account: str, ticker: Ticker) -> list[dict[str, Any]]:
        """Return every decision as it was recorded, in order."""
        return self._decisions(account, ticker, "bar")

    def last_decision(self, account: str, ticker: Ticker) -> dict[str, Any] | None:
        """Return the latest decision as it was recorded."""
        return next(iter(self._decisions(account, ticker, "bar DESC LIMIT 1")), None)

    def forecast_series(self) -> tuple[str, ...]:
        """Return the name of every series of forecasts: accounts, and models that forecast without one."""
        with self._file.transaction("BEGIN") as connection:
            rows = connection.execute("SELECT DISTINCT series FROM forecasts ORDER BY series").fetchall()
        return tuple(row[0] for row in rows)

    def record_forecast(self, series: str, ticker: Ticker, forecast: ForecastRecord) -> None:
        """Record a forecast that no account acts on, once for each close and model."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            now = self._clock().astimezone(UTC).isoformat()
            insert_forecast(connection, series, ticker, forecast, now)

    def forecasts(self, series: str) -> dict[Ticker, tuple[ForecastRecord, ...]]:
        """Return the forecasts of a series by ticker, in the order of their closes."""
        query = f"SELECT ticker, {', '.join(FORECAST_COLUMNS)} FROM forecasts WHERE series = ? ORDER BY ticker, bar"  # noqa: S608
        with self._file.transaction("BEGIN") as connection:
            rows = connection.execute(query, (series,)).fetchall()
        found: dict[str, list[ForecastRecord]] = {}
        with self._checked(f"a forecast of {series}"):
            for name, *row in rows:
                values = checked_forecast(FORECAST_COLUMNS, row)
                found.setdefault(name, []).append(ForecastRecord(**values))
            return {checked_ticker(name): tuple(made) for name, made in found.items()}

    def _decisions(self, account: str, ticker: Ticker, order: str) -> list[dict[str, Any]]:
        rows = self._table(("bar", "target", "entry"), "decisions", account, ticker, order)
        with self._checked(f"a decision on {ticker} in {account}"):
            entries = [checked_object(row.pop("entry"), "entry") for row in rows]
        return [row | entry for row, entry in zip(rows, entries, strict=True)]

    def _table(
        self, columns: Sequence[str], table: str, account: str, ticker: Ticker, order: str
    ) -> list[dict[str, Any]]:
        """Return the rows of one sub-account by their columns."""
        rows = self._rows(", ".join(columns), table, account, ticker, order)
        with self._checked(f"the {table} of {ticker} in {account}"):
            return [checked_row(table, columns, row) for row in rows]

    def _rows(self, columns: str, table: str, account: str, ticker: Ticker, order: str) -> list[Any]:
        query = f"SELECT {columns} FROM {table} WHERE {_KEY} ORDER BY {order}"  # noqa: S608 - own names
        with self._file.transaction("BEGIN") as connection:
            return connection.execute(query, (account, str(ticker))).fetchall()

    def _parse_state(self, account: str, ticker: str, text: str) -> SubAccountState:
        with self._checked(f"the state of {ticker} in {account}"):
            return checked_state(text)


def _has_account(connection: sqlite3.Connection, name: str) -> bool:
    return connection.execute("SELECT 1 FROM accounts WHERE name = ?", (name,)).fetchone() is not None


def _open_account(connection: sqlite3.Connection, name: str, now: str, about: dict[str, Any]) -> None:
    connection.execute(
        "INSERT INTO accounts (name, opened_at, traded_at, about) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET about = excluded.about",
        (name, now, now, json.dumps(about, allow_nan=False)),
    )
