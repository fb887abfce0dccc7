"""The terminal, and files that are written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from crypto_refactor.errors import DataError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

_PIPED_WIDTH = 120


def console() -> Console:
    """Return a console on stdout, wide enough for the tables where it is not a terminal."""
    from rich.console import Console

    return Console(width=None if Console().is_terminal else _PIPED_WIDTH)


def say_hints(hints: Iterable[str]) -> None:
    """Print hints on stderr, beside the result of a command and never within it."""
    import click

    for hint in hints:
        click.echo(f"Hint: {hint}", err=True)


def check_writable(path: Path | None) -> None:
    """Raise DataError for an output file that cannot be written, before any work is done for it."""
    if path is not None and (path.is_dir() or not os.access(path.parent, os.W_OK)):
        raise _unwritable(
            path, "it is a folder" if path.is_dir() else "its folder is missing or not writable"
        )


def check_outputs(outputs: Mapping[str, Path | None], inputs: Mapping[str, Path] | None = None) -> None:
    """Refuse files that cannot be written, and one name for two files, before any work is done.

    Both mappings are by option; no output may overwrite another one or an input.  Raises UsageError if two
    options name one file, DataError if a file cannot be written.
    """
    taken = {path.resolve(): option for option, path in (inputs or {}).items()}
    for option, path in outputs.items():
        if path is None:
            continue
        other = taken.setdefault(path.resolve(), option)
        if other != option:
            raise UsageError(
                f"{other} and {option} both name {path}.",
                expected="a separate file for each.",
                remedy="choose another name for one of them.",
            )
        check_writable(path)


def write_text(path: Path, text: str) -> None:
    """Write a file completely or not at all; raise DataError if it cannot be written."""
    from crypto_refactor.storage.atomic_file import write_atomic

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
