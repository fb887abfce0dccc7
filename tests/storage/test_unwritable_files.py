"""A database is read where SQLite can put nothing beside it: on a full disk, or in a folder that is read-only."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from crypto_refactor.errors import DataError
from crypto_refactor.storage import FileFormat, SqliteFile
from crypto_refactor.storage.atomic_file import write_obstacle


class LockedError(DataError):
    """What time may mend."""


FORMAT = FileFormat(
    name="notebook",
    application_id=0x43524E42,
    schema=1,
    tables=("CREATE TABLE notes (value INTEGER NOT NULL)",),
    error=DataError,
    unavailable=LockedError,
    consequence_if_removed="all notes are lost with it",
    backups=True,
)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "notes.sqlite"
    write(SqliteFile(path, FORMAT), 1)
    return path


def write(file, value):
    with file.transaction("BEGIN IMMEDIATE") as connection:
        connection.execute("INSERT INTO notes VALUES (?)", (value,))


def read(file):
    with file.transaction("BEGIN") as connection:
        return [value for (value,) in connection.execute("SELECT value FROM notes")]


def block(path):
    """Leave SQLite no place for the index of its log, as a folder does that cannot be written."""
    path.with_name(f"{path.name}-shm").symlink_to(path.parent / "nowhere" / "at all")


def test_it_is_read_and_cannot_be_written(path):
    block(path)
    file = SqliteFile(path, FORMAT)
    assert read(file) == [1]
    with pytest.raises(LockedError, match="cannot be used"):
        write(file, 2)
    path.with_name(f"{path.name}-shm").unlink()
    write(file, 2)
    assert read(file) == [1, 2]


def test_it_is_not_read_without_what_waits_in_its_log(path):
    keeper = sqlite3.connect(path, isolation_level=None)
    keeper.execute("INSERT INTO notes VALUES (2)")
    log = path.with_name(f"{path.name}-wal").read_bytes()
    keeper.close()
    path.with_name(f"{path.name}-wal").write_bytes(log)
    block(path)
    with pytest.raises(LockedError):
        read(SqliteFile(path, FORMAT))


def test_what_changed_while_it_was_read_is_not_believed(path):
    block(path)
    file = SqliteFile(path, FORMAT)
    with pytest.raises(LockedError, match="stayed locked"), file.transaction("BEGIN"):
        path.with_name(f"{path.name}-wal").write_bytes(b"another process writes")


def test_an_earlier_schema_is_not_read_as_if_it_were_this_one(path):
    block(path)
    with pytest.raises(LockedError):
        read(SqliteFile(path, replace(FORMAT, schema=2, migrations={1: ()})))


def test_a_damaged_one_is_still_damaged(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    block(path)
    with pytest.raises(DataError, match="is damaged"):
        read(SqliteFile(path, FORMAT))


def test_why_a_folder_cannot_be_written_is_found_by_writing(tmp_path):
    assert write_obstacle(tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    assert write_obstacle(tmp_path / "missing") == "No such file or directory"
