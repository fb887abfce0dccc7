"""One file of bars in somebody else's layout, as bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS, first_broken, price_rules
from crypto_refactor.market.conversion.columns import ColumnPlaces, find_columns
from crypto_refactor.market.conversion.layouts import AS_NAMED, NAMED, recognize, with_names
from crypto_refactor.market.conversion.numbers import parse_numbers
from crypto_refactor.market.conversion.raw_table import MAX_ROWS, RawTable, read_raw
from crypto_refactor.market.conversion.spacing import require_hourly
from crypto_refactor.market.conversion.stamps import HOUR, Seconds, parse_stamps, to_opens
from crypto_refactor.market.conversion.symbols import other_dollar, other_pair, rows_of_ticker
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker

if TYPE_CHECKING:
    import pandas as pd

_ROWS_LOOKED_AT: Final = 2_000
"""A file of minutes is refused by its first rows, however long it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the user says of a file where the file does not say it; None leaves it to the file.

    Attributes
    ----------
    tz : ZoneInfo or None
        Zone of stamps without an offset.
    dates : str or None
        ``day-first`` or ``month-first``.
    decimal : str or None
        ``point`` or ``comma``.
    stamped : str or None
        Whether a stamp is the ``open`` or the ``close`` of its bar.
    columns : tuple of str
        Names of the columns in their order; empty for those of the file.
    symbol : str or None
        The symbol whose rows are those of the ticker.
    """

    tz: ZoneInfo | None = None
    dates: str | None = None
    decimal: str | None = None
    stamped: str | None = None
    columns: tuple[str, ...] = ()
    symbol: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForeignBars:
    """The bars of one file in the order of its rows, and what it was recognized as."""

    path: Path
    opened: HourArray
    numbers: Mapping[str, FloatArray]
    layout: str
    stamps: str
    decimal_comma: bool
    ignored: tuple[str, ...]
    naive: bool
    well_known: bool = False
    other_dollar: str | None = None  # the currency of its prices, where it is not that of the ticker
    # What it is called, where that is neither the ticker nor its like in other dollars.
    other_pair: str | None = None

    @property
    def order(self) -> str:
        """How the rows are ordered."""
        steps = np.diff(self.opened)
        if len(steps) and (steps <= 0).all():
            return "newest first"
        return "oldest first" if (steps >= 0).all() else "in no order"

    def describe(self) -> str:
        """Return in one line what the file was recognized as."""
        parts = [self.layout, self.stamps, *(["decimal commas"] if self.decimal_comma else []), self.order]
        line = ", ".join([*parts, f"{len(self.opened):,} bars"])
        shown = self.ignored and not self.well_known
        return line + (f" (columns left out: {', '.join(self.ignored)})" if shown else "")


def read_foreign(path: Path, ticker: Ticker, reading: Reading) -> ForeignBars:
    """Read a file of hourly bars of `ticker`, whatever its layout.

    Raises
    ------
    DataError
        If it holds none, or can be read in several ways between which `reading` does not decide.
    UsageError
        If `reading` contradicts the file, or what reads such a file is not installed.
    """
    head = read_raw(path, rows=_ROWS_LOOKED_AT)
    start = _convert(head, ticker, reading)
    return (
        start
        if len(head.cells) < _ROWS_LOOKED_AT
        else _convert(read_raw(path, rows=MAX_ROWS), ticker, reading)
    )


def _convert(table: RawTable, ticker: Ticker, reading: Reading) -> ForeignBars:
    layout = with_names(table, reading.columns) if reading.columns else recognize(table)
    table, names, called = rows_of_ticker(table, layout.columns, ticker, reading.symbol)
    places = find_columns(table, names, ticker)
    stamps = parse_stamps(table.path, _stamp_texts(table, places), dates=reading.dates, tz=reading.tz)
    if stamps.naive and places.local:
        raise _nameless_zone(table, names[places.stamp[0]])
    seconds = to_opens(table.path, stamps.seconds, stamped=reading.stamped, named_close=places.closes)
    require_hourly(table.path, seconds, naive=stamps.naive)
    values, decimal_comma = parse_numbers(
        table.path,
        {name: table.column(places.numbers[name]) for name in COLUMNS},
        decimal=reading.decimal,
        delimiter=table.delimiter,
    )
    opened = seconds // HOUR
    _require_bars(table.path, opened, values)
    return ForeignBars(
        path=table.path,
        opened=opened,
        numbers=values,
        layout=layout.name,
        stamps=stamps.kind + (", stamped at the close" if reading.stamped == "close" else ""),
        decimal_comma=decimal_comma,
        ignored=places.ignored,
        naive=stamps.naive,
        well_known=layout.name not in {NAMED, AS_NAMED},
        other_dollar=other_dollar(called, ticker),
        other_pair=other_pair(called, ticker),
    )


def _nameless_zone(table: RawTable, name: str) -> DataError:
    return DataError(
        f"{table.path}: the column {name!r} holds local time, of no zone that is named.",
        expected="stamps in UTC, with an offset, or of a zone that is named.",
        remedy="add --tz ZONE, for example --tz Europe/Berlin.",
    )


def _stamp_texts(table: RawTable, places: ColumnPlaces) -> pd.Series[str]:
    texts = table.column(places.stamp[0])
    for place in places.stamp[1:]:
        texts = texts.str.strip() + " " + table.column(place).str.strip()
    return texts


def _require_bars(path: Path, opened: Seconds, values: Mapping[str, FloatArray]) -> None:
    broken = first_broken(price_rules(values))
    if broken is not None:
        row, rule = broken
        shown = ", ".join(f"{name} {values[name][row]:g}" for name in COLUMNS)
        raise DataError(
            f"{path}, row {row + 1} is not a bar: {to_iso(int(opened[row]))}, {shown}.",
            expected=f"{rule}.",
            remedy="correct or remove that row; nothing was written.",
        )
