"""Copies of a database: one a day and one before each change of its schema, and the way back to them."""

from __future__ import annotations

import shlex
import sqlite3
import stat
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta

import pytest

from crypto_refactor.errors import DataError
from crypto_refactor.storage import FileFormat, SqliteFile
from crypto_refactor.storage.backups import DAYS_KEPT

DAY = date(2024, 6, 1)


def no_negative(connection):
    (count,) = connection.execute("SELECT count(*) FROM notes WHERE value < 0").fetchone()
    return "a value is negative" if count else None


FORMAT = FileFormat(
    name="notebook",
    application_id=0x43524E42,
    schema=1,
    tables=("CREATE TABLE notes (value INTEGER NOT NULL)",),
    error=DataError,
    consequence_if_removed="all notes are lost with it",
    backups=True,
    check=no_negative,
)
SECOND = replace(
    FORMAT,
    schema=3,
    tables=("CREATE TABLE notes (value INTEGER NOT NULL, unit TEXT NOT NULL DEFAULT 'm', tag TEXT)",),
    migrations={
        1: (
            "ALTER TABLE notes ADD COLUMN unit TEXT NOT NULL DEFAULT 'm'",
            "UPDATE notes SET value = value * 10",
        ),
        2: ("ALTER TABLE notes ADD COLUMN tag TEXT",),
    },
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a folder" / "notes.sqlite"


@pytest.fixture
def notebook(path):
    """Return a notebook on a day: `notebook(3)` is opened three days later."""

    def on(days=0, file_format=FORMAT):
        return SqliteFile(path, file_format, today=lambda: DAY + timedelta(days))

    return on


def write(file, *values):
    with file.transaction("BEGIN IMMEDIATE") as connection:
        connection.executemany("INSERT INTO notes (value) VALUES (?)", [(value,) for value in values])


def read(file):
    with file.transaction("BEGIN") as connection:
        return [value for (value,) in connection.execute("SELECT value FROM notes ORDER BY rowid")]


def values_in(copy):
    with closing(sqlite3.connect(copy)) as connection:
        return [value for (value,) in connection.execute("SELECT value FROM notes ORDER BY rowid")]


def copies(path):
    folder = path.parent / "backups"
    return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []


def spoil(path):
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)


def test_each_day_begins_with_a_copy_of_what_was_there(path, notebook):
    write(notebook(), 1)
    assert copies(path) == [], "a new file holds nothing that could be lost"
    today = notebook(1)
    write(today, 2)
    write(today, 3)
    write(notebook(1), 4)
    assert copies(path) == ["notes-2024-06-02.sqlite"]
    assert values_in(path.parent / "backups" / "notes-2024-06-02.sqlite") == [1]
    assert read(notebook(1)) == [1, 2, 3, 4]


def test_reading_makes_no_copy(path, notebook):
    write(notebook(), 1)
    assert read(notebook(1)) == [1]
    assert copies(path) == []


def test_a_few_generations_stay(path, notebook):
    for day in range(12):
        write(notebook(day), day)
    assert len(copies(path)) == DAYS_KEPT == 5
    assert values_in(path.parent / "backups" / copies(path)[-1]) == list(range(11))


def test_a_copy_is_one_file_for_its_owner_alone(path, notebook):
    write(notebook(), 1)
    write(notebook(1), 2)
    folder = path.parent / "backups"
    assert [stat.S_IMODE(file.stat().st_mode) for file in (folder, *folder.iterdir())] == [0o700, 0o600]
    assert not [name for name in copies(path) if not name.endswith(".sqlite")]


def test_a_format_without_backups_has_none(path):
    file = SqliteFile(path, replace(FORMAT, backups=False))
    write(file, 1)
    assert copies(path) == []


def test_a_copy_that_cannot_be_made_stops_no_write(path, notebook, caplog):
    write(notebook(), 1)
    (path.parent / "backups").write_text("in the way")
    write(notebook(1), 2)
    assert read(notebook(1)) == [1, 2]
    assert "could not be copied" in caplog.text


