"""The layouts that people have, each known by its own marks; a file without names is known by its numbers or refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.conversion.names import normalized
from crypto_refactor.market.conversion.raw_table import RawTable

NAMED, AS_NAMED = "named columns", "columns as you name them"
"""What is no layout of anybody known."""
_KLINES: Final = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time"),
    *("quote_volume", "trades", "taker_volume", "taker_quote_volume", "ignore"),
)
_EPOCH: Final = r"\s*[0-9]{9,19}(\.[0-9]*)?\s*"
_SECONDS: Final = r"\s*[0-9]{9,10}(\.[0-9]*)?\s*"
_MILLISECONDS: Final = r"\s*[0-9]{12,13}(\.[0-9]*)?\s*"
_WHOLE: Final = r"\s*[0-9]+\s*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What a file is, in words, and the names of its columns."""

    name: str
    columns: tuple[str, ...]


def recognize(table: RawTable) -> Layout:
    """Return the layout of a table.

    Raises
    ------
    DataError
        If it has no names, and its numbers do not tell which column is what.
    """
    if table.names is not None:
        return Layout(name=_named(table), columns=table.names)
    for layout, fits in _NAMELESS:
        if table.width == len(layout.columns) and fits(table):
            return layout
    raise DataError(
        f"{table.path} has {table.width} columns without names.",
        expected="a header, or the columns of Binance, Kraken or freqtrade.",
        remedy="name each column in its order, `_` for those to leave out: --columns timestamp,open,high,low,close,volume"
        + ",_" * max(0, table.width - 6)
        + " (Coinbase: --columns timestamp,low,high,open,close,volume).",
    )


def with_names(table: RawTable, names: tuple[str, ...]) -> Layout:
    """Return the layout that the user has named.

    Raises
    ------
    DataError
        If it has another number of columns than the file.
    """
    if len(names) != table.width:
        raise DataError(
            f"--columns names {len(names)} columns, and {table.path} has {table.width}.",
            expected="a name for each column, `_` for those to leave out.",
            remedy="correct --columns.",
        )
    return Layout(name=AS_NAMED, columns=names)


def _named(table: RawTable) -> str:
    """Return what the names of the columns are known from."""
    names = table.names or ()
    keys = [normalized(name) for name in names]
    found = set(keys)
    volumes = [key for key in keys if key.startswith("volume") and key != "volume"]
    if "cryptodatadownload" in table.comment.lower() or ({"date", "symbol"} <= found and volumes):
        return "CryptoDataDownload"
    if {"opentime", "closetime"} <= found:
        return "Binance klines"
    if {"symbol", "timestamp", "vwap"} <= found:
        return "alpaca-py"
    if table.symbols or (names[0] == "Datetime" and "Close" in names):
        return "yfinance"
    prices = tuple(key for key in keys if key in COLUMNS)[:4]
    if prices == ("low", "high", "open", "close"):
        return "Coinbase candles"
    if keys[:5] == ["time", "open", "high", "low", "close"]:
        return "TradingView"
    if keys == ["date", *COLUMNS]:
        return "freqtrade"
    if keys == ["timestamp", *COLUMNS] and table.delimiter == ",":
        return "plain CSV"
    return NAMED


def _all(table: RawTable, place: int, pattern: str) -> bool:
    return bool(table.column(place).str.fullmatch(pattern).all())


def _is_klines(table: RawTable) -> bool:
    """Return whether the seventh column is the last moment of the bar that the first one opens."""
    if not (_all(table, 0, _EPOCH) and _all(table, 6, _EPOCH)):
        return False
    lasts = table.column(6).str.strip().str.replace(r"\.0*$", "", regex=True)
    return bool((lasts.str.endswith("999") | lasts.str.endswith("59")).all())


def _is_kraken(table: RawTable) -> bool:
    return _all(table, 0, _SECONDS) and _all(table, table.width - 1, _WHOLE)


def _is_freqtrade(table: RawTable) -> bool:
    return not table.delimiter and _all(table, 0, _MILLISECONDS)


def _is_coinbase(table: RawTable) -> bool:
    """Return whether a JSON list is in the order of Coinbase, and cannot be in the usual one."""
    if table.delimiter or not _all(table, 0, _SECONDS):
        return False
    first, second, third, fourth = (table.column(place).astype(float) for place in range(1, 5))
    usual = (third <= first) & (third <= fourth) & (second >= first) & (second >= fourth)
    coinbase = (first <= third) & (first <= fourth) & (second >= third) & (second >= fourth)
    return bool(coinbase.all()) and not bool(usual.all())


_BARS: Final = ("timestamp", *COLUMNS)
_NAMELESS: Final[tuple[tuple[Layout, Callable[[RawTable], bool]], ...]] = (
    (Layout(name="Binance klines", columns=_KLINES), _is_klines),
    (Layout(name="Binance klines", columns=_KLINES[:-1]), _is_klines),
    (Layout(name="Kraken OHLCVT", columns=(*_BARS, "trades")), _is_kraken),
    (
        Layout(
            name="Kraken OHLC",
            columns=("timestamp", "open", "high", "low", "close", "vwap", "volume", "count"),
        ),
        _is_kraken,
    ),
    (Layout(name="freqtrade or ccxt", columns=_BARS), _is_freqtrade),
    (
        Layout(name="Coinbase candles", columns=("timestamp", "low", "high", "open", "close", "volume")),
        _is_coinbase,
    ),
)
