"""Hourly bars of an exchange, page by page."""

from __future__ import annotations

import difflib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeVar

import numpy as np

from crypto_refactor.errors import SourceFailedError, UnavailableError
from crypto_refactor.market.bars import COLUMNS, Bars, price_rules
from crypto_refactor.market.hours import Hour, floor_hour, to_iso
from crypto_refactor.market.sources.base import utc_now
from crypto_refactor.market.sources.folder_source import venue_source
from crypto_refactor.market.ticker import Ticker

T = TypeVar("T")

_WAITS = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before each further attempt of a request that failed."""
_SPARE_PAGES = 20
_HOUR_MS = 3_600_000
_FIRST = 350_640
"""2010-01-01: no exchange has older bars."""


class PagedBars(Protocol):
    """What is asked of an exchange; see `Exchange`."""

    name: str
    page: int

    def pairs(self) -> frozenset[str]:
        """Return the pairs it offers."""
        ...

    def rows(self, pair: str, since: int) -> list[Any]:
        """Return a page of hourly bars from an hour on."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReceivedBars:
    """Bars as an exchange gave them, and, in words, the rows that were left out because they are no bars."""

    bars: Bars
    left_out: tuple[str, ...]


class Venue:
    """Bars of an exchange.

    Parameters
    ----------
    exchange : PagedBars
        What is asked.
    clock, sleep : callable
        Return the aware time; wait for a number of seconds.
    """

    def __init__(
        self,
        exchange: PagedBars,
        *,
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name = exchange.name
        self._exchange = exchange
        self._clock = clock
        self._sleep = sleep
        self._pairs: frozenset[str] | None = None

    def now(self) -> Hour:
        """Return the hour up to which bars can have closed."""
        return floor_hour(self._clock())

    def bars(self, ticker: Ticker, start: Hour, end: Hour) -> ReceivedBars:
        """Return the bars that opened at `start` or later and had closed by `end` and by now.

        A page that fails is asked for again, five times at most.

        Raises
        ------
        UnavailableError
            If the exchange does not offer `ticker`, or has no bar of it in that range.
        SourceFailedError
            If it does not answer, or sends what are no hourly bars.
        DataError
            If it refuses such requests.
        """
        self._require_offered(ticker)
        start, end = max(start, _FIRST), min(end, self.now())
        found: dict[int, list[float]] = {}
        defects: dict[int, str] = {}
        since, pages = start, 0
        most = 10 * math.ceil((end - start) / self._exchange.page) + _SPARE_PAGES
        while since < end:
            pages += 1
            if pages > most:
                raise self._unusable(ticker, f"{most} pages did not reach {to_iso(end)}")
            hours = self._keep(ticker, self._page(ticker, since), found, defects)
            newest = max((hour for hour in hours if hour >= since), default=None)
            # An empty page is a stretch without a trade, or one from before the pair was listed.
            since = since + self._exchange.page if newest is None else newest + 1
        return self._received(ticker, found, defects, start, end)

    def _require_offered(self, ticker: Ticker) -> None:
        if self._pairs is None:
            self._pairs = self._patient(self._exchange.pairs)
        if str(ticker) in self._pairs:
            return
        alike = sorted(pair for pair in self._pairs if pair.partition("/")[0] == ticker.base)
        alike = difflib.get_close_matches(str(ticker), alike or list(self._pairs), n=3, cutoff=0.6)
        offers = f"It offers {', '.join(alike)}." if alike else "It offers nothing alike."
        raise UnavailableError(
            f"{self.name} does not offer {ticker}. {offers}",
            expected="a pair of its spot market, with its own quote currency: BTC/USDT is not BTC/USD.",
            remedy="correct --ticker.",
        )

    def _page(self, ticker: Ticker, since: Hour) -> list[Any]:
        """Return a page; one without a row counts only when it comes twice, for some faults look like one."""
        rows = self._patient(lambda: self._exchange.rows(str(ticker), since))
        return rows or self._patient(lambda: self._exchange.rows(str(ticker), since))

    def _patient(self, request: Callable[[], T]) -> T:
        for wait in _WAITS:
            try:
                return request()
            except SourceFailedError:
                self._sleep(wait)
        return request()

    def _keep(
        self, ticker: Ticker, rows: list[Any], found: dict[int, list[float]], defects: dict[int, str]
    ) -> list[int]:
        """Keep the bars of a page, the later of two of an hour, and return the hours of its rows."""
        hours = []
        for row in rows:
            hour = self._hour(ticker, row)
            hours.append(hour)
            values = _numbers(row)
            if values is None:
                defects[hour] = f"the row of {to_iso(hour)} is no bar: {row[1:6]}"
            else:
                defects.pop(hour, None)
                found[hour] = values
        return hours

    def _hour(self, ticker: Ticker, row: Any) -> Hour:
        try:
            hour, rest = divmod(int(row[0]), _HOUR_MS)
            usable = not rest and len(row) >= 6 and 0 <= hour < 10_000_000
        except (TypeError, ValueError, IndexError, KeyError, OverflowError):
            usable = False
        if not usable:
            raise self._unusable(ticker, f"it sent {str(row)[:80]}")
        return hour

    def _received(
        self, ticker: Ticker, found: dict[int, list[float]], defects: dict[int, str], start: Hour, end: Hour
    ) -> ReceivedBars:
        opened = np.array(sorted(hour for hour in found if start <= hour < end), dtype=np.int64)
        if not len(opened) and defects:
            raise self._unusable(ticker, next(iter(defects.values())))
        if not len(opened):
            raise UnavailableError(
                f"{self.name} has no bars of {ticker} between {to_iso(start)} and {to_iso(end)}.",
                expected="at least one hourly bar that has closed.",
                remedy="choose another --end, --hours or --ticker; some exchanges give recent bars only.",
            )
        columns = dict(zip(COLUMNS, np.array([found[hour] for hour in opened.tolist()]).T, strict=True))
        bars = Bars(ticker=ticker, source=venue_source(self.name), opened=opened, **columns)
        left_out = tuple(
            text for hour, text in sorted(defects.items()) if start <= hour < end and hour not in found
        )
        return ReceivedBars(bars=bars, left_out=left_out)

    def _unusable(self, ticker: Ticker, why: str) -> SourceFailedError:
        return SourceFailedError(
            f"{self.name} gives no usable hourly bars of {ticker}: {why}.",
            expected="rows of a full hour in milliseconds, open, high, low, close and volume, in the order of time.",
            remedy="choose another exchange with --from.",
        )


def _numbers(row: Any) -> list[float] | None:
    """Return the five numbers of a row; None where they are no bar."""
    try:
        values = [float(value) for value in row[1:6]]
    except (TypeError, ValueError):
        return None
    columns = {name: np.array([value]) for name, value in zip(COLUMNS, values, strict=True)}
    return values if all(rule.all() for rule in price_rules(columns).values()) else None
