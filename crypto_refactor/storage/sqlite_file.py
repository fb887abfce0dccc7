"""A SQLite file that several processes share: every use of it is one transaction, all of it or nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.errors import CryptoRefactorError


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFormat:
    """What tells one kind of file from another, and how its troubles are reported.

    Attributes
    ----------
    name : str
        What it is called in messages.
    application_id, schema : int
        Marks in the file; a file with others is refused.
    tables : sequence of str
        The statements that make an empty file one of this kind.
    error : type
        Raised for every trouble.
    if_lost : str
        What removing or moving the file away would mean.
    """

    name: str
    application_id: int
    schema: int
    tables: Sequence[str]
    error: type[CryptoRefactorError]
    if_lost: str


class SqliteFile:
    """One file of one kind, made on first use with its folder.

    Each transaction has a connection of its own.  WAL and full sync: what was committed survives a crash of
    the machine, and readers never wait for a writer.

    Parameters
    ----------
    path : Path
        The file.
    kind : FileFormat
        What it must be.
    busy_seconds : float
        How long to wait while another process writes.
    """

    def __init__(self, path: Path, kind: FileFormat, *, busy_seconds: float = 15.0) -> None:
        self.path = path
        self._kind = kind
        self._busy_seconds = busy_seconds

    @contextmanager
    def transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        """Run one transaction, opened by the statement `begin`.

        Raises
        ------
        CryptoRefactorError
            The kind's own, if the file is damaged, foreign, of another version, busy for too long, or cannot
            be read or written; nothing of the transaction has happened then.
        """
        # Closing a connection without COMMIT takes everything back, whatever was raised in between.
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
            raise self._refused(error) from error
        except OSError as error:
            raise self._unusable(f"{error.strerror}") from error

    def damaged(self, reason: str) -> CryptoRefactorError:
        """Return the error for contents that make no sense; the file is named, never removed."""
        return self._kind.error(
            f"The {self._kind.name} {self.path} is damaged: {reason.rstrip('.')}.",
            expected="an intact SQLite file written by this tool.",
            remedy=f"remove {self.path} and any {self.path.name}-wal and {self.path.name}-shm beside it: "
            f"{self._kind.if_lost}.",
        )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("BEGIN")
        new = self._is_new(connection)
        connection.execute("COMMIT")
        if new:
            connection.execute("BEGIN IMMEDIATE")
            if self._is_new(connection):  # and no other process was faster
                self._make(connection)
            connection.execute("COMMIT")
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            # SQLite does not wait for other users here; whoever comes next while there are none does it.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")

    def _make(self, connection: sqlite3.Connection) -> None:
        for statement in self._kind.tables:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {self._kind.application_id}")
        connection.execute(f"PRAGMA user_version = {self._kind.schema}")

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        kind = self._kind
        if (application, version) == (kind.application_id, kind.schema):
            return False
        (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if (application, version, objects) == (0, 0, 0):
            return True
        if application == kind.application_id:
            raise kind.error(
                f"The {kind.name} {self.path} has version {version}.",
                expected=f"version {kind.schema}, the only one this release reads.",
                remedy=f"use the release that wrote it, or move that file away: {kind.if_lost}.",
            )
        raise kind.error(
            f"{self.path} is a database, but no {kind.name}.",
            expected="a file written by this tool, or none.",
            remedy="point the state folder elsewhere, or move that file away.",
        )

    def _refused(self, error: sqlite3.Error) -> CryptoRefactorError:
        name = getattr(error, "sqlite_errorname", "")
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or name == "SQLITE_ERROR":
            return self.damaged(f"{error}")
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return self._kind.error(
                f"The {self._kind.name} {self.path} stayed locked for {self._busy_seconds:g} s.",
                expected="another process to finish its write within that time.",
                remedy="end the process that holds it, then run the command again.",
            )
        return self._unusable(f"{error}")

    def _unusable(self, reason: str) -> CryptoRefactorError:
        return self._kind.error(
            f"The {self._kind.name} {self.path} cannot be used: {reason}. It is as it was before.",
            expected="a folder this user can write to, with free space.",
            remedy="free some space or correct the folder's permissions, or choose another with --state-dir.",
        )
