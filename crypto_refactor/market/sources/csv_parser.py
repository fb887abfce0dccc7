"""Read CSV files of hourly rows: pandas parses what is well formed, the exact parser words the first bad line."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray
from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import first_broken
from crypto_refactor.market.hours import Hour, floor_hour, parse_hour, parse_instant, to_iso
from crypto_refactor.market.local_time import local_text, some, zones_at_minute, zones_that_repeat

_UNMARKED = len("2024-06-01T13:00:00")
_ROWS_OF_A_KIND = 100
"""How many rows are looked at to tell a file of another kind from a bad line."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def parse_number(column: str, cell: str) -> float:
    """Return the finite number in a cell; a ValueError says what was expected."""
    text = cell.strip()
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"a finite number as {column}, not {text!r}")
    return float(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvLayout:
    """How a CSV file of hourly rows must look.

    In a strict layout the header names the required columns only, in this order, cells are unquoted, and every
    line is ended.  Otherwise other columns, quoted cells and blank lines are allowed.
    """

    stamp: str  # column of full hours: ISO-8601, UTC unless they name an offset, strictly increasing
    columns: tuple[str, ...]  # columns of numbers
    strict: bool = True
    min_rows: int = 1
    parse_cell: Callable[[str, str], float] = parse_number
    rules: Callable[[Mapping[str, FloatArray]], dict[str, BoolArray]] = lambda _: {}
    """Numbers by column -> rules, and which rows satisfy each."""
    conversion: str = ""
    """The command that converts a file of another kind; by default there is none."""

    @property
    def required(self) -> tuple[str, ...]:
        """The columns that the header must name."""
        return (self.stamp, *self.columns)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CsvTable:
    """The n rows of a file: full hours, numbers by column, the line each row ends on, and the other columns.

    `naive` says that no stamp of the file names an offset.
    """

    hours: HourArray
    values: dict[str, npt.NDArray[Any]]
    lines: HourArray
    ignored: tuple[str, ...]
    naive: bool


def read_table(path: Path, layout: CsvLayout) -> CsvTable:
    """Read a file of hourly rows.

    Raises
    ------
    DataError
        If the file cannot be read or does not follow `layout`; the first bad line is shown.
    """
    return _Reader(path, layout).table()


def bad_line(path: Path, line: int, what: str, expected: str, remedy: str | None = None) -> DataError:
    """Return the error of one line of a file."""
    remedy = remedy or "correct or remove that line; nothing was computed from this file."
    end = "" if what.endswith("?") else "."
    return DataError(f"{path}, line {line}: {what}{end}", expected=f"{expected}.", remedy=remedy)


def unreadable(path: Path, error: OSError, layout: CsvLayout) -> DataError:
    """Return the error of a file that cannot be read."""
    return DataError(
        f"{path} cannot be read: {error.strerror or error}.",
        expected=f"a readable CSV file with the columns {', '.join(layout.required)}.",
        remedy="correct the path, or the permissions of the file.",
    )


def _parse_stamps(stamps: npt.NDArray[Any]) -> HourArray:
    """Parse stamps that are all spelled in one usual way; a ValueError where only `parse_hour` can tell."""
    first = stamps[0] if len(stamps) else ""
    separator, suffix = first[10:11], first[19:]
    if separator not in {"T", " "} or suffix not in {"", "Z", "+00:00"}:
        raise ValueError(f"another spelling: {first!r}")
    lowest, highest = (
        np.frombuffer(f"{date}{separator}{hour}:00:00{suffix}".encode(), dtype=np.uint8)
        for date, hour in (("0000-00-00", "00"), ("9999-99-99", "29"))
    )
    texts = stamps.astype(np.bytes_)
    characters = texts.view(np.uint8).reshape(len(texts), -1)
    if ((characters < lowest) | (characters > highest)).any():
        raise ValueError("another spelling")
    days = texts.astype("S10").astype("datetime64[D]").astype(np.int64)
    hours = (characters[:, 11:13] - ord("0")) @ np.array([10, 1])
    if hours.max() > 23 or days.min() < 0:
        raise ValueError("no hour, or one that numpy's calendar knows only")
    return np.asarray(days * 24 + hours)


class _Reader:
    def __init__(self, path: Path, layout: CsvLayout) -> None:
        self._path = path
        self._layout = layout
        self._text = self._read()
        self._names = self._header()

    def _read(self) -> str:
        try:
            text = self._path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            raise unreadable(self._path, error, self._layout) from error
        except UnicodeDecodeError as error:
            line = bytes(error.object[: error.start]).count(b"\n") + 1
            raise bad_line(self._path, line, "bytes that are not UTF-8", "a UTF-8 text file") from error
        # In a strict file a lone carriage return is white space; csv would end a line there.
        return text.replace("\r\n", "\n").replace("\r", " ") if self._layout.strict else text

    def _bad(self, line: int, expected: str, *, whole: bool = False) -> DataError:
        lines = re.split(r"\r\n|\r|\n", self._text)
        remedy = self._remedy_for_all() if whole else None
        return bad_line(self._path, line, repr(lines[line - 1]), expected, remedy)

    def _header(self) -> list[str]:
        required, strict = self._layout.required, self._layout.strict
        _, cells = next(self._rows(), (1, []))
        names = [cell.strip() for cell in cells]
        if names != list(required) if strict else any(names.count(name) != 1 for name in required):
            missing = [name for name in required if name not in names]
            detail = f" (no column {', '.join(missing)})" if missing else ""
            what = f"the header is {','.join(cells)!r}{detail}" if self._text.strip() else "the file is empty"
            order = "in this order and no others" if strict else "once each"
            expected = f"the columns {','.join(required)}, {order}"
            conversion = self._layout.conversion and self._text.strip()
            remedy = (
                self._remedy_for_all() if conversion else f"write {','.join(required)} as the first line."
            )
            raise bad_line(self._path, 1, what, expected, remedy)
        if strict and "\n" in self._text and not self._text.endswith("\n"):
            # A cut through the last number leaves a shorter one behind, which nothing else would reveal.
            line = self._text.count("\n") + 1
            raise self._bad(line, "every line ended by a line break: the file may be cut off")
        return names

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the line that each row ends on and its cells, the header first."""
        strict = self._layout.strict
        text = io.StringIO(self._text.rstrip("\n") if strict else self._text, newline="")
        reader = csv.reader(text, strict=True, quoting=csv.QUOTE_NONE if strict else csv.QUOTE_MINIMAL)
        try:
            yield from ((reader.line_num, cells) for cells in reader if cells or strict)
        except csv.Error as error:
            raise self._bad(reader.line_num, f"comma-separated values ({error})") from error

    def table(self) -> CsvTable:
        table = self._parse_quickly() or self._parse_exactly()
        if len(table.hours) < self._layout.min_rows:
            raise DataError(
                f"{self._path} has too few rows below its header: {len(table.hours)}.",
                expected=f"at least {self._layout.min_rows}.",
                remedy=f"write at least {self._layout.min_rows} below the header.",
            )
        return table

    def _parse_quickly(self) -> CsvTable | None:
        """Parse unquoted rows of equal width all at once; None where only the exact parser can tell.

        Whatever this returns equals the answer of `_parse_exactly`.
        """
        text = self._text.rstrip("\n").encode()
        characters = np.frombuffer(text, dtype=np.uint8)
        ends = np.append(np.flatnonzero(characters == ord("\n")), len(text))
        commas = np.searchsorted(np.flatnonzero(characters == ord(",")), ends)
        even = (np.diff(commas, prepend=0) == len(self._names) - 1).all()
        if len(ends) < 2 or not even or any(mark in text for mark in (b'"', b"\r", b"\0")):
            return None
        try:
            stamps, *values = self._columns(text)
            hours = _parse_stamps(stamps)
            naive = np.full(len(hours), len(stamps[0]) == _UNMARKED)
            return self._checked(hours, values, np.arange(2, len(hours) + 2), naive)
        except (ValueError, DataError):
            return None

    def _columns(self, text: bytes) -> list[npt.NDArray[Any]]:
        """Return the required columns by pandas, the stamps as they are."""
        import pandas as pd

        stamp, *numbers = places = [self._names.index(name) for name in self._layout.required]
        parse = self._layout.parse_cell
        floats = numbers if parse is parse_number else []
        options: dict[str, Any] = {
            "dtype": {stamp: object} | dict.fromkeys(floats, np.float64),
            "converters": {place: partial(parse, self._names[place]) for place in numbers if not floats},
        }
        if tuple(map(int, pd.__version__.split(".")[:2])) < (3, 1):
            options["float_precision"] = "round_trip"  # later versions round correctly without it
        frame = pd.read_csv(
            io.BytesIO(text),
            header=0,
            names=range(len(self._names)),
            usecols=places,
            lineterminator="\n",
            quoting=csv.QUOTE_NONE,
            na_filter=False,
            **options,
        )
        return [frame[place].to_numpy() for place in places]

    def _parse_exactly(self) -> CsvTable:
        """Parse row by row, and raise at the first row that is malformed or breaks a rule."""
        rows: list[tuple[int, Hour, bool, list[float]]] = []
        malformed: DataError | None = None
        try:
            for line, cells in islice(self._rows(), 1, None):
                try:
                    rows.append((line, *self._parse_row(cells)))
                except ValueError as error:
                    whole = self._other_kind(line, cells) if not rows or self._mostly_off_the_hour() else None
                    raise whole or self._bad(line, str(error)) from error
        except DataError as error:
            malformed = error
        lines, hours = (np.array([row[place] for row in rows], dtype=np.int64) for place in (0, 1))
        naive = np.array([row[2] for row in rows], dtype=np.bool_)
        columns = np.array([numbers for *_, numbers in rows]).reshape(-1, len(self._layout.columns)).T
        table = self._checked(hours, columns, lines, naive)  # a row above the malformed one may break a rule
        if malformed:
            raise malformed
        return table

    def _parse_row(self, cells: list[str]) -> tuple[Hour, bool, list[float]]:
        if len(cells) != len(self._names):
            raise ValueError(f"{len(self._names)} cells as in the header, not {len(cells)}")
        row, stamp = dict(zip(self._names, cells, strict=True)), self._layout.stamp
        try:
            hour = parse_hour(row[stamp])
        except ValueError as error:
            raise ValueError(
                f"{stamp} as a full hour such as 2024-06-01T13:00Z, ISO-8601 ({error})"
            ) from error
        numbers = [self._layout.parse_cell(name, row[name]) for name in self._layout.columns]
        return hour, _is_naive(row[stamp]), numbers

    def _checked(
        self, hours: HourArray, columns: Iterable[FloatArray], lines: HourArray, naive: BoolArray
    ) -> CsvTable:
        stamp, step = self._layout.stamp, np.diff(hours, prepend=hours[:1] - 1)
        values = {
            name: np.asarray(column, dtype=np.float64)
            for name, column in zip(self._layout.columns, columns, strict=True)
        }
        rules = {f"every {stamp} once": step != 0, f"{stamp} in rising order": step > 0}
        broken = first_broken(rules | self._layout.rules(values))
        if broken and step[broken[0]] <= 0:
            raise self._out_of_order(hours, values, lines, naive, broken[0])
        if broken:
            raise self._bad(int(lines[broken[0]]), broken[1])
        ignored = tuple(name for name in self._names if name not in self._layout.required)
        return CsvTable(hours=hours, values=values, lines=lines, ignored=ignored, naive=bool(naive.all()))

    def _out_of_order(
        self,
        hours: HourArray,
        values: Mapping[str, FloatArray],
        lines: HourArray,
        naive: BoolArray,
        row: int,
    ) -> DataError:
        """Return the error of the first row that does not follow the one before it."""
        line, stamp, hour = int(lines[row]), self._layout.stamp, int(hours[row])
        if self._layout.conversion and len(hours) > 2 and (np.diff(hours) < 0).all():
            return self._bad(line, f"{stamp} in rising order: this file has its newest row first", whole=True)
        if hour < hours[row - 1]:
            before = f"{stamp} in rising order (the row before is {to_iso(int(hours[row - 1]))})"
            return self._bad(line, before, whole=True)
        zones = zones_that_repeat(hour) if naive[row] else ()
        same = all(column[row] == column[row - 1] for column in values.values())
        if zones and not same:
            return bad_line(
                self._path,
                line,
                f"{local_text(hour)} stands twice, on the day when clocks go back in {some(zones)}: "
                "local time without an offset?",
                f"every {stamp} once, in UTC or with its offset",
                self._remedy_for_all(f" --tz {zones[0]}", "removing that line would shift every later row"),
            )
        return self._bad(line, f"every {stamp} once", whole=True)

    def _other_kind(self, line: int, cells: list[str]) -> DataError | None:
        """Return the error of a file whose first row already is of another kind; None where only that row is bad."""
        place = self._names.index(self._layout.stamp)
        if place >= len(cells) or len(cells) != len(self._names):
            return self._bad(line, f"{len(self._names)} cells as in the header, not {len(cells)}", whole=True)
        rows = islice(self._rows(), 1, 1 + _ROWS_OF_A_KIND)
        minutes = {_naive_minute(row[place]) if len(row) > place else None for _, row in rows}
        minute = next(iter(minutes)) if len(minutes) == 1 else None
        if minute:
            zones = zones_at_minute(minute, floor_hour(parse_instant(cells[place])))
            return bad_line(
                self._path,
                line,
                f"{cells[place]!r}, and every stamp stands at minute {minute}"
                + (
                    f", as full hours UTC do in {some(zones)}: local time without an offset?" if zones else ""
                ),
                f"{self._layout.stamp} on the full hour, in UTC or with its offset",
                self._remedy_for_all(f" --tz {zones[0]}" if zones else ""),
            )
        try:
            parse_hour(cells[place])
        except ValueError as error:
            expected = f"{self._layout.stamp} as a full hour such as 2024-06-01T13:00Z, ISO-8601 ({error})"
            return self._bad(line, expected, whole=True)
        return None

    def _mostly_off_the_hour(self) -> bool:
        place = self._names.index(self._layout.stamp)
        rows = list(islice(self._rows(), 1, 1 + _ROWS_OF_A_KIND))
        return 2 * sum(_lies_between_hours(row[place]) for _, row in rows if len(row) > place) > len(rows)

    def _remedy_for_all(self, options: str = "", why: str = "") -> str | None:
        """Return the remedy where not a line but the whole file is to be changed."""
        if not self._layout.conversion:
            return (
                f"write the stamps of the whole file in UTC{'; ' + why if why else ''}." if options else None
            )
        zone = " (or your own zone)" if options else ""
        return (
            f"convert the whole file: `{self._layout.conversion}{options}`{zone}{'; ' + why if why else ''}."
        )


def _is_naive(stamp: str) -> bool:
    return datetime.fromisoformat(stamp.strip()).tzinfo is None


def _lies_between_hours(stamp: str) -> bool:
    try:
        moment = datetime.fromisoformat(stamp.strip())
    except ValueError:
        return False
    return bool(moment.minute or moment.second)


def _naive_minute(stamp: str) -> int | None:
    """Return the minute of a stamp without an offset, None for any other text."""
    try:
        moment = datetime.fromisoformat(stamp.strip())
    except ValueError:
        return None
    return None if moment.tzinfo or moment.second else moment.minute
