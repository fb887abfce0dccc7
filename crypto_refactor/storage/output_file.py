"""Files that a user asked for: written completely or not at all."""

import os
from pathlib import Path

from crypto_refactor.errors import DataError
from crypto_refactor.storage.atomic_file import write_atomic


def check_writable(path: Path | None) -> None:
    """Raise DataError for an output file that cannot be written, before any work is done for it."""
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise _unwritable(
            path, "it is a folder" if path.is_dir() else "its folder is missing or not writable"
        )


def write_text(path: Path, text: str) -> None:
    """Write a file completely or not at all; raise DataError if it cannot be written."""
    try:
        write_atomic(path, text.encode())
    except OSError as error:
        raise _unwritable(path, error.strerror or str(error)) from error


def _unwritable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} cannot be written: {why}.",
        expected="a file in a writable folder with free space.",
        remedy="choose another path.",
    )
