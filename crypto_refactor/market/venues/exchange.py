"""An exchange as ccxt sees it: its pairs, and one page of hourly bars; its errors become the tool's own."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeVar

from crypto_refactor.errors import (
    CryptoRefactorError,
    DataError,
    SourceFailedError,
    UnavailableError,
    UsageError,
)

T = TypeVar("T")

HOUR_MS = 3_600_000
_TIMEFRAME = "1h"
_DEFAULT_PAGE = 100
"""Bars to ask for at a time where nothing says how many the exchange gives."""
_SHOWN = 160
"""Characters of an exchange's own words in a message."""


class Exchange:
    """One exchange, asked without keys.

    Parameters
    ----------
    api : ccxt.Exchange
        It keeps the exchange's limit of requests by waiting.

    Attributes
    ----------
    name : str
        As ccxt calls it, for example ``kraken``.
    page : int
        How many bars are asked for at a time.
    """

    def __init__(self, api: Any) -> None:
        self.name = str(api.id)
        self.page = _page(api)
        self._api = api

    def pairs(self) -> frozenset[str]:
        """Return the pairs of its spot market, such as ``BTC/USD``.

        Raises
        ------
        SourceFailedError
            If it does not answer now; asking again may help.
        DataError
            If it does not answer such a request at all.
        """
        markets = self._asked(self._api.load_markets, "its list of pairs")
        return frozenset(symbol for symbol, market in markets.items() if market.get("spot"))

    def rows(self, pair: str, since: int) -> list[Any]:
        """Return up to `page` rows of hourly bars, asked from the hour `since` on, as they came.

        Raises
        ------
        UnavailableError
            If it does not offer `pair`.
        SourceFailedError, DataError
            As `pairs`.
        """
        rows = self._asked(
            lambda: self._api.fetch_ohlcv(pair, _TIMEFRAME, since=since * HOUR_MS, limit=self.page),
            f"its bars of {pair}",
        )
        if not isinstance(rows, list):
            raise _failed(
                SourceFailedError, self.name, f"its bars of {pair}", f"{type(rows).__name__}, no list"
            )
        return rows

    def _asked(self, request: Callable[[], T], subject: str) -> T:
        import ccxt

        try:
            return request()
        except ccxt.BadSymbol as error:
            raise UnavailableError(
                f"{self.name} did not give {subject}: it does not offer that pair.",
                expected="a pair of its spot market.",
                remedy="correct --ticker.",
            ) from error
        except ccxt.OperationFailed as error:  # the network, a time-out, too many requests, maintenance
            raise _failed(SourceFailedError, self.name, subject, _words(error)) from error
        except ccxt.BaseError as error:
            raise _failed(DataError, self.name, subject, _words(error)) from error
        except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
            # ccxt reads answers without checking them first.
            why = f"an answer that cannot be read ({type(error).__name__})"
            raise _failed(SourceFailedError, self.name, subject, why) from error


def open_exchange(name: str) -> Exchange:
    """Open an exchange by ccxt's name for it; nothing is requested yet.

    Raises
    ------
    UsageError
        If ccxt is not installed or does not know it, or the exchange has no hourly bars.
    """
    try:
        import ccxt
    except ImportError as error:
        raise UsageError(
            "--from asks an exchange through ccxt, which is not installed.",
            expected="ccxt, which knows how each exchange is asked.",
            remedy="install it with `pip install 'crypto-refactor[venues]'`, or convert files with `crypto-refactor import`.",
        ) from error
    if name not in ccxt.exchanges:
        close = difflib.get_close_matches(name, ccxt.exchanges, n=3, cutoff=0.6)
        raise UsageError(
            f"There is no exchange {name!r}" + (f": did you mean {' or '.join(close)}?" if close else "."),
            expected=f"one of the {len(ccxt.exchanges)} that ccxt knows, such as coinbase, kraken or binance.",
            remedy="correct --from.",
        )
    # A proxy of the environment is used, as by the rest of the tool.
    api = getattr(ccxt, name)({"enableRateLimit": True, "requests_trust_env": True})
    if api.has.get("fetchOHLCV") is not True or _TIMEFRAME not in (api.timeframes or {}):
        raise UsageError(
            f"{name} gives no hourly bars.",
            expected="an exchange that does.",
            remedy="choose another exchange with --from.",
        )
    return Exchange(api)


def _page(api: Any) -> int:
    features = getattr(api, "features", None) or {}
    found = ((features.get("spot") or {}).get("fetchOHLCV") or {}).get("limit")
    return found if isinstance(found, int) and found > 0 else _DEFAULT_PAGE


def _words(error: Exception) -> str:
    """Return an exchange's own words in one line, cut short."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _failed(kind: type[CryptoRefactorError], name: str, subject: str, why: str) -> CryptoRefactorError:
    return kind(
        f"{name} did not give {subject}: {why}.",
        expected="an answer with hourly bars.",
        remedy="try again later, or choose another exchange with --from.",
    )
