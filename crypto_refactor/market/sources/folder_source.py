"""Whose bars a folder of CSV files holds: a file beside them says it, and bars of two venues never share a folder."""

import json
import os
import re
from pathlib import Path

from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.storage.atomic_file import write_temporary
from crypto_refactor.storage.private import create_folder

FILES = "files"
"""The name of the source of CSV files whose folder names no venue."""
SOURCE_FILE = "source.json"
_SCHEMA = 1
_VENUE = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_MAX_BYTES = 10_000


def venue_source(venue: str | None) -> str:
    """Return the name of the source of a venue's files, such as ``files:kraken``; ``files`` without a venue."""
    return FILES if venue is None else f"{FILES}:{venue}"


def source_option(name: str) -> str:
    """Return what `--source` calls a source, without the venue of its files."""
    return name.partition(":")[0]


def validate_venue(venue: str) -> str:
    """Return the name of a venue.

    Raises
    ------
    UsageError
        If it cannot be one.
    """
    if not _VENUE.fullmatch(venue):
        raise UsageError.invalid("--from", venue, "a name of small letters, digits, - and _, such as kraken")
    return venue


def venue_of(folder: Path) -> str | None:
    """Return the venue that `folder` names; None where it names none, or does not exist.

    Raises
    ------
    DataError
        If the file that names it cannot be read.
    """
    path = folder / SOURCE_FILE
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_MAX_BYTES))
        venue = _VENUE.fullmatch(content["source"]) if content["schema"] == _SCHEMA else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        why = (error.strerror or "?") if isinstance(error, OSError) else "its content is damaged"
        raise _unreadable(path, why) from error
    if venue is None:
        raise _unreadable(path, "it is of another version, or names no venue")
    return venue[0]


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}, which names the venue of the bars beside it, cannot be read: {why}.",
        expected='{"schema": 1, "source": "NAME"}, as `crypto-refactor download --from NAME` writes it.',
        remedy="restore it, or download the bars again into another folder.",
    )


def claim_folder(folder: Path, venue: str | None) -> None:
    """Make `folder` that of a venue's bars or, with None, see that it is no venue's.

    A folder is created with the file that names its venue; of two processes that claim it at once, one is refused.

    Raises
    ------
    DataError
        If it holds bars of another source, or cannot be written.
    """
    held = venue_of(folder)
    if held == venue:
        return
    if held is not None or any(folder.glob("*_1h.csv")):
        raise _other_source(folder, held, venue)
    assert venue is not None, "a folder without a venue needs no file"
    content = json.dumps({"schema": _SCHEMA, "source": venue}) + "\n"
    try:
        create_folder(folder)
        _create(folder / SOURCE_FILE, content.encode())
    except OSError as error:
        raise DataError(
            f"{folder / SOURCE_FILE} cannot be written: {error.strerror or error}.",
            expected="a folder that can be written to, with space left.",
            remedy="correct the folder or its permissions.",
        ) from error
    if (held := venue_of(folder)) != venue:
        raise _other_source(folder, held, venue)


def _create(path: Path, content: bytes) -> None:
    """Write a whole file, unless another process was faster."""
    temporary = write_temporary(path.parent, content)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _other_source(folder: Path, held: str | None, venue: str | None) -> DataError:
    holds = "whose venue nothing names" if held is None else f"of {held}"
    wanted = "bars of another source" if venue is None else f"bars of {venue}"
    own = f"--data-dir {folder / (venue or 'alpaca')}"
    same = "" if held is None else f", or say --from {held} if these bars are of {held}"
    return DataError(
        f"{folder} holds bars {holds}, and {wanted} were to be written there.",
        expected="the bars of one source in a folder: a model of one never decides on bars of another.",
        remedy=f"choose a folder of their own, such as {own}{same}.",
    )
