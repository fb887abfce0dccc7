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
_PLAIN: Final = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_GROUPED: Final = {
    POINT: r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?",
    COMMA: r"[+-]?\d{1,3}(?:\.\d{3})+(?:,\d*)?",
}
_MARKED: Final = {POINT: r"[+-]?\d*\.\d*(?:[eE][+-]?\d+)?", COMMA: r"[+-]?\d*,\d*(?:[eE][+-]?\d+)?"}
_EITHER: Final = re.compile(r"[+-]?\d{1,3}[.,]\d{3}")


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
    return any(re.fullmatch(pattern, text) for pattern in (_MARKED[decimal], _GROUPED[decimal], r"[+-]?\d+"))


def _floats(path: Path, name: str, column: pd.Series[str], decimal: str) -> FloatArray:
    texts = column
    if decimal == COMMA:
        grouped = texts.str.fullmatch(_GROUPED[COMMA])
        texts = texts.where(~grouped, texts.str.replace(".", "", regex=False)).str.replace(
            ",", ".", regex=False
        )
        dotted = column.str.contains(".", regex=False) & ~grouped
        texts = texts.where(~dotted, "a point in a number with a comma")
    else:
        grouped = texts.str.fullmatch(_GROUPED[POINT])
        texts = texts.where(~grouped, texts.str.replace(",", "", regex=False))
    plain = texts.str.fullmatch(_PLAIN)
    if not plain.all():
        row = int(plain.to_numpy(dtype=bool).argmin())
        raise DataError(
            f"{path}, row {row + 1}: {column.iloc[row]!r} as {name}.",
            expected=f"a finite number with a decimal {decimal}.",
            remedy="correct or remove that row, or say how numbers are written with --decimal point or comma.",
        )
    return np.array([float(text) for text in texts.tolist()], dtype=np.float64)
