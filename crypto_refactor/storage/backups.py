"""Copies of a SQLite file in a folder beside it: one a day, a few days long, and one before each change of its schema."""

import re
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import date
from pathlib import Path

from crypto_refactor.storage.private import create_file, create_folder

DAYS_KEPT = 5
_DAILY = re.compile(r"-\d{4}-\d\d-\d\d$")

Check = Callable[[sqlite3.Connection], str | None]
"""Returns what is wrong with the contents of a file, None if nothing is."""


class Backups:
    """The copies of the file at `path`, in the folder ``backups`` beside it.

    `check` looks at the contents of each copy, beside SQLite's own check of its structure.
    """

    def __init__(self, path: Path, check: Check) -> None:
        self.folder = path.parent / "backups"
        self._path = path
        self._check = check

    def daily(self, day: date) -> Path:
        """Return where the copy of a day lies."""
        return self.folder / f"{self._path.stem}-{day.isoformat()}{self._path.suffix}"

    def before_schema(self, version: int) -> Path:
        """Return where the copy lies that is made before the file gets a schema."""
        return self.folder / f"{self._path.stem}-before-schema-{version}{self._path.suffix}"

    def take(self, copy: Path) -> None:
        """Copy the file as it was committed last to `copy`, completely or not at all, and remove what is too old.

        A file with contents that make no sense is not copied, so that it never takes the place of a good copy.

        Raises
        ------
        OSError, sqlite3.Error
            If it cannot be copied.
        sqlite3.DatabaseError
            If the structure of the file is damaged.
        """
        create_folder(self.folder)
        temporary = self.folder / f".writing-{secrets.token_hex(6)}"
        try:
            create_file(temporary)
            with (
                closing(sqlite3.connect(self._path)) as source,
                closing(sqlite3.connect(temporary)) as target,
            ):
                source.backup(target, progress=_never_wait)
                target.execute("PRAGMA journal_mode = DELETE")  # one file alone, with no log beside it
                _require_intact(target)
                good = self._check(target) is None
            if good:
                temporary.replace(copy)
                self._remove_old()
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def newest_good(self) -> Path | None:
        """Return the newest copy whose structure and contents are intact."""
        with suppress(OSError):
            copies = [path for path in self.folder.iterdir() if not path.name.startswith(".")]
            return next(filter(self._is_good, sorted(copies, key=_changed_at, reverse=True)), None)
        return None

    def _is_good(self, copy: Path) -> bool:
        try:
            with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?immutable=1", uri=True)) as connection:
                _require_intact(connection)
                return self._check(connection) is None
        except sqlite3.Error:
            return False

    def _remove_old(self) -> None:
        copies = self.folder.glob(f"*{self._path.suffix}")
        daily = sorted(path for path in copies if _DAILY.search(path.stem))
        for path in daily[:-DAYS_KEPT]:
            path.unlink(missing_ok=True)


def _changed_at(path: Path) -> float:
    return path.stat().st_mtime


def _never_wait(status: int, _remaining: int, _total: int) -> None:
    """Raise where the file is busy, which Python would wait for without end."""
    if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        error = sqlite3.OperationalError("another process is writing to it")
        error.sqlite_errorname = "SQLITE_BUSY"
        raise error


def _require_intact(connection: sqlite3.Connection) -> None:
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise sqlite3.DatabaseError(result)
