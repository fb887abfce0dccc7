"""Numbers as people write them: with a decimal point or comma, and thousands apart."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

POINT, COMMA = "point", "comma"
_PLAIN: Final = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_GROUPED: Final = {
    POINT: r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?",
    COMMA: r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+(?:,[0-9]*)?",
}
_MARKED: Final = {
    POINT: r"[+-]?[0-9]*\.[0-9]*(?:[eE][+-]?[0-9]+)?",
    COMMA: r"[+-]?[0-9]*,[0-9]*(?:[eE][+-]?[0-9]+)?",
}


def parse_numbers(
    path: Path, columns: Mapping[str, pd.Series[str]], *, decimal: str | None, delimiter: str
) -> tuple[dict[str, FloatArray], bool]:
    """Return the numbers of some columns, and whether they are written with a decimal comma.

    Parameters
    ----------
    decimal : str or None
        ``point`` or ``comma``; None where the numbers themselves must tell.
    delimiter : str
        What separates the cells.

    Raises
    ------
    DataError
        If a cell is no number, or the numbers can be read in both ways.
    """
    columns = {name: column.str.strip() for name, column in columns.items()}
    commas = any(bool(column.str.contains(",").any()) for column in columns.values())
    if decimal is None:
        decimal = _decimal_of(path, columns) if commas or delimiter == ";" else POINT
    return {name: _floats(path, name, column, decimal) for name, column in columns.items()}, decimal == COMMA


def _decimal_of(path: Path, columns: Mapping[str, pd.Series[str]]) -> str:
    """Return which of the two readings all numbers allow."""
    texts = np.unique(
        np.concatenate([column.to_numpy(dtype=object) for column in columns.values()]).astype(str)
    )
    marked = [text for text in texts.tolist() if "." in text or "," in text]
    points = all(_readable(text, POINT) for text in marked)
    commas = all(_readable(text, COMMA) for text in marked)
    if points and commas and marked:
        raise DataError(
            f"{path}: numbers such as {marked[0]!r} may have a decimal point or a decimal comma.",
            expected="numbers that can be read in one way.",
            remedy="say which with --decimal point or --decimal comma.",
        )
    return COMMA if commas and not points else POINT


def _readable(text: str, decimal: str) -> bool:
    return any(
        re.fullmatch(pattern, text) for pattern in (_MARKED[decimal], _GROUPED[decimal], r"[+-]?[0-9]+")
    )


def _floats(path: Path, name: str, column: pd.Series[str], decimal: str) -> FloatArray:
    texts = column if decimal == POINT and column.str.fullmatch(_PLAIN).all() else _plain(column, decimal)
    good = texts.str.fullmatch(_PLAIN).to_numpy(dtype=bool)
    if not good.all():
        row = int(good.argmin())
        raise DataError(
            f"{path}, row {row + 1}: {column.iloc[row]!r} as {name}.",
            expected=f"a finite number with a decimal {decimal}.",
            remedy="correct or remove that row, or say how numbers are written with --decimal point or comma.",
        )
    return np.array([float(text) for text in texts.tolist()], dtype=np.float64)


def _plain(column: pd.Series[str], decimal: str) -> pd.Series[str]:
    """Return the numbers with a decimal point and without marks of thousands; others stay as they are."""
    mark, separator = (",", ".") if decimal == COMMA else (".", ",")
    grouped = column.str.fullmatch(_GROUPED[decimal])
    texts = column.where(~grouped, column.str.replace(separator, "", regex=False))
    readable = ~texts.str.contains(separator, regex=False)
    return texts.where(~readable, texts.str.replace(mark, ".", regex=False)).where(readable, "")
