"""The file of the journal: one row per trial, in the order in which trials were first recorded."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from crypto_refactor.backtest.journal.trial_record import TrialRecord
from crypto_refactor.backtest.significance.earlier_trials import EarlierTrials
from crypto_refactor.errors import DataError
from crypto_refactor.storage import FileFormat, SqliteFile

FILE_NAME = "trials.sqlite"
_FORMAT = FileFormat(
    name="journal of trials",
    application_id=0x43525452,
    schema=1,
    tables=(
        """
    CREATE TABLE trials (
        id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
        first_run_at TEXT NOT NULL, last_run_at TEXT NOT NULL, runs INTEGER NOT NULL,
        command TEXT NOT NULL, ticker TEXT NOT NULL, source TEXT NOT NULL, simulated INTEGER NOT NULL,
        first INTEGER NOT NULL, last INTEGER NOT NULL, data TEXT NOT NULL,
        settings TEXT NOT NULL, settings_hash TEXT NOT NULL,
        total_return REAL NOT NULL, sharpe REAL, sharpe_se REAL, hourly_sharpe REAL,
        trades INTEGER NOT NULL, verdict TEXT
    )""",
        "CREATE INDEX trials_of_a_ticker ON trials (ticker, simulated, first)",
    ),
    error=DataError,
    consequence_if_removed="what was tried so far is no longer counted",
)
_COLUMNS = (
    *(
        "id",
        "first_run_at",
        "last_run_at",
        "runs",
        "command",
        "ticker",
        "source",
        "simulated",
        "first",
        "last",
    ),
    *("data", "settings", "settings_hash", "total_return", "sharpe", "sharpe_se", "hourly_sharpe", "trades"),
    "verdict",
)
_OVERLAPPING = "ticker = :ticker AND simulated = :simulated AND first < :last AND last > :first"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """A trial of the journal: its record, and when and how often it ran; times are ISO-8601 UTC."""

    number: int  # from 1, in the order in which trials were first recorded
    first_run_at: str
    last_run_at: str
    runs: int
    record: TrialRecord
    verdict: str | None  # the code of the last run; None for the trials of a comparison, which get none


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """The trials of one file, which several processes may share; each use is one transaction.

    `clock` returns the aware time.

    Raises
    ------
    DataError
        By every method, if the file is damaged, foreign, of another version, busy for too long, or cannot be read or
        written.  A damaged file is named, never removed.
    """

    def __init__(
        self, path: Path, clock: Callable[[], datetime] = _utc_now, *, busy_seconds: float = 15.0
    ) -> None:
        self.path = path
        self._clock = clock
        self._file = SqliteFile(path, _FORMAT, busy_seconds=busy_seconds)

    def record(
        self, trials: Sequence[TrialRecord], judge: Callable[[EarlierTrials], str | None] | None = None
    ) -> EarlierTrials:
        """Record trials that are looked at together, and return the different ones that came before them.

        A trial that is recorded already stays at its place, and only what came before that place counts, so that the same
        run finds the same earlier trials whenever it is repeated.  Of several, the place of the last one counts.  With
        `judge`, the verdict that it returns for those earlier trials is recorded too.
        """
        if not trials:
            return EarlierTrials(count=0, sharpes=())
        at = self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._file.transaction("BEGIN IMMEDIATE") as connection:
            places = [_record(connection, trial, at) for trial in trials]
            earlier = self._earlier(connection, trials, max(places))
            if judge is not None:
                connection.executemany(
                    "UPDATE trials SET verdict = ? WHERE key = ?",
                    [(judge(earlier), trial.key) for trial in trials],
                )
        return earlier

    def rows(self, *, ticker: str | None = None, limit: int | None = None) -> list[JournalRow]:
        """Return the trials, the one recorded last first; at most `limit`, of one ticker or of all."""
        with self._file.transaction("BEGIN") as connection:
            found = connection.execute(
                f"SELECT {', '.join(_COLUMNS)} FROM trials WHERE ticker = :ticker OR :ticker IS NULL"  # noqa: S608
                " ORDER BY id DESC LIMIT :limit",
                {"ticker": ticker, "limit": -1 if limit is None else limit},
            ).fetchall()
        with self._readable():
            return [_row(dict(zip(_COLUMNS, row, strict=True))) for row in found]

    def _earlier(
        self, connection: sqlite3.Connection, trials: Sequence[TrialRecord], before: int
    ) -> EarlierTrials:
        """Return the trials before the place `before` that share bars with one of `trials` and are none of them."""
        spans = {(trial.ticker, trial.simulated, trial.first, trial.last) for trial in trials}
        found: dict[str, float | None] = {}
        for ticker, simulated, first, last in sorted(spans):
            rows = connection.execute(
                f"SELECT key, sharpe FROM trials WHERE {_OVERLAPPING} AND id < :before ORDER BY id",  # noqa: S608
                {
                    "ticker": ticker,
                    "simulated": simulated,
                    "first": first,
                    "last": last,
                    "before": before,
                },
            )
            found.update(rows.fetchall())
        for trial in trials:
            found.pop(trial.key, None)
        sharpes = [sharpe for sharpe in found.values() if sharpe is not None]
        with self._readable():
            return EarlierTrials(count=len(found), sharpes=tuple(map(_number, sharpes)))

    @contextmanager
    def _readable(self) -> Iterator[None]:
        """Refuse the journal as damaged where a value of it makes no sense."""
        try:
            yield
        except (ValueError, TypeError) as error:
            raise self._file.damaged(f"a trial cannot be read: {error}") from error


def _record(connection: sqlite3.Connection, trial: TrialRecord, at: str) -> int:
    """Record one trial, or that it ran again, and return its place."""
    values = asdict(trial) | {
        "key": trial.key,
        "settings": trial.settings_text,
        "settings_hash": trial.settings_hash,
        "first_run_at": at,
        "last_run_at": at,
        "runs": 1,
    }
    names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    figures = ("total_return", "sharpe", "sharpe_se", "hourly_sharpe", "trades", "last_run_at")
    updates = ", ".join(f"{name} = excluded.{name}" for name in figures)
    (place,) = connection.execute(
        f"INSERT INTO trials ({names}) VALUES ({marks})"  # noqa: S608 - own names
        f" ON CONFLICT (key) DO UPDATE SET {updates}, runs = runs + 1 RETURNING id",
        values,
    ).fetchone()
    return int(place)


def _number(value: object) -> float:
    if not isinstance(value, float):
        raise TypeError(f"{value!r} is no number")
    return value


def _row(values: dict[str, Any]) -> JournalRow:
    settings = json.loads(values["settings"])
    if not isinstance(settings, dict):
        raise TypeError("its settings are no object")
    figures = {name: values[name] for name in ("sharpe", "sharpe_se", "hourly_sharpe")}
    return JournalRow(
        number=int(values["id"]),
        first_run_at=str(values["first_run_at"]),
        last_run_at=str(values["last_run_at"]),
        runs=int(values["runs"]),
        verdict=values["verdict"],
        record=TrialRecord(
            command=str(values["command"]),
            ticker=str(values["ticker"]),
            source=str(values["source"]),
            simulated=bool(values["simulated"]),
            first=int(values["first"]),
            last=int(values["last"]),
            data=str(values["data"]),
            settings=settings,
            total_return=_number(values["total_return"]),
            trades=int(values["trades"]),
            **{name: None if value is None else _number(value) for name, value in figures.items()},
        ),
    )
