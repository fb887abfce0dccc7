"""Which rows or columns of a file belong to the ticker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from crypto_refactor.errors import DataError
from crypto_refactor.market.conversion.names import SYMBOLS, normalized
from crypto_refactor.market.conversion.raw_table import RawTable
from crypto_refactor.market.ticker import Ticker

_ALSO_CALLED: Final = {"btc": ("xbt", "xxbt")}


def rows_of_ticker(
    table: RawTable, names: Sequence[str], ticker: Ticker, symbol: str | None
) -> tuple[RawTable, tuple[str, ...]]:
    """Return the part of a table that belongs to `ticker`, or to `symbol` where one is given, and its names.

    Raises
    ------
    DataError
        If the table names symbols, and none of them is that.
    """
    place = next((place for place, name in enumerate(names) if normalized(name) in SYMBOLS), None)
    if table.symbols:
        chosen = _chosen(table.path, table.symbols[1:], ticker, symbol)
        kept = [0, *(at for at in range(1, table.width) if table.symbols[at] == chosen)]
        return replace(table, cells=table.cells.iloc[:, kept]), tuple(names[at] for at in kept)
    if place is None and symbol is not None:
        raise DataError(
            f"--symbol is {symbol!r}, and {table.path} names no symbols.",
            expected="--symbol for a file with a column of symbols.",
            remedy="leave out --symbol.",
        )
    if place is None:
        return table, tuple(names)
    column = table.column(place).str.strip()
    chosen = _chosen(table.path, column.unique().tolist(), ticker, symbol)
    return replace(table, cells=table.cells[column == chosen].reset_index(drop=True)), tuple(names)


def _chosen(path: Path, symbols: Sequence[str], ticker: Ticker, symbol: str | None) -> str:
    found = list(dict.fromkeys(symbols))
    if symbol is not None and symbol in found:
        return symbol
    fitting = [name for name in found if normalized(name) in _spellings(ticker)] if symbol is None else []
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    raise DataError(
        f"{path} holds bars of {shown}, which is not {symbol or ticker}.",
        expected=f"bars of {ticker}.",
        remedy=f"correct --ticker, or say which of them to take as {ticker}: --symbol {found[0]}.",
    )


def _spellings(ticker: Ticker) -> set[str]:
    base, quote = ticker.base.lower(), ticker.quote.lower()
    bases = (base, *_ALSO_CALLED.get(base, ()))
    return {name + money for name in bases for money in (quote, f"z{quote}")}
