"""Alpaca's market data as bars and prices, and the errors for responses that hold neither."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np

from crypto_refactor.errors import (
    DataError,
    KeysRefusedError,
    SourceFailedError,
    SourceUnreachableError,
    UnavailableError,
)
from crypto_refactor.market.bars import COLUMNS, Bars, price_rules
from crypto_refactor.market.hours import floor_hour, parse_hour, parse_instant, to_iso
from crypto_refactor.market.quality import STALE_HOURS
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.transport import (
    HttpStatusError,
    NoConnectionError,
    RequestFailedError,
    UnreadableResponseError,
)

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
    kind, what = SourceFailedError, f"The request to Alpaca for {subject} failed: {failure.text}."
    if isinstance(failure, NoConnectionError):
        kind, what = SourceUnreachableError, f"Alpaca cannot be reached: {failure.text}."
    return kind(
        what,
        expected=f"an answer, asked for {attempts} times." if attempts > 1 else "an answer.",
        remedy="check the network (bars already stored were kept), or work without one: "
        "--source sample has simulated bars, --source files --data-dir FOLDER your own.",
    )


def _status_error(subject: str, failure: HttpStatusError) -> DataError:
    status = failure.status
    kind: type[DataError] = SourceFailedError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else DataError
    expected, remedy = "200.", "try again in a few minutes; bars already stored were kept."
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        kind, expected = KeysRefusedError, "keys that Alpaca accepts, or none."
        remedy = "correct ALPACA_API_KEY and ALPACA_SECRET_KEY, or unset both: bars need no keys."
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        kind, expected = SourceFailedError, "fewer requests than Alpaca's limit per minute."
        remedy = "wait a minute, then run the command again; keys raise the limit."
    elif status in _UNKNOWN_SYMBOL and "symbol" in failure.text.lower():
        kind, expected = UnavailableError, "a ticker Alpaca offers."
        remedy = "leave that ticker out, or use another source."
    what = f"Alpaca answered the request for {subject} with {status}: {failure.text!r}."
    return kind(what, expected=expected, remedy=remedy)


@dataclass(frozen=True, slots=True)
class Defect:
    """A row of an answer that is not a bar.

    `opened` is the hour it stands for, None where that cannot be told or the hour is not lost.
    """

    opened: int | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ParsedBars:
    """The bars of one answer, and the rows that were left out of it."""

    bars: Bars
    defects: tuple[Defect, ...]


def parse_bars(
    ticker: Ticker, rows: Any, start: int, end: int, *, redact: Callable[[str], str]
) -> ParsedBars:
    """Parse the bars of one ticker that opened in ``[start, end)``; others are left out.

    A defective row costs its own bar only: one that is not a bar, that stands twice with different values, or that
    lies between two hours.  Rows may come in any order.

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
    SourceFailedError
        If it is no list, or nothing of an answer for more than one hour can be read.
    """
    if not isinstance(rows, list):
        raise unreadable(f"{ticker} bars", redact(str(rows)))
    defects: list[Defect] = []
    found: dict[int, list[list[float]]] = {}
    readable, latest, ordered = 0, None, True
    for row in rows:
        try:
            hour = parse_hour(row["t"])
            values = [_number(row[_JSON_KEYS[name]]) for name in COLUMNS] if start <= hour < end else None
        except _PARSE_ERRORS:
            defects.append(Defect(_hour_of(row), f"{redact(str(row))} is not a bar"))
            continue
        ordered, latest = ordered and (latest is None or hour >= latest), hour
        if values is None:
            readable += 1
        else:
            found.setdefault(hour, []).append(values)
    bars, not_bars = _bars_of(ticker, found)
    defects += not_bars
    if defects and not readable and not len(bars) and end - start > 1:
        raise unreadable(f"{ticker} bars", defects[0].text)
    if not ordered:
        defects.append(Defect(None, "its rows are not in time order and were sorted"))
    return ParsedBars(bars=bars, defects=tuple(defects))


def _bars_of(ticker: Ticker, found: Mapping[int, list[list[float]]]) -> tuple[Bars, list[Defect]]:
    """Return the bars among what was received for each hour, and what is none."""
    defects, opened = [], sorted(found)
    for hour in opened:
        if len(found[hour]) > 1:
            same = all(values == found[hour][0] for values in found[hour])
            outcome = "and was kept once" if same else "with different values"
            defects.append(Defect(None if same else hour, f"{to_iso(hour)} stands twice {outcome}"))
    lost = {defect.opened for defect in defects}
    opened = [hour for hour in opened if hour not in lost]
    table = np.array([found[hour][0] for hour in opened], dtype=np.float64).reshape(-1, len(COLUMNS)).T
    columns: dict[str, Any] = dict(zip(COLUMNS, table, strict=True))
    valid = np.ones(len(opened), dtype=np.bool_)
    for rule, kept in price_rules(columns).items():
        for row in np.flatnonzero(valid & ~kept).tolist():
            values = ", ".join(f"{name} {float(columns[name][row])!r}" for name in COLUMNS)
            defects.append(Defect(opened[row], f"{to_iso(opened[row])} breaks '{rule}': {values}"))
        valid &= kept
    kept_columns: dict[str, Any] = {name: column[valid] for name, column in columns.items()}
    hours = np.array(opened, dtype=np.int64)[valid]
    return Bars(ticker=ticker, source=ALPACA, opened=hours, **kept_columns), defects


def _hour_of(row: Any) -> int | None:
    """Return the hour that a defective row stands for, as far as that can be told."""
    try:
        return floor_hour(parse_instant(row["t"]))
    except _PARSE_ERRORS:
        return None


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


def unreadable(subject: str, text: str) -> SourceFailedError:
    """Return the error for a response that is not what Alpaca documents."""
    return SourceFailedError(
        f"Alpaca's answer to the request for {subject} cannot be read: {text!r}.",
        expected="the documented JSON; bars open on the full hour.",
        remedy="try again in a few minutes; nothing of this answer was stored.",
    )


def contradicts(ticker: Ticker, known: str) -> SourceFailedError:
    """Return the error for an answer without any bar of a ticker of which something recent is `known`."""
    return SourceFailedError(
        f"Alpaca's answer to the request for {ticker} bars holds none, but {known}.",
        expected="at least the bars that are known already.",
        remedy="try again in a few minutes; nothing was concluded from this answer.",
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