def test_a_damaged_file_names_the_newest_good_copy_and_obeying_is_enough(path, notebook):
    for day in range(4):
        write(notebook(day), day)
    assert copies(path)[-1] == "notes-2024-06-04.sqlite"
    spoil(path.parent / "backups" / "notes-2024-06-04.sqlite")
    spoil(path)
    with pytest.raises(DataError, match="damaged") as caught:
        read(notebook(2))
    command = caught.value.remedy.split("`")[1]
    assert shlex.quote(str(path.parent / "backups" / "notes-2024-06-03.sqlite")) in command
    subprocess.run(command, shell=True, check=True)
    assert read(notebook(2)) == [0, 1]
    assert (path.parent / "notes-damaged-1" / "notes.sqlite").is_file()


def test_a_copy_with_values_that_make_no_sense_is_no_good_copy(path, notebook):
    write(notebook(), 1)
    write(notebook(1), -5)
    write(notebook(2), 7)
    assert copies(path) == ["notes-2024-06-02.sqlite"]
    error = notebook(2).damaged("a value is negative")
    assert "notes-2024-06-02.sqlite" in error.remedy


@pytest.fixture
def with_a_lost_leaf(path, notebook):
    """A notebook with copies, some of whose rows are lost, which no later write comes across."""
    for day in range(6):
        write(notebook(day), *range(500))
    content = bytearray(path.read_bytes())
    assert len(content) > 8 * 4096
    content[3 * 4096 : 4 * 4096] = b"\xff" * 4096
    path.write_bytes(content)


def test_the_structure_of_a_small_file_is_looked_at_when_it_is_opened(with_a_lost_leaf, notebook):
    with pytest.raises(DataError, match="damaged"), notebook(5).transaction("BEGIN"):
        pass


def test_a_damaged_file_never_takes_the_place_of_a_good_copy(with_a_lost_leaf, path, notebook, monkeypatch):
    monkeypatch.setattr("crypto_refactor.storage.sqlite_file._QUICKLY_CHECKED_BYTES", 0)
    before = copies(path)
    with pytest.raises(DataError, match="damaged"):
        write(notebook(9, replace(FORMAT, check=lambda _connection: None)), 1)
    assert copies(path) == before


def test_without_a_copy_the_remedy_is_to_remove_it(path, notebook):
    write(notebook(), 1)
    assert "remove" in notebook().damaged("x").remedy
    assert "all notes are lost with it" in notebook().damaged("x").remedy


# Changes of the schema


def test_an_earlier_schema_is_brought_up_to_date_after_a_copy(path, notebook):
    write(notebook(), 1, 2)
    later = notebook(file_format=SECOND)
    assert read(later) == [10, 20]
    assert copies(path)[-2:] == ["notes-before-schema-2.sqlite", "notes-before-schema-3.sqlite"]
    assert values_in(path.parent / "backups" / "notes-before-schema-2.sqlite") == [1, 2]
    assert values_in(path.parent / "backups" / "notes-before-schema-3.sqlite") == [10, 20]
    write(later, 3)
    assert read(notebook(file_format=SECOND)) == [10, 20, 3]


def test_a_step_that_fails_leaves_the_file_as_it_was(path, notebook):
    write(notebook(), 1)
    broken = {
        **SECOND.migrations,
        2: ("UPDATE notes SET value = 0", "ALTER TABLE nothing ADD COLUMN tag TEXT"),
    }
    with pytest.raises(DataError):
        read(notebook(file_format=replace(SECOND, migrations=broken)))
    assert values_in(path) == [10], "the first step is done, the second one is not"
    assert read(notebook(file_format=SECOND)) == [10]


def test_no_step_is_taken_without_its_copy(path, notebook):
    write(notebook(), 1)
    (path.parent / "backups").write_text("in the way")
    with pytest.raises(DataError, match="cannot be used"):
        read(notebook(file_format=SECOND))
    (path.parent / "backups").unlink()
    assert read(notebook()) == [1]


def test_a_schema_without_a_step_and_a_later_one_are_refused(path, notebook):
    write(notebook(), 1)
    with pytest.raises(DataError, match="version 1"):
        read(notebook(file_format=replace(SECOND, migrations={2: ()})))
    read(notebook(file_format=SECOND))
    with pytest.raises(DataError, match="version 3"):
        read(notebook())


def test_two_openings_take_a_step_once(path, notebook):
    write(notebook(), 1)
    first, second = notebook(file_format=SECOND), notebook(file_format=SECOND)
    assert read(first) == read(second) == [10]
