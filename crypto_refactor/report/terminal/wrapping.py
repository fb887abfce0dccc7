"""Lines that fit a terminal: no word, no figure and its unit is ever broken, and what goes on hangs below its beginning."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import TextWrapper
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.report.short_tables import Table


MAX_PROSE = 100
"""Longer lines are hard to read, however wide the terminal."""
_LABEL = 13
GLUED = "\N{NO-BREAK SPACE}"
"""Stands for a blank at which no line is broken."""
_INSEPARABLE = re.compile(
    r"(?<=\d) (?=%|[A-Z]{2,6}\b|h\b|days?\b|months?\b|of \d)|(?<=of) (?=\d)|(?<=[\d%]) (?=±)|(?<=±) (?=\d)"
    r"|(?<=\d{4}-\d\d-\d\d) (?=\d\d:\d\d)"
)


def wrapped(text: str, width: int, hanging: int = 0) -> list[str]:
    """Return `text` as lines of at most `width` columns, those after the first indented by `hanging`.

    A word that is wider, such as a path, has a line of its own.
    """
    return broken(_INSEPARABLE.sub(GLUED, text), min(width, MAX_PROSE), hanging)


def broken(text: str, width: int, hanging: int) -> list[str]:
    """Return `text` broken between words alone, and not at `GLUED`, which becomes a blank."""
    wrapper = TextWrapper(
        width, subsequent_indent=" " * hanging, break_long_words=False, break_on_hyphens=False
    )
    return [line.replace(GLUED, " ") for line in wrapper.wrap(text)]


def entry(label: str, text: str, width: int) -> list[str]:
    """Return a text behind its label."""
    return wrapped(f"{label:<{_LABEL}}".replace(" ", GLUED) + text, width, _LABEL)


def command_lines(label: str, words: Sequence[str], width: int, labelled: int = _LABEL) -> list[str]:
    """Return a command behind its label, which takes `labelled` columns.

    Where it takes several lines, it can still be pasted into a shell.
    """
    indent = " " * labelled
    lines = [f"{label:<{labelled}}"]
    for part in _options(words):
        line = lines[-1]
        separator = "" if len(line) == labelled else " "
        # Two columns are kept for what continues a line.
        if separator and len(line) + 1 + len(part) + 2 > min(width, MAX_PROSE):
            lines[-1] = line + " \\"
            lines.append(indent + part)
        else:
            lines[-1] = line + separator + part
    return lines


def _options(words: Sequence[str]) -> list[str]:
    """Return the words quoted for a shell, each option together with its value."""
    parts: list[str] = []
    for word in words:
        if parts and parts[-1].startswith("--") and " " not in parts[-1] and not word.startswith("--"):
            parts[-1] += f" {shlex.quote(word)}"
        else:
            parts.append(shlex.quote(word))
    return parts


def table_lines(table: Table, width: int) -> list[str]:
    """Return a table; where it is too wide, in parts below each other, each with the names of the rows."""
    lines = _columns(table)
    if max(map(len, lines)) <= width:
        return lines
    lines = []
    for part in _parts(table, width):
        lines += ["", *_columns(part)] if lines else _columns(part)
    return lines


def _columns(table: Table) -> list[str]:
    widths = _widths(table)
    return [
        "  ".join(
            cell.ljust(width) if column < table.names else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in [table.header, *table.rows]
    ]


def _widths(table: Table) -> list[int]:
    return [max(map(len, column)) for column in zip(table.header, *table.rows, strict=True)]


def _parts(table: Table, width: int) -> Iterator[Table]:
    """Yield tables of as many columns as fit, at least one beside the first, which all of them have."""
    first, *widths = _widths(table)
    begin = 1
    while begin < len(table.header):
        end, taken = begin + 1, first + 2 + widths[begin - 1]
        while end < len(table.header) and taken + 2 + widths[end - 1] <= width:
            taken += 2 + widths[end - 1]
            end += 1
        rows = [(row[0], *row[begin:end]) for row in table.rows if any(row[begin:end])]
        names = min(end, table.names) if begin == 1 else 1
        yield replace(table, names=names, header=(table.header[0], *table.header[begin:end]), rows=rows)
        begin = end
