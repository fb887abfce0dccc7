"""Reading one CSV file of bars: fast where it is well formed, exact about the line where it is not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.hours import parse_hour, to_iso

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crypto_refactor.market.ticker import Ticker

FILES = "files"
"""The name of the source whose bars these are."""
HEADER = ("timestamp", *COLUMNS)
HEADER_LINE = ",".join(HEADER)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_UTC_SUFFIXES = ("", "Z", "+00:00")
_STAMP_LENGTH = len("2024-05-01T13:00:00")


def read_csv(path: Path, ticker: Ticker) -> Bars:
    """Read one file of bars; a stamp is the OPEN of its bar, and without an offset it is UTC.

    Parameters
    ----------
    path : Path
        A file with the header ``timestamp,open,high,low,close,volume``.
    ticker : Ticker
        The pair the file holds.

    Returns
    -------
    Bars
        All bars of the file, at least one.

    Raises
    ------
    DataError
        If the file cannot be read or is not of that form, naming the file and the first bad line.
    """
    lines = _data_lines(path, _text(path))
    columns = _read_quickly(lines) or _read_exactly(path, lines)
    opened, values = columns
    opened.flags.writeable = values.flags.writeable = False
    return Bars(ticker=ticker, source=FILES, opened=opened, **dict(zip(COLUMNS, values, strict=True)))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise unreadable(path, error) from error
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        raise _bad_line(path, line, "bytes that are not UTF-8", expected="a UTF-8 text file.") from error


def unreadable(path: Path, error: OSError) -> DataError:
    """Return the error of a file that exists and cannot be read."""
    return DataError(
        f"{path} cannot be read: {error.strerror or error}.",
        expected="a readable CSV file of bars.",
        remedy="correct the file or its permissions.",
    )


def _bad_line(path: Path, line: int, row: str, *, expected: str) -> DataError:
    return DataError(
        f"{path}, line {line}: {row}.",
        expected=expected,
        remedy="correct or remove that line; nothing was computed from this file.",
    )


def _data_lines(path: Path, text: str) -> list[str]:
    """Return the lines below the header; blank ones at the end do not count."""
    if not text.strip():
        raise DataError(
            f"{path} is empty.",
            expected=f"the header {HEADER_LINE} and one line a bar.",
            remedy="write the file again.",
        )
    body = text.replace("\r\n", "\n")
    header, *lines = body.rstrip("\n").split("\n")
    names = [name.strip() for name in header.split(",")]
    if names != list(HEADER):
        missing = [name for name in HEADER if name not in names]
        what = f" (no column {', '.join(missing)})" if missing else ""
        raise _bad_line(path, 1, f"the header is {header!r}{what}", expected=f"{HEADER_LINE}.")
    if not lines:
        raise DataError(
            f"{path} holds a header and no bars.",
            expected="one line a bar below the header.",
            remedy="write the file again.",
        )
    if not body.endswith("\n"):
        # A cut through the volume leaves a shorter number behind, which nothing else would reveal.
        raise _bad_line(
            path,
            len(lines) + 1,
            f"{lines[-1]!r} is not ended by a line break, so the file may be cut off",
            expected="every line ended.",
        )
    return lines


def _read_quickly(lines: Sequence[str]) -> tuple[HourArray, FloatArray] | None:
    """Read rows of the usual form all at once; None where only the exact reader can tell.

    Whatever this returns equals the answer of `_read_exactly`.
    """
    joined = ",".join(lines)
    if "_" in joined or not joined.isascii():  # float() takes both for numbers
        return None
    cells = joined.split(",")
    suffix = cells[0][_STAMP_LENGTH:]
    commas = {line.count(",") for line in lines}
    if commas != {len(COLUMNS)} or suffix not in _UTC_SUFFIXES:
        return None
    stamps = cells[:: len(HEADER)]
    bare = [stamp[:_STAMP_LENGTH] for stamp in stamps]
    try:
        seconds = np.array(bare, dtype="datetime64[s]")
        values = np.array([list(map(float, cells[k :: len(HEADER)])) for k in range(1, len(HEADER))])
    except ValueError:
        return None
    # Writing the stamps again proves that numpy read a full date and time, not NaT or a bare day; its
    # calendar has a year 0, the exact reader's has not.
    written = [f"{text}{suffix}" for text in np.datetime_as_string(seconds).tolist()]
    opened, beside = np.divmod(seconds.astype(np.int64), 3600)
    if written != [stamp.replace(" ", "T", 1) for stamp in stamps] or beside.any() or opened[0] < 0:
        return None
    return (opened, values) if _all_bars(opened, values) else None


def _all_bars(opened: HourArray, values: FloatArray) -> bool:
    low, highest, lowest = values[2], values[:4].max(axis=0), values[:4].min(axis=0)
    return bool(
        np.isfinite(values).all()
        and (np.diff(opened) > 0).all()
        and (low > 0).all()
        and (values[4] >= 0).all()
        and (low == lowest).all()
        and (values[1] == highest).all()
    )


def _read_exactly(path: Path, lines: Sequence[str]) -> tuple[HourArray, FloatArray]:
    """Read row by row, which is what tells the first bad line and why it is bad."""
    opened = np.empty(len(lines), dtype=np.int64)
    values = np.empty((len(COLUMNS), len(lines)))
    previous: int | None = None
    for row, line in enumerate(lines):
        try:
            hour, numbers = _parse_row(line)
            _check_row(hour, numbers, previous)
        except ValueError as error:
            raise _bad_line(path, row + 2, repr(line), expected=f"{error}.") from error
        previous = opened[row] = hour
        values[:, row] = numbers
    return opened, values


def _parse_row(line: str) -> tuple[int, list[float]]:
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != len(HEADER):
        raise ValueError(f"{len(HEADER)} cells ({HEADER_LINE}), not {len(cells)}")
    try:
        hour = parse_hour(cells[0])
    except ValueError as error:
        raise ValueError(f"an ISO-8601 time stamp on the full hour ({error})") from error
    for name, cell in zip(COLUMNS, cells[1:], strict=True):
        if not _NUMBER.fullmatch(cell):
            raise ValueError(f"a finite number as {name}, not {cell!r}")
    return hour, [float(cell) for cell in cells[1:]]


def _check_row(hour: int, numbers: Sequence[float], previous: int | None) -> None:
    open_, high, low, close, volume = numbers
    if previous is not None and hour == previous:
        raise ValueError("every time stamp once")
    if previous is not None and hour < previous:
        raise ValueError(f"time stamps in rising order (the line before is {to_iso(previous)})")
    if not np.isfinite(numbers).all():
        raise ValueError("numbers that a float can hold")
    if min(numbers[:4]) <= 0:
        raise ValueError("prices above 0")
    if volume < 0:
        raise ValueError("a volume not below 0")
    if low > min(open_, close) or high < max(open_, close):
        raise ValueError("low <= open, close <= high")
