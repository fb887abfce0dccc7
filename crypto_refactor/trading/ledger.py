"""The ledger: what was decided, ordered, filled and held, in one SQLite file for all accounts.

Each bar of a sub-account is one transaction: its fills, trades, equity, decision and the state after it are
all there, or none of them is.  The key of a decision is (account, ticker, close of the bar), so a bar that
was acted on is never acted on again, from whichever process.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from crypto_refactor.database import Database, Kind
from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.account import Account, Fill, Trade
from crypto_refactor.execution.decisions import Decision, Enter, Exit
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.trader import Holding, Step

SCHEMA = 1
_KEY = "account = ? AND ticker = ?"
_TABLES = (
    """
    CREATE TABLE accounts (
        name TEXT PRIMARY KEY, opened_at TEXT NOT NULL, traded_at TEXT NOT NULL,
        finished INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID""",
    """
    CREATE TABLE holdings (
        account TEXT NOT NULL, ticker TEXT NOT NULL, opened_with REAL NOT NULL, opened_at INTEGER NOT NULL,
        state TEXT NOT NULL, PRIMARY KEY (account, ticker)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE decisions (
        account TEXT NOT NULL, ticker TEXT NOT NULL, bar INTEGER NOT NULL,
        target INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (account, ticker, bar)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE fills (
        account TEXT NOT NULL, ticker TEXT NOT NULL, at INTEGER NOT NULL, side INTEGER NOT NULL,
        quantity REAL NOT NULL, price REAL NOT NULL, fee REAL NOT NULL, reason TEXT NOT NULL
    )""",
    "CREATE INDEX fills_of ON fills (account, ticker)",
    """
    CREATE TABLE trades (
        account TEXT NOT NULL, ticker TEXT NOT NULL, direction INTEGER NOT NULL,
        entered INTEGER NOT NULL, entry_price REAL NOT NULL, exited INTEGER NOT NULL, exit_price REAL NOT NULL,
        quantity REAL NOT NULL, fees REAL NOT NULL, exit_reason TEXT NOT NULL
    )""",
    "CREATE INDEX trades_of ON trades (account, ticker)",
    """
    CREATE TABLE equity (
        account TEXT NOT NULL, ticker TEXT NOT NULL, bar INTEGER NOT NULL, equity REAL NOT NULL,
        PRIMARY KEY (account, ticker, bar)
    ) WITHOUT ROWID""",
)
_KIND = Kind(
    name="ledger",
    application_id=0x43524C47,
    schema=SCHEMA,
    tables=_TABLES,
    error=BrokerError,
    if_lost="everything this tool knows of its accounts and positions is lost with it, so look at the broker first",
)
_STATE_TABLES = ("holdings", "decisions", "fills", "trades", "equity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A sub-account as it was opened: its balance and the close it began at."""

    balance: float
    at: int


class Ledger:
    """Accounts, apart by name, in one file that several processes may use.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    BrokerError
        By every method, if the file is damaged, foreign, of another version, busy for too long, or cannot be
        read or written.
    """

    def __init__(self, path: Path) -> None:
        self._file = Database(path, _KIND)

    def open_account(self, name: str, now: str) -> None:
        """Open the account `name` at the ISO-8601 instant `now`, or note that it is traded again."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            connection.execute(
                "INSERT INTO accounts (name, opened_at, traded_at) VALUES (?, ?, ?)"
                " ON CONFLICT (name) DO UPDATE SET traded_at = excluded.traded_at",
                (name, now, now),
            )

    def last_account(self) -> str | None:
        """Return the name of the account that was traded last, None where none ever was."""
        with self._file.transaction("BEGIN") as connection:
            row = connection.execute(
                "SELECT name FROM accounts ORDER BY traded_at DESC, name LIMIT 1"
            ).fetchone()
        return None if row is None else str(row[0])

    def finish(self, name: str) -> None:
        """Mark a replay as played to its end."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            connection.execute("UPDATE accounts SET finished = 1 WHERE name = ?", (name,))

    def start_afresh_if_finished(self, name: str) -> bool:
        """Forget a replay that was played to its end; whether there was one."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            row = connection.execute("SELECT finished FROM accounts WHERE name = ?", (name,)).fetchone()
            if row is None or not row[0]:
                return False
            for table in _STATE_TABLES:
                connection.execute(f"DELETE FROM {table} WHERE account = ?", (name,))  # noqa: S608 - own names
            connection.execute("UPDATE accounts SET finished = 0 WHERE name = ?", (name,))
        return True

    def open_holding(self, account: str, ticker: Ticker, holding: Holding) -> Holding:
        """Open a sub-account with the cash of `holding`, or return the one that is open already."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            found = self._holding(connection, account, ticker)
            if found is not None:
                return found
            Writer(connection, account, ticker).open(holding)
        return holding

    def holding(self, account: str, ticker: Ticker) -> Holding | None:
        """Return the sub-account's state, None where it was never opened."""
        with self._file.transaction("BEGIN") as connection:
            return self._holding(connection, account, ticker)

    def opening(self, account: str, ticker: Ticker) -> Opening | None:
        """Return how the sub-account was opened."""
        with self._file.transaction("BEGIN") as connection:
            row = connection.execute(
                f"SELECT opened_with, opened_at FROM holdings WHERE {_KEY}",  # noqa: S608
                (account, str(ticker)),
            ).fetchone()
        return None if row is None else Opening(balance=row[0], at=row[1])

    def acted_on(self, account: str, ticker: Ticker, bar: int) -> bool:
        """Whether a decision was made at the bar that closed at `bar`."""
        with self._file.transaction("BEGIN") as connection:
            row = connection.execute(
                f"SELECT 1 FROM decisions WHERE {_KEY} AND bar = ?",  # noqa: S608
                (account, str(ticker), bar),
            ).fetchone()
        return row is not None

    @contextmanager
    def writing(self, account: str, ticker: Ticker) -> Iterator[Writer]:
        """Collect what one or more bars brought, and commit it as a whole."""
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            yield Writer(connection, account, ticker)

    def fills(self, account: str, ticker: Ticker) -> tuple[Fill, ...]:
        """Return every fill, in order."""
        rows = self._rows("at, side, quantity, price, fee, reason", "fills", account, ticker, "rowid")
        names = ("at", "side", "quantity", "price", "fee", "reason")
        return tuple(Fill(**dict(zip(names, row, strict=True))) for row in rows)

    def trades(self, account: str, ticker: Ticker) -> tuple[Trade, ...]:
        """Return every closed trade, in order."""
        names = tuple(Trade.__dataclass_fields__)
        rows = self._rows(", ".join(names), "trades", account, ticker, "rowid")
        return tuple(Trade(**dict(zip(names, row, strict=True))) for row in rows)

    def equity(self, account: str, ticker: Ticker) -> list[tuple[int, float]]:
        """Return (close of the bar, equity), the opening balance first."""
        return [
            (int(bar), float(value))
            for bar, value in self._rows("bar, equity", "equity", account, ticker, "bar")
        ]

    def decisions(self, account: str, ticker: Ticker) -> list[dict[str, Any]]:
        """Return every decision as it was recorded, in order."""
        rows = self._rows("bar, target, entry", "decisions", account, ticker, "bar")
        return [{"bar": bar, "target": target, **json.loads(entry)} for bar, target, entry in rows]

    def _rows(self, columns: str, table: str, account: str, ticker: Ticker, order: str) -> list[Any]:
        query = f"SELECT {columns} FROM {table} WHERE {_KEY} ORDER BY {order}"  # noqa: S608 - own names
        with self._file.transaction("BEGIN") as connection:
            return connection.execute(query, (account, str(ticker))).fetchall()

    def _holding(self, connection: sqlite3.Connection, account: str, ticker: Ticker) -> Holding | None:
        row = connection.execute(
            f"SELECT state FROM holdings WHERE {_KEY}",  # noqa: S608
            (account, str(ticker)),
        ).fetchone()
        if row is None:
            return None
        try:
            return _from_text(row[0])
        except (ValueError, TypeError, KeyError) as error:
            raise self._file.damaged(f"the state of {ticker} in {account} cannot be read") from error


class Writer:
    """One transaction on one sub-account; see `Ledger.writing`."""

    def __init__(self, connection: sqlite3.Connection, account: str, ticker: Ticker) -> None:
        self._connection = connection
        self._account = account
        self._ticker = ticker

    def open(self, holding: Holding) -> None:
        """Open the sub-account with the cash of `holding`; one that is open already is refused."""
        self._connection.execute(
            "INSERT INTO holdings VALUES (?, ?, ?, ?, ?)",
            (
                self._account,
                str(self._ticker),
                holding.account.cash,
                holding.walked_to,
                _to_text(holding),
            ),
        )
        _mark(self._connection, self._account, self._ticker, holding.walked_to, holding.account.cash)

    def hold(self, holding: Holding) -> None:
        """Replace the sub-account's state."""
        self._connection.execute(
            f"UPDATE holdings SET state = ? WHERE {_KEY}",  # noqa: S608
            (_to_text(holding), self._account, str(self._ticker)),
        )

    def walked(self, step: Step) -> None:
        """Record what one bar brought, and the state after it."""
        self._insert("fills", [asdict(fill) for fill in step.fills])
        self._insert("trades", [asdict(trade) for trade in step.trades])
        _mark(self._connection, self._account, self._ticker, step.holding.walked_to, step.equity)
        self.hold(step.holding)

    def decided(self, bar: int, target: int, entry: dict[str, Any]) -> None:
        """Record a decision; a second one at the same bar is refused by the table itself."""
        self._connection.execute(
            "INSERT INTO decisions VALUES (?, ?, ?, ?, ?)",
            (self._account, str(self._ticker), bar, target, json.dumps(entry, allow_nan=False)),
        )

    def _insert(self, table: str, rows: Sequence[dict[str, Any]]) -> None:
        for row in rows:
            values = {"account": self._account, "ticker": str(self._ticker), **row}
            names, marks = ", ".join(values), ", ".join("?" * len(values))
            self._connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - own names
                tuple(values.values()),
            )


def _mark(connection: sqlite3.Connection, account: str, ticker: Ticker, bar: int, equity: float) -> None:
    connection.execute("INSERT INTO equity VALUES (?, ?, ?, ?)", (account, str(ticker), bar, equity))


def _to_text(holding: Holding) -> str:
    # JSON writes floats so that they read back to the last bit.
    pending = [asdict(decision) for decision in holding.pending]
    state = {"account": asdict(holding.account), "pending": pending, "walked_to": holding.walked_to}
    return json.dumps(state, allow_nan=False)


def _from_text(text: str) -> Holding:
    state = json.loads(text)
    pending: list[Decision] = [
        Exit(**decision) if "reason" in decision else Enter(**decision) for decision in state["pending"]
    ]
    return Holding(account=Account(**state["account"]), pending=tuple(pending), walked_to=state["walked_to"])
