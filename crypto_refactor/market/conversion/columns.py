"""Which column of a file is what, by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.conversion.names import (
    CLOSE_STAMPS,
    LOCAL_STAMPS,
    NAMELESS,
    PRICES,
    STAMPS,
    SYMBOLS,
    VOLUMES,
    normalized,
)
from crypto_refactor.market.conversion.raw_table import RawTable
from crypto_refactor.market.ticker import Ticker


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnPlaces:
    """Where the columns of bars stand; `stamp` holds two places where date and time are apart.

    `closes` says that the only stamp names the close of its bar, `local` that its name speaks of local time.
    """

    stamp: tuple[int, ...]
    closes: bool
    local: bool
    numbers: Mapping[str, int]
    symbol: int | None
    ignored: tuple[str, ...]


def find_columns(table: RawTable, names: Sequence[str], ticker: Ticker) -> ColumnPlaces:
    """Find the columns of bars among `names`.

    Raises
    ------
    DataError
        If one is missing, or there are several to choose from.
    """
    keys = [normalized(name) for name in names]
    values = {role: _one(table, names, keys, role, aliases) for role, aliases in PRICES.items()}
    values["volume"] = _volume(table, names, keys, ticker)
    stamp, closes = _stamp(table, names, keys)
    symbol = next((place for place, key in enumerate(keys) if key in SYMBOLS), None)
    used = {*stamp, *values.values(), symbol}
    ignored = tuple(name for place, name in enumerate(names) if place not in used and name.strip())
    return ColumnPlaces(
        stamp=stamp,
        closes=closes,
        local=keys[stamp[0]] in LOCAL_STAMPS,
        numbers=values,
        symbol=symbol,
        ignored=ignored,
    )


def _one(
    table: RawTable, names: Sequence[str], keys: Sequence[str], role: str, aliases: frozenset[str]
) -> int:
    places = [place for place, key in enumerate(keys) if key in aliases]
    if len(places) != 1:
        what = "no column" if not places else f"{len(places)} columns"
        raise _undecided(table, f"{what} {role} among {', '.join(map(repr, names))}", f"one column {role}")
    return places[0]


def _volume(table: RawTable, names: Sequence[str], keys: Sequence[str], ticker: Ticker) -> int:
    """Return the column of the volume in the base currency; one that names another currency does not count."""
    base = ticker.base.lower()
    own = [place for place, key in enumerate(keys) if key in {f"volume{base}", f"{base}volume", f"vol{base}"}]
    places = own or [place for place, key in enumerate(keys) if key in VOLUMES]
    if not places:
        raise DataError(
            f"{table.path}: no column of the volume in {ticker.base} among {', '.join(map(repr, names))}.",
            expected=f"a column volume, or volume {ticker.base}.",
            remedy="export the file with its volume (TradingView: add the indicator Volume to the chart first), or "
            f"correct --ticker; if another column is the volume in {ticker.base}, name the columns yourself, `_` for "
            "those to leave out: --columns timestamp,open,high,low,close,volume.",
        )
    if len(places) != 1:
        raise _undecided(
            table,
            f"{len(places)} columns of the volume in {ticker.base} among {', '.join(map(repr, names))}",
            f"one column volume, in {ticker.base}",
        )
    return places[0]


def _stamp(table: RawTable, names: Sequence[str], keys: Sequence[str]) -> tuple[tuple[int, ...], bool]:
    """Return the place or places of the stamp, and whether it is that of a close."""
    places = [place for place, key in enumerate(keys) if key in STAMPS | LOCAL_STAMPS]
    closes = [place for place, key in enumerate(keys) if key in CLOSE_STAMPS]
    if not places and not closes:
        places = [place for place, key in enumerate(keys) if key in NAMELESS][:1]
    epochs = [place for place in places if table.column(place).str.fullmatch(r"\s*[0-9]{9,}(\.0*)?\s*").all()]
    if epochs:
        return (epochs[0],), False
    clocks = [
        place
        for place in places
        if table.column(place).str.fullmatch(r"\s*[0-9]{1,2}:[0-9][0-9](:[0-9][0-9])?\s*").all()
    ]
    days = [place for place in places if place not in clocks]
    if len(days) == 1:
        return (days[0], *clocks[:1]), False
    if not days and len(closes) == 1:
        return (closes[0],), True
    if len(days) > 1 and all((table.column(days[0]) == table.column(place)).all() for place in days):
        return (days[0],), False
    what = "no column of time stamps" if not days else f"{len(days)} columns of time stamps"
    raise _undecided(table, f"{what} among {', '.join(map(repr, names))}", "one column such as timestamp")


def _undecided(table: RawTable, what: str, expected: str) -> DataError:
    return DataError(
        f"{table.path}: {what}.",
        expected=f"{expected}, and {', '.join(COLUMNS)} once each.",
        remedy="name the columns yourself, `_` for those to leave out: --columns timestamp,open,high,low,close,volume.",
    )
