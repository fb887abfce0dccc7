"""External targets, read from a CSV file."""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crypto_refactor.arrays import BoolArray, HourArray, SideArray
from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import Hour, to_iso
from crypto_refactor.market.sources.csv_parser import CsvLayout, bad_line, read_table

MADE_AT, TARGET = "made_at", "target"
_SIDE = re.compile(r"[+-]?[01](\.0*)?", re.ASCII)


class Stamped(StrEnum):
    """Which end of a bar the stamp of a target made from that bar names."""

    OPEN = "open"
    CLOSE = "close"

    @classmethod
    def of(cls, name: str) -> "Stamped":
        """Return the end called `name`; raise UsageError if there is none."""
        if name not in set(cls):
            raise UsageError.not_one_of("--stamped", name, list(cls))
        return cls(name)

    @property
    def hours_to_close(self) -> int:
        """Hours from the stamp to the close at which the target is known."""
        return 1 if self is Stamped.OPEN else 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExternalTargets:
    """The target side at each of m closes; it holds until the next one.

    Attributes
    ----------
    path : Path or None
        The file; None for targets that came as a DataFrame or Series.
    stamped : Stamped
        What the stamps are.
    made_at : ndarray of int64, shape (m,)
        Close of the bar at which each target was made, hours since 1970, strictly increasing.
    target : ndarray of int8, shape (m,)
        1 long, -1 short, 0 flat.
    lines : ndarray of int64, shape (m,)
        Line of the file, or row of the DataFrame, from 1.
    ignored : tuple of str
        The other columns.
    """

    path: Path | None
    stamped: Stamped
    made_at: HourArray
    target: SideArray
    lines: HourArray
    ignored: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.made_at)

    @property
    def origin(self) -> str:
        """Where the targets came from, in words."""
        return "a DataFrame" if self.path is None else str(self.path)

    def place(self, row: int) -> str:
        """Return where the target at position `row` stands, in words."""
        return f"{'row' if self.path is None else 'line'} {self.lines[row]} of {'the targets' if self.path is None else 'the file'}"

    def at(self, closes: HourArray) -> SideArray:
        """Return the target in force at each of `closes`, none of which lies before the first target."""
        return self.target[self._rows_at(closes)]

    def at_or_flat(self, closes: HourArray) -> SideArray:
        """Return the target in force at each of `closes`, 0 before the first target."""
        rows = self._rows_at(closes)
        return np.where(rows < 0, 0, self.target[rows]).astype(np.int8)

    def row_at(self, close: Hour) -> int:
        """Return the position of the target in force at `close`, which does not lie before the first one."""
        return int(self._rows_at(np.array([close]))[0])

    def _rows_at(self, closes: HourArray) -> npt.NDArray[np.intp]:
        return np.searchsorted(self.made_at, closes, side="right") - 1

    def fingerprint(self) -> str:
        """Return a hash of every target and its hour, whatever else the file holds."""
        digest = hashlib.sha256(self.made_at.tobytes())
        digest.update(self.target.tobytes())
        return digest.hexdigest()[:16]

    def within(self, first: Hour, last: Hour) -> BoolArray:
        """Return which targets were made at the hours ``first … last``, shape (m,)."""
        return (self.made_at >= first) & (self.made_at <= last)

    def require_bars(self, bars: Bars, first: Hour, last: Hour) -> None:
        """Refuse a target of the hours ``first … last`` before the first or after the last bar.

        Raises
        ------
        DataError
            If there is one; the first is shown.
        """
        begin, stop = (int(bars.closed[0]), int(bars.closed[-1])) if len(bars) else (last + 1, first - 1)
        outside = self.within(first, last) & ((self.made_at < begin) | (self.made_at > stop))
        if not outside.any():
            return
        row = int(np.argmax(outside))
        early, verb = self.stamped.hours_to_close, self.stamped
        reach = "are missing there"
        if len(bars):
            reach = f"{verb} from {to_iso(begin - early)} to {to_iso(stop - early)}"
        shown = f"'{to_iso(int(self.made_at[row]) - early)},{self.target[row]}'"
        expected = f"{MADE_AT} to be the {verb} of a bar; the {bars.ticker} bars from {bars.source} {reach}"
        remedy = "correct or remove that line, choose another --source, or narrow the window with --hours and --end."
        if self.stamped is Stamped.CLOSE and int(self.made_at[row]) == begin - 1:  # where the first bar opens
            option = "stamped='open'" if self.path is None else "--stamped open"
            remedy = f"if the hours are the opens of bars, say {option}; else {remedy}"
        if self.path is not None:
            raise bad_line(self.path, int(self.lines[row]), shown, expected, remedy)
        raise bad_row(int(self.lines[row]), shown, expected, remedy)


def bad_row(row: int, what: str, expected: str, remedy: str | None = None) -> DataError:
    """Return the error of one row of targets that came as a DataFrame."""
    remedy = remedy or "correct or remove that row; nothing was computed from these targets."
    return DataError(f"Row {row} of the targets: {what}.", expected=f"{expected}.", remedy=remedy)


def read_targets(path: Path, stamped: Stamped = Stamped.CLOSE) -> ExternalTargets:
    """Read a CSV file with the columns ``made_at`` and ``target``, in any place among others.

    ``made_at`` is the close or the open of a bar, as `stamped` says, a full hour, ISO-8601, UTC unless it names an
    offset; ``target`` is -1, 0 or 1.  A target stamped at the open of its bar is known at that bar's close.

    Raises
    ------
    DataError
        If the file cannot be read or holds fewer than two targets, a row is not of that form, or rows are not
        in strictly rising order; the first bad line is shown.
    """
    table = read_table(path, _LAYOUT)
    return ExternalTargets(
        path=path,
        stamped=stamped,
        made_at=table.hours + stamped.hours_to_close,
        target=table.values[TARGET].astype(np.int8),
        lines=table.lines,
        ignored=table.ignored,
    )


def _parse_side(column: str, cell: str) -> float:
    text = cell.strip()
    if not _SIDE.fullmatch(text):
        raise ValueError(f"{column} to be -1, 0 or 1, not {text!r}")
    return float(text)


# A window reaches from the first target to the last one, so there must be two.
_LAYOUT = CsvLayout(stamp=MADE_AT, columns=(TARGET,), strict=False, min_rows=2, parse_cell=_parse_side)
