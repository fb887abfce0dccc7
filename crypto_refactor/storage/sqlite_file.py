"""A SQLite file shared by several processes: every use is one transaction, all of it or nothing."""

import logging
import shlex
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.storage.backups import Backups, Check
from crypto_refactor.storage.private import create_file, create_folder

_log = logging.getLogger(__name__)

_QUICKLY_CHECKED_BYTES = 16_000_000
"""A larger file takes more than 20 ms to check, so its structure is checked once a day, when it is copied."""
_WITHOUT_HELPER = (
    "SQLITE_CANTOPEN",
    "SQLITE_FULL",
    "SQLITE_IOERR_SHM",
    "SQLITE_READONLY_CANTINIT",
    "SQLITE_READONLY_DIRECTORY",
)


def _utc_today() -> date:
    return datetime.now(UTC).date()


def _accept(_connection: sqlite3.Connection) -> None:
    """Find nothing wrong with the contents of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """How a file is recognised and created, and how its errors are reported."""

    name: str  # in messages
    application_id: int  # in the file's header, as is the schema's version; a file with others is refused
    schema: int
    tables: Sequence[str]  # the statements that create them
    error: type[CryptoRefactorError]
    consequence_if_removed: str
    # The statements that raise the schema by one, by the version they begin with.
    migrations: Mapping[int, Sequence[str]] = field(default_factory=dict)
    backups: bool = False  # whether a copy is made on each day on which it is written
    check: Check = _accept  # says what is wrong with the contents of a file of this schema
    unavailable: type[CryptoRefactorError] | None = None  # for what time may mend; by default `error`

    @property
    def unavailable_error(self) -> type[CryptoRefactorError]:
        """The error of a file that is locked, or that cannot be read or written now."""
        return self.error if self.unavailable is None else self.unavailable


class SqliteFile:
    """One file of one format, created on first use together with its folder, for its owner alone.

    Each transaction has its own connection.  WAL and full sync: what is committed survives a crash of the
    machine, and readers never wait for a writer.  `busy_seconds` is how long to wait for another writer.

    A file of an earlier schema is brought to this one, step by step, each step whole or not at all, after it was
    copied.  `today` says on which day the copies of a format with `backups` are made.
    """

    def __init__(
        self,
        path: Path,
        file_format: FileFormat,
        *,
        busy_seconds: float = 15.0,
        today: Callable[[], date] = _utc_today,
    ) -> None:
        self.path = path
        self._format = file_format
        self._busy_seconds = busy_seconds
        self._today = today
        self._backups = Backups(path, self._problem)
        self._copied_on: date | None = None
        self._checked = False

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """Run one transaction, opened by the statement `begin`.

        Raises
        ------
        CryptoRefactorError
            The format's own, if the file is damaged, foreign, of another version, busy for too long, or cannot
            be read or written; the file is unchanged then.
        """
        try:
            create_folder(self.path.parent)
            create_file(self.path)  # SQLite gives its permissions to the files it puts beside it
            with self._connection(begin) as connection:
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise self._error(error) from error
        except UnicodeDecodeError as error:  # SQLite names a table, and the name is damaged
            raise self.damaged("a text in it is not UTF-8") from error
        except OSError as error:
            raise self._unusable(f"{error.strerror}") from error

    @contextmanager
    def _connection(self, begin: str) -> Iterator[sqlite3.Connection]:
        """Return a connection for one transaction; closing it without COMMIT rolls back, whatever was raised."""
        unchanged = None
        connection = sqlite3.connect(self.path, timeout=self._busy_seconds, isolation_level=None)
        try:
            try:
                existed = self._prepare(connection)
            except sqlite3.OperationalError as error:
                unchanged = self._stamp()
                if begin != "BEGIN" or unchanged is None or not _is_without_helper(error):
                    raise
                connection.close()
                connection = self._connect_without_helpers(error)
            else:
                if existed and begin != "BEGIN":
                    self._copy_daily()
            yield connection
        finally:
            connection.close()
        if unchanged is not None and self._stamp() != unchanged:
            raise self._busy()

    def _connect_without_helpers(self, error: sqlite3.OperationalError) -> sqlite3.Connection:
        """Return a connection that reads a file which nobody writes; raise `error` where that fails, too.

        In a folder that cannot be written, or on a full disk, SQLite cannot create the two files it needs beside this
        one.  Where nothing waits in a log, all there is stands in the file itself.
        """
        uri = f"{self.path.absolute().as_uri()}?immutable=1"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None)
        usable = False
        try:
            if self._version(connection) == self._format.schema:
                self._check_structure_once(connection)
                usable = True
        except sqlite3.OperationalError as second:
            _log.debug("%s", second)
        finally:
            if not usable:
                connection.close()
        if not usable:
            raise error
        return connection

    def _stamp(self) -> tuple[int, ...] | None:
        """Return what changes with the file; None where a log beside it holds more than the file itself."""
        with suppress(OSError):
            if self.path.with_name(f"{self.path.name}-wal").stat().st_size:
                return None
        status = self.path.stat()
        return status.st_ino, status.st_size, status.st_mtime_ns

    def check(self) -> None:
        """Read the whole file.

        Raises
        ------
        CryptoRefactorError
            The format's own, if its structure or its contents make no sense, or as `transaction` does.
        """
        with self.transaction("BEGIN") as connection:
            (result,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            problem = result if result != "ok" else self._problem(connection)
        if problem is not None:
            raise self.damaged(problem)

    def newest_backup(self) -> Path | None:
        """Return the newest copy whose structure and contents are intact."""
        return self._backups.newest_good()

    def damaged(self, reason: str) -> CryptoRefactorError:
        """Return the error for contents that make no sense; the file is named, never removed."""
        return self._format.error(
            f"The {self._format.name} {self.path} is damaged: {reason.rstrip('.')}.",
            expected="an intact SQLite file written by this tool.",
            remedy=self._way_back(),
        )

    def _way_back(self) -> str:
        """Return how to go on without a damaged file."""
        copy = self._backups.newest_good()
        if copy is None:
            files = f"{self.path} and any {self.path.name}-wal and {self.path.name}-shm beside it"
            return f"remove {files}: {self._format.consequence_if_removed}."
        aside = next(folder for folder in self._folders_aside() if not folder.exists())
        here, there, back = (shlex.quote(str(path)) for path in (self.path, aside, copy))
        return (
            f"end every process that uses it and go back to its newest good backup: `mkdir {there} && "
            f"mv {here}* {there}/ && cp -p {back} {here}`. What was written since then is not in it."
        )

    def _folders_aside(self) -> Iterator[Path]:
        return (self.path.with_name(f"{self.path.stem}-damaged-{number}") for number in count(1))

    def _prepare(self, connection: sqlite3.Connection) -> bool:
        """Make the file ready for a transaction, and return whether there was one before."""
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        version = self._version(connection)
        connection.execute("COMMIT")
        if version != self._format.schema:
            self._bring_up_to_date(connection)
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            # SQLite does not wait for other users here; the next transaction without any switches the mode.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")
        self._check_structure_once(connection)
        return version is not None

    def _bring_up_to_date(self, connection: sqlite3.Connection) -> None:
        """Create the tables, or raise the schema in steps of one transaction each."""
        while True:
            connection.execute("BEGIN IMMEDIATE")
            version = self._version(connection)  # another process may have been faster
            if version == self._format.schema:
                connection.execute("COMMIT")
                return
            if version is None:
                self._create(connection)
            else:
                self._backups.take(self._backups.before_schema(version + 1))
                for statement in self._format.migrations[version]:
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {version + 1}")
            connection.execute("COMMIT")

    def _check_structure_once(self, connection: sqlite3.Connection) -> None:
        if self._checked or not self._format.backups:
            return
        if self.path.stat().st_size <= _QUICKLY_CHECKED_BYTES:
            (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if result != "ok":
                raise self.damaged(result)
        self._checked = True

    def _copy_daily(self) -> None:
        """Make the copy of this day unless there is one; the failure of a copy stops nothing."""
        today = self._today()
        if not self._format.backups or self._copied_on == today:
            return
        self._copied_on = today
        copy = self._backups.daily(today)
        try:
            if not copy.exists():
                self._backups.take(copy)
        except (OSError, sqlite3.OperationalError) as error:
            _log.warning(
                "The %s %s could not be copied to %s: %s.", self._format.name, self.path, copy, error
            )

    def _problem(self, connection: sqlite3.Connection) -> str | None:
        """Return what is wrong with a copy, whose structure is intact."""
        version = self._version(connection)
        return self._format.check(connection) if version == self._format.schema else None

    def _create(self, connection: sqlite3.Connection) -> None:
        for statement in self._format.tables:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {self._format.application_id}")
        connection.execute(f"PRAGMA user_version = {self._format.schema}")

    def _version(self, connection: sqlite3.Connection) -> int | None:
        """Return the schema of a file that this release reads or can bring up to date; None for an empty file."""
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        expected = self._format
        if application_id == expected.application_id and self._is_readable(version):
            return int(version)
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application_id, version, objects) == (0, 0, 0):
            return None
        if application_id == expected.application_id:
            raise expected.error(
                f"The {expected.name} {self.path} has version {version}.",
                expected=f"version {expected.schema}, the only one this release reads.",
                remedy="use the release that wrote it, or move that file away: "
                f"{expected.consequence_if_removed}.",
            )
        raise expected.error(
            f"{self.path} is a database, but not a {expected.name}.",
            expected="a file written by this tool, or none.",
            remedy="choose another state folder, or move that file away.",
        )

    def _is_readable(self, version: int) -> bool:
        steps = range(version, self._format.schema)
        return version == self._format.schema or (
            bool(steps) and set(steps) <= self._format.migrations.keys()
        )

    def _error(self, error: sqlite3.Error) -> CryptoRefactorError:
        name = getattr(error, "sqlite_errorname", "")
        # Without a name, it is Python that found a text that is not UTF-8, or a copy that is not intact.
        unnamed = not name and type(error) in {sqlite3.DatabaseError, sqlite3.OperationalError}
        if unnamed or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or name == "SQLITE_ERROR":
            return self.damaged(f"{error}")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return self._busy()
        return self._unusable(f"{error}")

    def _busy(self) -> CryptoRefactorError:
        return self._format.unavailable_error(
            f"The {self._format.name} {self.path} stayed locked for {self._busy_seconds:g} s.",
            expected="another process to finish its write within that time.",
            remedy="end the process that holds it, then run the command again.",
        )

    def _unusable(self, reason: str) -> CryptoRefactorError:
        return self._format.unavailable_error(
            f"The {self._format.name} {self.path} cannot be used: {reason}. It is unchanged.",
            expected="a folder this user can write to, with free space.",
            remedy="free some space or correct the folder's permissions, or choose another with --state-dir.",
        )


def _is_without_helper(error: sqlite3.OperationalError) -> bool:
    """Whether SQLite could not create or use a file that it needs beside the database."""
    return getattr(error, "sqlite_errorname", "").startswith(_WITHOUT_HELPER)
