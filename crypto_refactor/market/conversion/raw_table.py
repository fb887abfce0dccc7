"""The cells of a file as they stand, whatever it is packed in: text, gzip, zip, JSON or feather."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from crypto_refactor.market.conversion.json_rows import is_json, read_json
from crypto_refactor.market.conversion.names import has_prices, normalized
from crypto_refactor.market.conversion.packed_files import (
    HEAD_CHARACTERS,
    is_feather,
    open_text,
    read_feather,
    unusable,
)

if TYPE_CHECKING:
    import pandas as pd

MAX_ROWS: Final = 500_000
"""57 years of hours: a longer file does not hold hourly bars of one ticker."""
_DELIMITERS: Final = ",;\t|"
_HEADER_LINES: Final = 12
_MIN_COLUMNS: Final = 5
_STAMP_NAMES: Final = frozenset({"date", "datetime"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawTable:
    """The rows of a file as text.

    Attributes
    ----------
    names : tuple of str or None
        The header; None where there is none.
    cells : DataFrame
        One column of text for each column of the file.
    symbols : tuple of str
        The symbol that each column names above its header, as yfinance does; empty otherwise.
    comment : str
        What stands above the header.
    delimiter : str
        What separates the cells; empty where the file is no text.
    """

    path: Path
    names: tuple[str, ...] | None
    cells: pd.DataFrame
    symbols: tuple[str, ...] = ()
    comment: str = ""
    delimiter: str = ""

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.cells.shape[1]

    def column(self, place: int) -> pd.Series[str]:
        """Return one column."""
        return self.cells.iloc[:, place]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Head:
    """Where the rows of a text file begin, and what stands above them."""

    names: tuple[str, ...] | None
    width: int
    symbols: tuple[str, ...]
    comment: str
    delimiter: str
    skipped: int


def read_raw(path: Path, *, rows: int = MAX_ROWS) -> RawTable:
    """Read the first `rows` rows of a file.

    Raises
    ------
    DataError
        If the file cannot be read or holds no table.
    """
    if is_feather(path):
        return _of_frame(path, read_feather(path), rows)
    with open_text(path) as text:
        head = text.read(HEAD_CHARACTERS)
    if is_json(head):
        names, values = read_json(path)
        _require_bounded(path, len(values))
        return _of_rows(path, names, values[:rows])
    return _read_text(path, _find_rows(path, head), rows)


def _require_bounded(path: Path, rows: int) -> None:
    if rows > MAX_ROWS:
        raise unusable(path, f"it has more than {MAX_ROWS:,} rows", remedy="split it by time.")


def _of_frame(path: Path, frame: pd.DataFrame, rows: int) -> RawTable:
    _require_bounded(path, len(frame))
    texts = (
        frame.iloc[:rows]
        .astype(object)
        .map(lambda value: repr(value) if isinstance(value, float) else str(value))
    )
    return RawTable(path=path, names=tuple(map(str, frame.columns)), cells=texts)


def _of_rows(path: Path, names: tuple[str, ...] | None, values: Sequence[Sequence[str]]) -> RawTable:
    import pandas as pd

    return RawTable(path=path, names=names, cells=pd.DataFrame(list(values), dtype=object))


def _find_rows(path: Path, head: str) -> _Head:
    """Find the header among the first lines, or the first row where there is none."""
    lines = head.splitlines()[: _HEADER_LINES + 4]
    for place, line in enumerate(lines[:_HEADER_LINES]):
        for delimiter in _DELIMITERS:
            cells = _cells(line, delimiter)
            if len(cells) < _MIN_COLUMNS:
                continue
            if has_prices(cells):
                return _headed(lines, place, delimiter)
            if all(cell[:1].isdigit() for cell in cells[:_MIN_COLUMNS]):
                return _Head(
                    names=None,
                    width=len(cells),
                    symbols=(),
                    comment="\n".join(lines[:place]),
                    delimiter=delimiter,
                    skipped=place,
                )
    raise unusable(
        path,
        f"none of its first lines names or holds bars: {lines[0][:60]!r}" if lines else "it is empty",
        remedy="export it again with columns for time, open, high, low, close and volume.",
    )


def _headed(lines: list[str], place: int, delimiter: str) -> _Head:
    """Return the head of a table with a header at line `place`, and lines of yfinance around it."""
    names = _cells(lines[place], delimiter)
    above = _cells(lines[place - 1], delimiter) if place else []
    symbols = above if _is_symbol_line(above, names) else []
    skipped = place + 1
    while skipped < len(lines):
        cells = _cells(lines[skipped], delimiter)
        if _is_symbol_line(cells, names):
            symbols = cells
        elif cells and normalized(cells[0]) in _STAMP_NAMES and not any(cells[1:]):
            names = [cells[0], *names[1:]]
        else:
            break
        skipped += 1
    return _Head(
        names=tuple(names),
        width=len(names),
        symbols=tuple(symbols),
        comment="\n".join(lines[:place]),
        delimiter=delimiter,
        skipped=skipped,
    )


def _is_symbol_line(cells: Sequence[str], names: Sequence[str]) -> bool:
    if len(cells) != len(names) or normalized(cells[0]) not in {"ticker", ""}:
        return False
    return all(cell[:1].isalpha() for cell in cells[1:])


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _read_text(path: Path, head: _Head, rows: int) -> RawTable:
    import pandas as pd

    options: dict[str, Any] = {
        "sep": head.delimiter,
        "header": None,
        "names": range(head.width + 1),  # one more, to notice a row that is too long
        "index_col": False,
        "dtype": object,
        "na_filter": False,
        "skiprows": head.skipped,
        "nrows": rows + 1,
        "skipinitialspace": True,
    }
    try:
        with open_text(path) as text, warnings.catch_warnings():
            # It would cut off what is too much, and only warn.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(text, **options)
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, OverflowError) as error:
        raise unusable(path, f"its rows cannot be read ({' '.join(str(error).split())[:200]})") from error
    return RawTable(
        path=path,
        names=head.names,
        cells=_whole(path, frame, head, rows),
        symbols=head.symbols,
        comment=head.comment,
        delimiter=head.delimiter,
    )


def _whole(path: Path, frame: pd.DataFrame, head: _Head, rows: int) -> pd.DataFrame:
    """Return the cells, each row as wide as the header."""
    _require_bounded(path, len(frame))
    if not len(frame):
        raise unusable(path, "it has no rows")
    uneven = (frame.iloc[:, -1].fillna("") != "") | frame.iloc[:, :-1].isna().any(axis=1)
    if uneven.any():
        row = int(uneven.argmax())
        cells = [str(cell) for cell in frame.iloc[row] if isinstance(cell, str)]
        raise unusable(
            path,
            f"line {head.skipped + row + 1} has another number of cells than the {head.width} of its header: "
            f"{head.delimiter.join(cells)[:120]!r}",
            remedy="correct or remove that line, or export the file again: it may be cut off.",
        )
    return frame.iloc[:rows, :-1]
