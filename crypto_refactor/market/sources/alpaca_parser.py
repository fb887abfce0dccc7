"""Reading what Alpaca answered: its JSON to bars and prices, or an error that shows what came instead."""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import numpy as np

from crypto_refactor.errors import DataError, UnavailableError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.hours import floor_hour, parse_instant, to_datetime, to_iso
from crypto_refactor.market.quality import STALE_HOURS
from crypto_refactor.market.sources.base import LatestPrice

if TYPE_CHECKING:
    from collections.abc import Callable

    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.transport.failures import ErrorResponse

ALPACA = "alpaca"
GONE_HOURS = 72
"""A ticker without a bar for this long before the asked end counts as not offered."""
_LETTERS = {"open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"}
_NOT_READ = (TypeError, KeyError, ValueError, AttributeError, OverflowError)
_UNKNOWN = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})


@dataclass(frozen=True, slots=True, kw_only=True)
class BarsReporter:
    """Words what goes wrong while bars or prices are asked for.

    Attributes
    ----------
    subject : str
        What is asked for.
    attempts : int
        How often, at most.
    """

    subject: str
    attempts: int

    def unreachable(self, reason: str) -> DataError:
        """Return the error for no answer."""
        return DataError(
            f"Alpaca could not be asked for {self.subject}: {reason}.",
            expected=f"an answer within {self.attempts} attempts.",
            remedy="check the network, then run the command again; bars already stored were kept.",
        )

    def refused(self, refusal: ErrorResponse) -> DataError:
        """Return the error for an answer that is not 2xx."""
        status, text = refusal.status, refusal.text
        what = f"Alpaca answered the request for {self.subject} with {status}: {text!r}."
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            expected = "200: keys Alpaca accepts, or none."
            remedy = "correct ALPACA_API_KEY and ALPACA_SECRET_KEY, or unset both: bars need no keys."
        elif status == HTTPStatus.TOO_MANY_REQUESTS:
            expected = "fewer requests than Alpaca's limit per minute."
            remedy = "wait a minute, then run the command again; keys raise the limit."
        elif status in _UNKNOWN and "symbol" in text.lower():
            return UnavailableError(
                what,
                expected="a ticker Alpaca offers.",
                remedy="leave that ticker out, or use another source.",
            )
        else:
            expected = "200."
            remedy = "try again in a few minutes; bars already stored were kept."
        return DataError(what, expected=expected, remedy=remedy)


def parse_bars(ticker: Ticker, rows: Any, start: int, end: int, *, shown: Callable[[str], str]) -> Bars:
    """Read the bars of one ticker that opened in ``[start, end)``; others are left out.

    Parameters
    ----------
    ticker : Ticker
        The pair.
    rows : list of dict
        The decoded JSON: ``t`` (when the bar opened) and ``o``, ``h``, ``l``, ``c``, ``v``.
    start, end : int
        The range, in hours.
    shown : callable
        Makes any text fit for a message.

    Raises
    ------
    DataError
        If a row is no bar, or opens between two hours.
    """
    if not isinstance(rows, list):
        raise unreadable(f"{ticker} bars", shown(str(rows)))
    opened: list[int] = []
    values: list[list[float]] = []
    for row in rows:
        hour = _opened(ticker, row, shown)
        if start <= hour < end:
            opened.append(hour)
            values.append(_values(ticker, row, shown))
    table = np.array(values, dtype=np.float64).reshape(-1, len(COLUMNS)).T
    columns: dict[str, Any] = dict(zip(COLUMNS, table, strict=True))
    return Bars(ticker=ticker, source=ALPACA, opened=np.array(opened, dtype=np.int64), **columns)


def parse_price(ticker: Ticker, trade: Any, hour: int, *, shown: Callable[[str], str]) -> LatestPrice:
    """Read the latest trade, as it was known at `hour`.

    Raises
    ------
    UnavailableError
        If there is none, or it is more than 72 h old.
    DataError
        If it is no trade.
    """
    if trade is None:
        raise _gone(f"Alpaca knows no {ticker} trade.")
    try:
        price, at = _number(trade["p"]), parse_instant(trade["t"])
    except _NOT_READ as error:
        raise unreadable(f"the latest {ticker} price", shown(str(trade))) from error
    if not (math.isfinite(price) and price > 0):
        raise unreadable(f"the latest {ticker} price", shown(str(trade)))
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    if hour - floor_hour(at) > GONE_HOURS:
        raise _gone(f"The last {ticker} trade at Alpaca was at {stamp}.")
    return LatestPrice(price=price, at=stamp)


def require_current(bars: Bars, end: int) -> None:
    """Insist that the last of `bars`, which reach back 73 h or more, closed close enough to `end`.

    Raises
    ------
    UnavailableError
        If it closed more than 72 h before `end`, or there is none.
    DataError
        If it closed more than 3 h before `end`.
    """
    if not len(bars) or end - bars.closed[-1] > GONE_HOURS:
        raise _gone(f"Alpaca has no {bars.ticker} bar in the {GONE_HOURS} h before {to_iso(end)}.")
    last = int(bars.closed[-1])
    if end - last > STALE_HOURS:
        raise DataError(
            f"The last {bars.ticker} bar at Alpaca closed at {to_iso(last)}, {end - last} h before the end.",
            expected=f"a bar that closed at most {STALE_HOURS} h before. Was it delisted or renamed?",
            remedy="try again later if Alpaca has an outage, choose another --end, or leave this ticker out.",
        )


def unreadable(subject: str, text: str) -> DataError:
    """Return the error for an answer that is not what Alpaca documents."""
    return DataError(
        f"Alpaca's answer to the request for {subject} cannot be read: {text!r}.",
        expected="the documented JSON.",
        remedy="try again in a few minutes; nothing of this answer was stored.",
    )


def _gone(what: str) -> UnavailableError:
    return UnavailableError(
        what,
        expected="a ticker Alpaca offers at that time.",
        remedy="leave this ticker out, choose another --end, or use another source.",
    )


def _opened(ticker: Ticker, row: Any, shown: Callable[[str], str]) -> int:
    try:
        instant = parse_instant(row["t"])
    except _NOT_READ as error:
        raise unreadable(f"{ticker} bars", shown(str(row))) from error
    hour = floor_hour(instant)
    if to_datetime(hour) != instant:
        raise DataError(
            f"A {ticker} bar from Alpaca opens between two hours: {shown(str(row))}.",
            expected="bars that open on the full hour.",
            remedy="try again in a few minutes; nothing of this answer was stored.",
        )
    return hour


def _values(ticker: Ticker, row: dict[str, Any], shown: Callable[[str], str]) -> list[float]:
    try:
        return [_number(row[_LETTERS[name]]) for name in COLUMNS]
    except _NOT_READ as error:
        raise unreadable(f"{ticker} bars", shown(str(row))) from error


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    return float(value)
