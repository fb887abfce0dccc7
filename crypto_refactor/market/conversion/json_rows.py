"""The rows of a JSON file: lists of values, or objects with names, however deep they lie."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from crypto_refactor.market.conversion.packed_files import open_text, unusable

_MAX_CHARACTERS: Final = 64 * 1024 * 1024
_MAX_DEPTH: Final = 4


def is_json(head: str) -> bool:
    """Return whether a text that begins so is JSON."""
    return head.lstrip()[:1] in {"[", "{"}


def read_json(path: Path) -> tuple[tuple[str, ...] | None, list[list[str]]]:
    """Return the names, None where there are none, and the rows of a JSON file.

    Raises
    ------
    DataError
        If the file is no JSON, or does not hold one list of rows.
    """
    with open_text(path) as text:
        content = text.read(_MAX_CHARACTERS + 1)
    if len(content) > _MAX_CHARACTERS:
        raise unusable(path, f"it holds more than {_MAX_CHARACTERS // 2**20} MiB", remedy="split it by time.")
    try:
        document = json.loads(content, parse_float=str, parse_int=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise unusable(path, f"it is no JSON (line {error.lineno}, column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise unusable(path, "it is no JSON of bars") from error
    rows = _rows(document)
    if not rows:
        raise unusable(path, "its JSON holds no list of bars, or several")
    if isinstance(rows[0], dict):
        names = tuple(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
        return names, [_of_object(path, row, names) for row in rows]
    return None, [_of_list(path, row, len(rows[0])) for row in rows]


def _rows(value: Any, depth: int = 0) -> Sequence[Any] | None:
    """Return the only list of rows in a document."""
    if isinstance(value, list):
        return value if value and isinstance(value[0], list | dict) else None
    if not isinstance(value, dict) or depth > _MAX_DEPTH:
        return None
    found = [rows for rows in (_rows(part, depth + 1) for part in value.values()) if rows]
    return found[0] if len(found) == 1 else None


def _of_object(path: Path, row: Any, names: tuple[str, ...]) -> list[str]:
    if not isinstance(row, dict):
        raise unusable(path, f"one of its bars is {str(row)[:60]!r}")
    return [_text(path, row.get(name, "")) for name in names]


def _of_list(path: Path, row: Any, width: int) -> list[str]:
    if not isinstance(row, list) or len(row) != width:
        raise unusable(path, f"one of its bars is {str(row)[:60]!r}, not a list of {width} values")
    return [_text(path, value) for value in row]


def _text(path: Path, value: Any) -> str:
    if isinstance(value, list | dict):
        raise unusable(path, f"a value of one of its bars is {str(value)[:60]!r}")
    return "" if value is None else str(value)
