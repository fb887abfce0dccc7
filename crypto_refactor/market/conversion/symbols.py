"""Which rows or columns of a file belong to the ticker, and whether its name says another pair."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from crypto_refactor.errors import DataError
from crypto_refactor.market.conversion.names import COINS, CURRENCIES, SYMBOLS, normalized
from crypto_refactor.market.conversion.raw_table import RawTable
from crypto_refactor.market.ticker import Ticker

_ALSO_CALLED: Final = {"btc": ("xbt", "xxbt")}
_DOLLARS: Final = frozenset({"USD", "USDT", "USDC", "BUSD", "FDUSD", "TUSD", "DAI"})
"""Quotes that are close enough to take one for another, if it is said."""


def rows_of_ticker(
    table: RawTable, names: Sequence[str], ticker: Ticker, symbol: str | None
) -> tuple[RawTable, tuple[str, ...], str | None]:
    """Return the part of a table that belongs to `ticker`, or to `symbol` where one is given, its names, and what it is called.

    The table says what it is called in a column of symbols, or above its columns; else its file may, in its name.

    Raises
    ------
    DataError
        If the table or its file names symbols, and none of them is that.
    """
    place = next((place for place, name in enumerate(names) if normalized(name) in SYMBOLS), None)
    if table.symbols:
        chosen = _chosen(table.path, table.symbols[1:], ticker, symbol)
        kept = [0, *(at for at in range(1, table.width) if table.symbols[at] == chosen)]
        return replace(table, cells=table.cells.iloc[:, kept]), tuple(names[at] for at in kept), chosen
    if place is not None:
        column = table.column(place).str.strip()
        chosen = _chosen(table.path, column.unique().tolist(), ticker, symbol)
        return (
            replace(table, cells=table.cells[column == chosen].reset_index(drop=True)),
            tuple(names),
            chosen,
        )
    pairs = _pairs_in(table.path.name, ticker)
    if pairs:
        return table, tuple(names), _chosen(table.path, pairs, ticker, symbol, verb="is named after")
    if symbol is not None:
        raise DataError(
            f"--symbol is {symbol!r}, and {table.path} names no symbols.",
            expected="--symbol for a file with a column of symbols, or with a pair in its name.",
            remedy="leave out --symbol.",
        )
    return table, tuple(names), None


def other_dollar(symbol: str | None, ticker: Ticker) -> str | None:
    """Return the currency of `symbol` where it is another kind of dollar than that of `ticker`."""
    if symbol is None or ticker.quote not in _DOLLARS or _is(symbol, ticker):
        return None
    return next((quote for quote in sorted(_DOLLARS) if _is(symbol, replace(ticker, quote=quote))), None)


def other_pair(symbol: str | None, ticker: Ticker) -> str | None:
    """Return `symbol` where it clearly names another pair than `ticker`, dollars of another kind aside."""
    if symbol is None or _is(symbol, ticker) or other_dollar(symbol, ticker) is not None:
        return None
    return symbol


def _pairs_in(name: str, ticker: Ticker) -> list[str]:
    """Return the pairs that the name of a file clearly names: a well-known coin and a currency, joined or side by side."""
    coins, currencies = f"{COINS}|{ticker.base}", f"{CURRENCIES}|{ticker.quote}"
    pattern = rf"(?<![A-Z0-9])(?=((?:{coins})[^A-Z0-9]?(?:{currencies}))(?![A-Z0-9]))"
    return re.findall(pattern, name, re.IGNORECASE)


def _chosen(
    path: Path, symbols: Sequence[str], ticker: Ticker, symbol: str | None, verb: str = "holds bars of"
) -> str:
    found = list(dict.fromkeys(symbols))
    if symbol is not None and symbol in found:
        return symbol
    if symbol is None:
        for fits in (_is, other_dollar):
            fitting = [name for name in found if fits(name, ticker)]
            if len(fitting) == 1:
                return fitting[0]
    shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    raise DataError(
        f"{path} {verb} {shown}, which is not {symbol or ticker}.",
        expected=f"bars of {ticker}.",
        remedy=_remedy(found, ticker),
    )


def _remedy(found: Sequence[str], ticker: Ticker) -> str:
    """Return what to write where none of the symbols `found` is `ticker`."""
    symbol = f"--symbol {shlex.quote(found[0])}"
    if len(found) > 1:
        return f"correct --ticker, or say which of them to take as {ticker}: {symbol}."
    pair = re.fullmatch(rf"({COINS})[^A-Z0-9]?({CURRENCIES})", found[0], re.IGNORECASE)
    named = "correct --ticker" if pair is None else f"write --ticker {pair[1].upper()}/{pair[2].upper()}"
    return f"{named}, or take its bars as {ticker} all the same: {symbol}."


def _is(symbol: str, ticker: Ticker) -> bool:
    base, quote = ticker.base.lower(), ticker.quote.lower()
    bases = (base, *_ALSO_CALLED.get(base, ()))
    return normalized(symbol) in {name + money for name in bases for money in (quote, f"z{quote}")}
