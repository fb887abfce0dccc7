"""Targets that somebody else decided, read from a CSV file: exact about the first row that is none."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crypto_refactor.arrays import BoolArray, HourArray, SideArray
from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import parse_hour, to_iso

MADE_AT, TARGET = "made_at", "target"
_SIDE = re.compile(r"[+-]?[01](\.0*)?", re.ASCII)
_REMEDY = "correct or remove that row; nothing was computed from this file."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExternalTargets:
    """The side wanted from each of m closes on, until the next one says otherwise.

    Attributes
    ----------
    path : Path
        The file they were read from.
    made_at : ndarray of int64, shape (m,)
        Close of the bar each was made at, hours since 1970, strictly increasing.
    target : ndarray of int8, shape (m,)
        1 long, -1 short, 0 flat.
    lines : ndarray of int64, shape (m,)
        Where each stands in the file.
    ignored : tuple of str
        Columns that say nothing here.
    """

    path: Path
    made_at: HourArray
    target: SideArray
    lines: HourArray
    ignored: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.made_at)

    def at(self, closes: HourArray) -> SideArray:
        """Return the target known at each of `closes`, none of them before the first: the last one made."""
        return self.target[self._rows_at(closes)]

    def row_at(self, close: int) -> int:
        """Return the position of the target known at a close, which is not before the first."""
        return int(self._rows_at(np.array([close]))[0])

    def _rows_at(self, closes: HourArray) -> npt.NDArray[np.intp]:
        return np.searchsorted(self.made_at, closes, side="right") - 1

    def fingerprint(self) -> str:
        """Return a hash of every target and its hour, equal for equal targets whatever else the file holds."""
        digest = hashlib.sha256(self.made_at.tobytes())
        digest.update(self.target.tobytes())
        return digest.hexdigest()[:16]

    def within(self, first: int, last: int) -> BoolArray:
        """Return which of them were made at the hours ``first … last``, shape (m,)."""
        return (self.made_at >= first) & (self.made_at <= last)

    def require_bars(self, bars: Bars, first: int, last: int) -> None:
        """Insist that no target of the hours ``first … last`` lies before the first bar or after the last one.

        Raises
        ------
        DataError
            If one does; the first of them is shown.
        """
        begin, stop = (int(bars.closed[0]), int(bars.closed[-1])) if len(bars) else (last + 1, first - 1)
        outside = self.within(first, last) & ((self.made_at < begin) | (self.made_at > stop))
        if not outside.any():
            return
        row = int(np.argmax(outside))
        reach = f"close from {to_iso(begin)} to {to_iso(stop)}" if len(bars) else "are missing there"
        raise _bad_row(
            self.path,
            int(self.lines[row]),
            f"{to_iso(int(self.made_at[row]))},{self.target[row]}",
            f"{MADE_AT} to be the close of a bar; the {bars.ticker} bars from {bars.source} {reach}",
            remedy="correct or remove that row, choose another --source, or narrow the window with --hours and --end.",
        )


def read_targets(path: Path) -> ExternalTargets:
    """Read a CSV file with the columns ``made_at`` and ``target``, in any place among others.

    ``made_at`` is the close of a bar, a full hour, ISO-8601, UTC where it names no offset; ``target`` is -1,
    0 or 1.

    Raises
    ------
    DataError
        If the file cannot be read or holds fewer than two targets, a row is not of that form, or rows are not
        in strictly rising order; the first offending row is shown.
    """
    rows = _rows(path)
    _, header = next(rows, (1, []))
    names = [name.strip() for name in header]
    if names.count(MADE_AT) != 1 or names.count(TARGET) != 1:
        raise _bad_row(
            path,
            1,
            ",".join(header),
            f"a header that names the columns {MADE_AT} and {TARGET} once each",
            remedy="write that header above the rows.",
        )
    made_at: list[int] = []
    target: list[int] = []
    lines: list[int] = []
    for line, cells in rows:
        try:
            hour, side = _parsed(cells, names)
            _require_later(hour, made_at)
        except ValueError as error:
            raise _bad_row(path, line, ",".join(cells), str(error)) from error
        made_at.append(hour)
        target.append(side)
        lines.append(line)
    if len(made_at) < 2:
        raise DataError(
            f"{path} holds {len(made_at) or 'no'} target{'s' * (not made_at)}.",
            expected="at least two: the window reaches from the first to the last.",
            remedy="write one row a target below the header.",
        )
    return ExternalTargets(
        path=path,
        made_at=np.array(made_at, dtype=np.int64),
        target=np.array(target, dtype=np.int8),
        lines=np.array(lines, dtype=np.int64),
        ignored=tuple(name for name in names if name not in {MADE_AT, TARGET}),
    )


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, and the line it ends on."""
    reader = csv.reader(io.StringIO(_text(path), newline=""), strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise _bad_row(path, reader.line_num, str(error), "comma-separated values") from error
        if cells:
            yield reader.line_num, cells


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror or error}.",
            expected=f"a readable CSV file with the columns {MADE_AT} and {TARGET}.",
            remedy="correct --targets, or the file's permissions.",
        ) from error
    except UnicodeDecodeError as error:
        line = bytes(error.object[: error.start]).count(b"\n") + 1
        raise _bad_row(path, line, "bytes that are not UTF-8", "a UTF-8 text file") from error


def _parsed(cells: list[str], names: list[str]) -> tuple[int, int]:
    if len(cells) != len(names):
        raise ValueError(f"{len(names)} cells as in the header, not {len(cells)}")
    stamp, side = cells[names.index(MADE_AT)].strip(), cells[names.index(TARGET)].strip()
    try:
        hour = parse_hour(stamp)
    except ValueError as error:
        raise ValueError(
            f"{MADE_AT} to be a full hour, ISO-8601, such as 2024-06-01T13:00Z ({error})"
        ) from error
    if not _SIDE.fullmatch(side):
        raise ValueError(f"{TARGET} to be -1, 0 or 1, not {side!r}")
    return hour, int(float(side))


def _require_later(hour: int, made_at: list[int]) -> None:
    if made_at and hour == made_at[-1]:
        raise ValueError(f"every {MADE_AT} once")
    if made_at and hour < made_at[-1]:
        raise ValueError(f"{MADE_AT} in rising order (the row before is {to_iso(made_at[-1])})")


def _bad_row(path: Path, line: int, row: str, expected: str, *, remedy: str = _REMEDY) -> DataError:
    return DataError(f"{path}, line {line}: {row}.", expected=f"{expected}.", remedy=remedy)
