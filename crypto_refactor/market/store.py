"""The bar store: bars already received, and which hours a source has already answered for."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.hours import to_iso

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crypto_refactor.market.ticker import Ticker

SCHEMA = 1
_APPLICATION_ID = 0x43524253
_TABLES = (
    """
    CREATE TABLE bars (
        source TEXT NOT NULL, ticker TEXT NOT NULL, opened INTEGER NOT NULL,
        open REAL NOT NULL, high REAL NOT NULL, low REAL NOT NULL, close REAL NOT NULL, volume REAL NOT NULL,
        PRIMARY KEY (source, ticker, opened)
    ) WITHOUT ROWID""",
    """
    CREATE TABLE answered (
        source TEXT NOT NULL, ticker TEXT NOT NULL, since INTEGER NOT NULL, until INTEGER NOT NULL,
        PRIMARY KEY (source, ticker, since)
    ) WITHOUT ROWID""",
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {SCHEMA}",
)
_BAR = "source = ? AND ticker = ? AND opened >= ? AND opened < ?"
_TOUCHES = "source = ? AND ticker = ? AND until >= ? AND since <= ?"


class BarStore:
    """Bars of one source in a SQLite file that several processes and threads may share.

    Bars and answers are kept apart: an hour is *answered* once the source has said all it will say
    about it, even if it has no bar for it, so that a hole is asked for once.  Bars of hours that are not
    yet answered (the newest ones, which may still be revised) are kept as well, and asked for again.
    Each method opens its own connection and is one transaction: all of it happens, or nothing.

    Parameters
    ----------
    path : Path
        The file; it and its folder are made on first use.
    source : str
        The source the bars come from.
    address : str
        Where that source was reached, unless at its usual place.  Bars of different addresses never mix.
    busy_seconds : float
        How long to wait while another process writes.

    Raises
    ------
    DataError
        By every method, if the file is damaged, foreign, of another version, busy for too long, or cannot
        be read or written.  A damaged file is named, never removed.
    """

    def __init__(self, path: Path, *, source: str, address: str = "", busy_seconds: float = 15.0) -> None:
        self._path = path
        self._source = source
        self._shelf = f"{source} at {address}" if address else source
        self._busy_seconds = busy_seconds

    def missing(self, ticker: Ticker, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parts of ``[start, end)`` the source has not answered for, in time order."""
        with self._transaction("BEGIN") as connection:
            answered = connection.execute(
                f"SELECT since, until FROM answered WHERE {_TOUCHES} ORDER BY since",  # noqa: S608
                (self._shelf, str(ticker), start, end),
            ).fetchall()
        gaps, reached = [], start
        for since, until in answered:
            if since > reached:
                gaps.append((reached, min(since, end)))
            reached = max(reached, until)
        if reached < end:
            gaps.append((reached, end))
        return gaps

    def read(self, ticker: Ticker, start: int, end: int) -> Bars:
        """Return the stored bars that opened in ``[start, end)``."""
        with self._transaction("BEGIN") as connection:
            rows = connection.execute(
                f"SELECT opened, {', '.join(COLUMNS)} FROM bars WHERE {_BAR} ORDER BY opened",  # noqa: S608
                (self._shelf, str(ticker), start, end),
            ).fetchall()
        table = np.array([row[1:] for row in rows]).reshape(-1, len(COLUMNS)).T
        try:
            columns: dict[str, Any] = dict(zip(COLUMNS, table.astype(np.float64), strict=True))
            opened = np.array([row[0] for row in rows]).astype(np.int64)
            return Bars(ticker=ticker, source=self._source, opened=opened, **columns)
        except (DataError, ValueError, TypeError) as error:
            raise self._damaged(str(error)) from error

    def last_close(self, ticker: Ticker) -> int | None:
        """Return when the newest stored bar closed, or None where there is none."""
        with self._transaction("BEGIN") as connection:
            query = "SELECT max(opened) FROM bars WHERE source = ? AND ticker = ?"
            (opened,) = connection.execute(query, (self._shelf, str(ticker))).fetchone()
        return None if opened is None else opened + 1

    def write(self, bars: Bars, start: int, end: int, *, answered: int | None = None) -> None:
        """Replace all bars that opened in ``[start, end)`` by `bars`, in one transaction.

        Parameters
        ----------
        bars : Bars
            Real bars of this store's source, all within the range; none is an answer too.
        start, end : int
            The range the source was asked for, in hours.
        answered : int, optional
            The range counts as answered up to here, and not at all if this is not above `start`; by
            default up to `end`.  The rest is reported as missing again.

        Raises
        ------
        ValueError
            If the bars are of another source, synthetic or outside the range, or the range is empty.
        """
        inside = not len(bars) or (start <= bars.opened[0] and bars.opened[-1] < end)
        if start >= end or not inside or bars.source != self._source or bars.synthetic.any():
            raise ValueError(f"not the real {self._source} bars of [{to_iso(start)}, {to_iso(end)})")
        key = (self._shelf, str(bars.ticker))
        columns = (getattr(bars, name).tolist() for name in ("opened", *COLUMNS))
        rows = [(*key, *row) for row in zip(*columns, strict=True)]
        with self._transaction("BEGIN IMMEDIATE") as connection:
            connection.execute(f"DELETE FROM bars WHERE {_BAR}", (*key, start, end))  # noqa: S608
            connection.executemany("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            _mark_answered(connection, key, start, end if answered is None else min(answered, end))

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        # Closing a connection without COMMIT takes everything back, whatever was raised in between.
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=self._busy_seconds, isolation_level=None)
            try:
                self._prepare(connection)
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._refused(error) from error
        except OSError as error:
            raise self._unusable(f"{error.strerror}") from error

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        new = self._is_new(connection)
        connection.execute("COMMIT")
        if new:
            connection.execute("BEGIN IMMEDIATE")
            if self._is_new(connection):  # and no other process was faster
                for statement in _TABLES:
                    connection.execute(statement)
            connection.execute("COMMIT")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            # SQLite does not wait for other users here; whoever comes next while there are none does it.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if (application, version) == (_APPLICATION_ID, SCHEMA):
            return False
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application, version, objects) == (0, 0, 0):
            return True
        if application == _APPLICATION_ID:
            raise DataError(
                f"The bar store {self._path} has version {version}.",
                expected=f"version {SCHEMA}, the only one this release reads.",
                remedy="use the release that wrote it, or move that file away: bars are then fetched afresh.",
            )
        raise DataError(
            f"{self._path} is a database, but no bar store.",
            expected="a file written by this tool, or none.",
            remedy="point the state folder elsewhere, or move that file away.",
        )

    def _refused(self, error: sqlite3.Error) -> DataError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or name == "SQLITE_ERROR":
            return self._damaged(f"{error}")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return DataError(
                f"The bar store {self._path} stayed locked for {self._busy_seconds:g} s.",
                expected="another process to finish its write within that time.",
                remedy="end the process that holds it, then run the command again.",
            )
        return self._unusable(f"{error}")

    def _damaged(self, reason: str) -> DataError:
        return DataError(
            f"The bar store {self._path} is damaged: {reason.rstrip('.')}.",
            expected="an intact SQLite file written by this tool.",
            remedy=f"remove {self._path} and any {self._path.name}-wal and {self._path.name}-shm beside it: "
            "bars are then fetched afresh.",
        )

    def _unusable(self, reason: str) -> DataError:
        return DataError(
            f"The bar store {self._path} cannot be used: {reason}. It is as it was before.",
            expected="a folder this user can write to, with free space.",
            remedy="free some space or correct the folder's permissions, or choose another with --state-dir.",
        )


def _mark_answered(connection: sqlite3.Connection, key: tuple[str, str], start: int, end: int) -> None:
    if end <= start:
        return
    query = f"SELECT min(since), max(until) FROM answered WHERE {_TOUCHES}"  # noqa: S608
    since, until = connection.execute(query, (*key, start, end)).fetchone()
    merged = (start, end) if since is None else (min(since, start), max(until, end))
    connection.execute(f"DELETE FROM answered WHERE {_TOUCHES}", (*key, start, end))  # noqa: S608
    connection.execute("INSERT INTO answered VALUES (?, ?, ?, ?)", (*key, *merged))
