"""Bars of several files, and of the one that is there already, as one series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.conversion.converter import ForeignBars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.local_time import local_text, skipped_hours, some, zones_that_repeat
from crypto_refactor.market.ticker import Ticker

FIRST, LAST = "first", "last"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergedBars:
    """One series, and how many rows said again what another had said."""

    bars: Bars
    repeated: int


def merge(ticker: Ticker, parts: Sequence[ForeignBars], *, source: str, keep: str | None) -> MergedBars:
    """Join the rows of several files, in the order of the files and of their rows.

    Rows of the same hour and with the same values count once; `keep` says which of those with other values
    counts, the ``first`` or the ``last``.

    Raises
    ------
    DataError
        If values differ and `keep` is None.
    """
    opened = np.concatenate([part.opened for part in parts])
    values = np.column_stack([np.concatenate([part.numbers[name] for part in parts]) for name in COLUMNS])
    origin = np.repeat(np.arange(len(parts)), [len(part.opened) for part in parts])
    order = np.argsort(opened, kind="stable")
    opened, values, origin = opened[order], values[order], origin[order]
    again = np.diff(opened, prepend=opened[:1] - 1) == 0
    if keep is None:
        differs = again & (values != np.roll(values, 1, axis=0)).any(axis=1)
        if differs.any():
            row = int(differs.argmax())
            raise _contradiction(
                int(opened[row]), parts[origin[row - 1]], parts[origin[row]], values[row - 1], values[row]
            )
    kept = ~np.append(again[1:], False) if keep == LAST else ~again
    columns = dict(zip(COLUMNS, values[kept].T, strict=True))
    bars = Bars(ticker=ticker, source=source, opened=opened[kept], **columns)
    return MergedBars(bars=bars, repeated=int(again.sum()))


def _contradiction(
    hour: int, one: ForeignBars, other: ForeignBars, first: FloatArray, second: FloatArray
) -> DataError:
    """Return the error of two rows that say different things of one hour."""
    zones = zones_that_repeat(hour) if one.naive and other.path == one.path else ()
    if zones:
        return DataError(
            f"{one.path}: {local_text(hour)} stands twice, on the day when clocks go back in {some(zones)}: local time "
            "without an offset?",
            expected="stamps in UTC, with an offset, or of a zone that is named.",
            remedy=f"add --tz {zones[0]}, or the zone that the stamps are in; if they are UTC, --keep first or last.",
        )
    where = str(one.path) if one.path == other.path else f"{one.path} and {other.path}"
    texts = [", ".join(f"{value:g}" for value in row) for row in (first, second)]
    return DataError(
        f"{where}: two bars of {to_iso(hour)} differ: {texts[0]} and {texts[1]}.",
        expected="the same values wherever an hour is repeated.",
        remedy="say which one counts with --keep first or --keep last (files in the order you name them, what is "
        "there already before them).",
    )


def require_utc(part: ForeignBars) -> None:
    """Refuse stamps without an offset that look like local time.

    Raises
    ------
    DataError
        If the hours that clocks skip are missing.
    """
    found = skipped_hours(np.unique(part.opened)) if part.naive else None
    if found is None:
        return
    hours, zones = found
    raise DataError(
        f"{part.path}: {', '.join(map(local_text, hours))} {'is' if len(hours) == 1 else 'are'} missing, when clocks "
        f"go forward in {some(zones)}: local time without an offset?",
        expected="stamps in UTC, with an offset, or of a zone that is named.",
        remedy=f"add --tz {zones[0]}, or the zone that the stamps are in; --tz UTC if they are UTC.",
    )
