"""The bar store: bars already received, and the hours a source has already answered for."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.hours import MAX_HOUR, to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.storage import FileFormat, SqliteFile

_FORMAT = FileFormat(
    name="bar store",
    application_id=0x43524253,
    schema=1,
    tables=(
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
    ),
    error=DataError,
    consequence_if_removed="the bars are then fetched again",
)
_BAR = "source = ? AND ticker = ? AND opened >= ? AND opened < ?"
_TOUCHES = "source = ? AND ticker = ? AND until >= ? AND since <= ?"


class BarStore:
    """Bars of one source in a SQLite file that several processes and threads may share.

    Bars and coverage are kept apart: an hour is covered (table ``answered``) once the source has said all it
    will say about it, even without a bar, so that a gap is requested only once.  Bars of hours that are not
    yet covered (the newest ones, which may still be revised) are kept as well, and requested again.  Each
    method is one transaction, which waits `busy_seconds` at most while another process writes.  `url` is where
    the source was reached, unless at its usual URL; bars of different URLs never mix.

    Raises
    ------
    DataError
        By every method, if the file is damaged, foreign, of another version, busy for too long, or cannot
        be read or written.  A damaged file is named, never removed.
    """

    def __init__(self, path: Path, *, source: str, url: str = "", busy_seconds: float = 15.0) -> None:
        self._file = SqliteFile(path, _FORMAT, busy_seconds=busy_seconds)
        self._source = source
        self._source_key = f"{source} at {url}" if url else source

    def missing(self, ticker: Ticker, start: int, end: int) -> list[tuple[int, int]]:
        """Return the parts of ``[start, end)`` that are not covered, in time order."""
        with self._file.transaction("BEGIN") as connection:
            coverage = connection.execute(
                f"SELECT since, until FROM answered WHERE {_TOUCHES} ORDER BY since",  # noqa: S608
                (self._source_key, str(ticker), start, end),
            ).fetchall()
        self._require_hours(ticker, (hour for covered in coverage for hour in covered))
        gaps, reached = [], start
        for since, until in coverage:
            if since > reached:
                gaps.append((reached, min(since, end)))
            reached = max(reached, until)
        if reached < end:
            gaps.append((reached, end))
        return gaps

    def read(self, ticker: Ticker, start: int, end: int) -> Bars:
        """Return the stored bars that opened in ``[start, end)``."""
        with self._file.transaction("BEGIN") as connection:
            rows = connection.execute(
                f"SELECT opened, {', '.join(COLUMNS)} FROM bars WHERE {_BAR} ORDER BY opened",  # noqa: S608
                (self._source_key, str(ticker), start, end),
            ).fetchall()
        table = np.array([row[1:] for row in rows]).reshape(-1, len(COLUMNS)).T
        try:
            columns: dict[str, Any] = dict(zip(COLUMNS, table.astype(np.float64), strict=True))
            opened = np.array([row[0] for row in rows]).astype(np.int64)
            return Bars(ticker=ticker, source=self._source, opened=opened, **columns)
        except (DataError, ValueError, TypeError, OverflowError) as error:
            raise self._file.damaged(str(error)) from error

    def last_close(self, ticker: Ticker) -> int | None:
        """Return when the newest stored bar closed, or None where there is none."""
        with self._file.transaction("BEGIN") as connection:
            query = "SELECT max(opened) FROM bars WHERE source = ? AND ticker = ?"
            (opened,) = connection.execute(query, (self._source_key, str(ticker))).fetchone()
        self._require_hours(ticker, [0 if opened is None else opened])
        return None if opened is None else opened + 1

    def write(self, bars: Bars, start: int, end: int, *, covered_until: int | None = None) -> None:
        """Replace all bars that opened in ``[start, end)``, the requested range, by `bars`, possibly none.

        The range counts as covered up to `covered_until`, by default `end`; the rest is missing again.

        Raises
        ------
        ValueError
            If the bars are of another source, synthetic or outside the range, or the range is empty.
        """
        inside = not len(bars) or (start <= bars.opened[0] and bars.opened[-1] < end)
        if start >= end or not inside or bars.source != self._source or bars.synthetic.any():
            raise ValueError(f"not the real {self._source} bars of [{to_iso(start)}, {to_iso(end)})")
        key = (self._source_key, str(bars.ticker))
        columns = (getattr(bars, name).tolist() for name in ("opened", *COLUMNS))
        rows = [(*key, *row) for row in zip(*columns, strict=True)]
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            connection.execute(f"DELETE FROM bars WHERE {_BAR}", (*key, start, end))  # noqa: S608
            connection.executemany("INSERT INTO bars VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            try:
                _extend_coverage(
                    connection, key, start, end if covered_until is None else min(covered_until, end)
                )
            except TypeError as error:
                raise self._file.damaged(f"the hours covered of {bars.ticker} cannot be read") from error

    def _require_hours(self, ticker: Ticker, hours: Iterable[object]) -> None:
        """Refuse the store as damaged where it holds something else than hours."""
        if not all(isinstance(hour, int) and 0 <= hour <= MAX_HOUR for hour in hours):
            raise self._file.damaged(f"the hours stored of {ticker} cannot be read")


def _extend_coverage(connection: sqlite3.Connection, key: tuple[str, str], start: int, end: int) -> None:
    if end <= start:
        return
    query = f"SELECT min(since), max(until) FROM answered WHERE {_TOUCHES}"  # noqa: S608
    since, until = connection.execute(query, (*key, start, end)).fetchone()
    merged = (start, end) if since is None else (min(since, start), max(until, end))
    connection.execute(f"DELETE FROM answered WHERE {_TOUCHES}", (*key, start, end))  # noqa: S608
    connection.execute("INSERT INTO answered VALUES (?, ?, ?, ?)", (*key, *merged))
