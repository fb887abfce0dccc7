"""The terminal, and the files that a command is asked to write."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shutil import get_terminal_size
from textwrap import TextWrapper
from typing import IO, TYPE_CHECKING

from crypto_refactor.errors import UsageError
from crypto_refactor.storage.output_file import check_writable

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from rich.console import Console

    from crypto_refactor.backtest.result import RunResult

_PIPED_WIDTH = 120


def console() -> Console:
    """Return a console on stdout, wide enough for the tables where it is not a terminal."""
    from rich.console import Console

    return Console(width=None if Console().is_terminal else _PIPED_WIDTH)


def text_width() -> int:
    """Return the columns that text may take."""
    return get_terminal_size((_PIPED_WIDTH, 24)).columns if sys.stdout.isatty() else _PIPED_WIDTH


def say(text: str, colour: str | None = None) -> None:
    """Print lines that fit `text_width`; on a terminal their first one stands out, in `colour`."""
    import click

    first, newline, others = text.partition("\n")
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    # Named, since click takes an ASCII stdout for a mistake and writes UTF-8 to it.
    click.echo(
        click.style(first, fg=colour, bold=True) + newline + others,
        file=sys.stdout,
        color=False if plain else None,
    )


def say_run(
    result: RunResult,
    tz: ZoneInfo,
    *,
    details: bool,
    files: Mapping[str, Path | None],
    commands: Mapping[str, Sequence[str]],
) -> None:
    """Say what a backtest or an evaluation came to, which of the `files` it wrote, and the `commands` to go on with."""
    from crypto_refactor.report.terminal.backtest import run_text

    written = {kind: path for kind, path in files.items() if path is not None}
    say(run_text(result, tz, width=text_width(), details=details, files=written, commands=commands))


def say_hints(hints: Iterable[str]) -> None:
    """Print hints on stderr, beside the result of a command and never within it."""
    import click

    for hint in hints:
        click.echo(fitted(f"Hint: {hint}"), err=True)


def tell(text: str) -> None:
    """Print prose on stdout: a terminal gets lines that fit, a pipe gets them whole."""
    import click

    click.echo(fitted(text, sys.stdout))


def fitted(text: str, stream: IO[str] | None = None) -> str:
    """Return text for `stream`, by default stderr: on a terminal broken between words, but not within a command.

    So a command can be pasted.
    """
    if not (stream or sys.stderr).isatty():
        return text
    blank = "\N{NO-BREAK SPACE}"
    lines = []
    for line in text.splitlines():
        lead = len(line) - len(line.lstrip())
        wrapper = TextWrapper(
            get_terminal_size().columns,
            subsequent_indent=" " * (lead + 4),
            break_long_words=False,
            break_on_hyphens=False,
        )
        glued = re.sub(r"`[^`]*`|--[a-z-]+ \S", lambda command: command[0].replace(" ", blank), line)
        lines += [part.replace(blank, " ") for part in wrapper.wrap(glued) or [""]]
    return "\n".join(lines)


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
