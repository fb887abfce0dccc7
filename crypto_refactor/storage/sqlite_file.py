"""A SQLite file shared by several processes: every use is one transaction, all of it or nothing."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.errors import CryptoRefactorError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """How a file is recognised and created, and how its errors are reported."""

    name: str  # in messages
    application_id: int  # in the file's header, as is the schema's version; a file with others is refused
    schema: int
    tables: Sequence[str]  # the statements that create them
    error: type[CryptoRefactorError]
    consequence_if_removed: str
    migrations: object = None


class SqliteFile:
    """One file of one format, created on first use together with its folder.

    Each transaction has its own connection.  WAL and full sync: what is committed survives a crash of the
    machine, and readers never wait for a writer.  `busy_seconds` is how long to wait for another writer.
    """

    def __init__(self, path: Path, file_format: FileFormat, *, busy_seconds: float = 15.0) -> None:
        self.path = path
        self._format = file_format
        self._busy_seconds = busy_seconds

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """Run one transaction, opened by the statement `begin`.

        Raises
        ------
        CryptoRefactorError
            The format's own, if the file is damaged, foreign, of another version, busy for too long, or cannot
            be read or written; the file is unchanged then.
        """
        # Closing a connection without COMMIT rolls back, whatever was raised in between.
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=self._busy_seconds, isolation_level=None)
            try:
                self._prepare(connection)
                connection.execute(begin)
                yield connection
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise self._error(error) from error
        except OSError as error:
            raise self._unusable(f"{error.strerror}") from error

    def damaged(self, reason: str) -> CryptoRefactorError:
        """Return the error for contents that make no sense; the file is named, never removed."""
        return self._format.error(
            f"The {self._format.name} {self.path} is damaged: {reason.rstrip('.')}.",
            expected="an intact SQLite file written by this tool.",
            remedy=f"remove {self.path} and any {self.path.name}-wal and {self.path.name}-shm beside it: "
            f"{self._format.consequence_if_removed}.",
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        new = self._is_new(connection)
        connection.execute("COMMIT")
        if new:
            connection.execute("BEGIN IMMEDIATE")
            if self._is_new(connection):  # no other process was faster
                self._create(connection)
            connection.execute("COMMIT")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            # SQLite does not wait for other users here; the next transaction without any switches the mode.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")

    def _create(self, connection: sqlite3.Connection) -> None:
        for statement in self._format.tables:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {self._format.application_id}")
        connection.execute(f"PRAGMA user_version = {self._format.schema}")

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        expected = self._format
        if (application_id, version) == (expected.application_id, expected.schema):
            return False
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application_id, version, objects) == (0, 0, 0):
            return True
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

    def _error(self, error: sqlite3.Error) -> CryptoRefactorError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or name == "SQLITE_ERROR":
            return self.damaged(f"{error}")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return self._format.error(
                f"The {self._format.name} {self.path} stayed locked for {self._busy_seconds:g} s.",
                expected="another process to finish its write within that time.",
                remedy="end the process that holds it, then run the command again.",
            )
        return self._unusable(f"{error}")

    def _unusable(self, reason: str) -> CryptoRefactorError:
        return self._format.error(
            f"The {self._format.name} {self.path} cannot be used: {reason}. It is unchanged.",
            expected="a folder this user can write to, with free space.",
            remedy="free some space or correct the folder's permissions, or choose another with --state-dir.",
        )
