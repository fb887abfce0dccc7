"""Alpaca's market data as bars and prices, and the errors for responses that hold neither."""

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import numpy as np

from crypto_refactor.errors import DataError, UnavailableError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.hours import floor_hour, parse_hour, parse_instant, to_iso
from crypto_refactor.market.quality import STALE_HOURS
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.transport import HttpStatusError, RequestFailedError, UnreadableResponseError

ALPACA = "alpaca"
DELISTED_AFTER_HOURS = 72
"""A ticker without a bar for this long before the requested end counts as not offered."""
_JSON_KEYS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_PARSE_ERRORS = (TypeError, KeyError, ValueError, AttributeError, OverflowError)
_UNKNOWN_SYMBOL = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})


def request_error(subject: str, failure: RequestFailedError, *, attempts: int) -> DataError:
    """Return the error for a request for `subject` that failed after at most `attempts` attempts."""
    if isinstance(failure, HttpStatusError):
        return _status_error(subject, failure)
    if isinstance(failure, UnreadableResponseError):
        return unreadable(subject, failure.text)
    return DataError(
        f"The request to Alpaca for {subject} failed: {failure.text}.",
        expected=f"an answer within {attempts} attempts.",
        remedy="check the network, then run the command again; bars already stored were kept.",
    )


def _status_error(subject: str, failure: HttpStatusError) -> DataError:
    status, kind = failure.status, DataError
    expected, remedy = "200.", "try again in a few minutes; bars already stored were kept."
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        expected = "keys that Alpaca accepts, or none."
        remedy = "correct ALPACA_API_KEY and ALPACA_SECRET_KEY, or unset both: bars need no keys."
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        expected = "fewer requests than Alpaca's limit per minute."
        remedy = "wait a minute, then run the command again; keys raise the limit."
    elif status in _UNKNOWN_SYMBOL and "symbol" in failure.text.lower():
        kind, expected = UnavailableError, "a ticker Alpaca offers."
        remedy = "leave that ticker out, or use another source."
    what = f"Alpaca answered the request for {subject} with {status}: {failure.text!r}."
    return kind(what, expected=expected, remedy=remedy)


def parse_bars(ticker: Ticker, rows: Any, start: int, end: int, *, redact: Callable[[str], str]) -> Bars:
    """Parse the bars of one ticker that opened in ``[start, end)``; others are left out.

    Parameters
    ----------
    ticker : Ticker
        The pair.
    rows : list of dict
        The decoded JSON: ``t`` (when the bar opened) and ``o``, ``h``, ``l``, ``c``, ``v``.
    start, end : int
        The range, in hours.
    redact : callable
        Makes any text fit for a message.

    Raises
    ------
    DataError
        If a row is not a bar, or does not open on the full hour.
    """
    opened: list[int] = []
    values: list[list[float]] = []
    row = rows
    try:
        if not isinstance(rows, list):
            raise TypeError
        for row in rows:
            hour = parse_hour(row["t"])
            if start <= hour < end:
                opened.append(hour)
                values.append([_number(row[_JSON_KEYS[name]]) for name in COLUMNS])
    except _PARSE_ERRORS as error:
        raise unreadable(f"{ticker} bars", redact(str(row))) from error
    table = np.array(values, dtype=np.float64).reshape(-1, len(COLUMNS)).T
    columns: dict[str, Any] = dict(zip(COLUMNS, table, strict=True))
    return Bars(ticker=ticker, source=ALPACA, opened=np.array(opened, dtype=np.int64), **columns)


def parse_price(ticker: Ticker, trade: Any, hour: int, *, redact: Callable[[str], str]) -> LatestPrice:
    """Parse the latest trade; none in the 72 h before `hour` means that the ticker is unavailable."""
    return _parse_latest(ticker, trade, hour, "trade", lambda row: _number(row["p"]), redact)


def parse_quote(ticker: Ticker, quote: Any, hour: int, *, redact: Callable[[str], str]) -> LatestPrice:
    """Parse the latest quote; none in the 72 h before `hour` means that the ticker is unavailable."""
    return _parse_latest(ticker, quote, hour, "quote", _middle, redact)


def _middle(quote: Any) -> float:
    bid, ask = _number(quote["bp"]), _number(quote["ap"])
    if not 0 < bid <= ask:
        raise ValueError
    return (bid + ask) / 2


def _parse_latest(
    ticker: Ticker,
    row: Any,
    hour: int,
    kind: str,
    price_of: Callable[[Any], float],
    redact: Callable[[str], str],
) -> LatestPrice:
    if row is None:
        raise _unavailable(f"Alpaca has no {ticker} {kind}.")
    try:
        price, at = price_of(row), parse_instant(row["t"])
        if not (math.isfinite(price) and price > 0):
            raise ValueError
    except _PARSE_ERRORS as error:
        raise unreadable(f"the latest {ticker} price", redact(str(row))) from error
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if hour - floor_hour(at) > DELISTED_AFTER_HOURS:
        raise _unavailable(f"The last {ticker} {kind} at Alpaca was at {stamp}.")
    return LatestPrice(price=price, at=stamp)


def require_current(bars: Bars, end: int) -> None:
    """Check that the last of `bars`, which reach back 73 h or more, closed close enough to `end`."""
    if not len(bars) or end - bars.closed[-1] > DELISTED_AFTER_HOURS:
        hours = DELISTED_AFTER_HOURS
        raise _unavailable(f"Alpaca has no {bars.ticker} bar in the {hours} h before {to_iso(end)}.")
    last = int(bars.closed[-1])
    if end - last > STALE_HOURS:
        raise DataError(
            f"The last {bars.ticker} bar at Alpaca closed at {to_iso(last)}, {end - last} h before the end.",
            expected=f"a bar that closed at most {STALE_HOURS} h before. Was it delisted or renamed?",
            remedy="try again later if Alpaca has an outage, choose another --end, or leave this ticker out.",
        )


def unreadable(subject: str, text: str) -> DataError:
    """Return the error for a response that is not what Alpaca documents."""
    return DataError(
        f"Alpaca's answer to the request for {subject} cannot be read: {text!r}.",
        expected="the documented JSON; bars open on the full hour.",
        remedy="try again in a few minutes; nothing of this answer was stored.",
    )


def _unavailable(what: str) -> UnavailableError:
    return UnavailableError(
        what,
        expected="a ticker Alpaca offers at that time.",
        remedy="leave this ticker out, choose another --end, or use another source.",
    )


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)
