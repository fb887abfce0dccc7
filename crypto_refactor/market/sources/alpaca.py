"""Alpaca's crypto bars, through the bar store."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_refactor.errors import DataError, UnavailableError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import floor_hour, to_datetime
from crypto_refactor.market.sources.alpaca_parser import (
    ALPACA,
    DELISTED_AFTER_HOURS,
    parse_bars,
    parse_price,
    parse_quote,
    request_error,
    require_current,
)
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.transport import (
    BoundedSession,
    HttpLimits,
    RequestFailedError,
    redact_and_truncate,
    validate_keys,
    validate_url,
)

if TYPE_CHECKING:
    from alpaca.data.historical.crypto import CryptoHistoricalDataClient
    from pydantic import SecretStr

_log = logging.getLogger(__name__)

_URL = "https://data.alpaca.markets"
_REVISABLE_HOURS = 3
"""Bars younger than this are requested again, because Alpaca may still revise them."""
_MAX_QUIET_SKEW_SECONDS = 5.0
_BARS_PER_PAGE = 10_000
_LIMITS = HttpLimits()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Answer(NamedTuple):
    """Alpaca's content by symbol, and the last full hour by both clocks when it answered."""

    content: dict[str, Any]
    hour: int


class AlpacaSource:
    """Hourly bars of Alpaca's own crypto exchange: fetched once, kept in the bar store.

    A bar is returned and stored only once it has closed by the local clock and by the ``Date`` of the
    response.  Each call fetches what the store lacks, and the last three hours again.  An hour without a bar
    counts as covered once there is a later bar.  Threads may share an object.

    Parameters
    ----------
    store : Path
        The file of the bar store.
    url : str, optional
        Another URL of the data API; its bars are kept apart from Alpaca's own.
    api_key, secret_key : SecretStr, optional
        Both or none; they only raise Alpaca's rate limit.

    Attributes
    ----------
    clock_skew_seconds : float or None
        How far the local clock was ahead of Alpaca's at the last response; None before the first one.

    Raises
    ------
    UsageError
        If `url` is not valid, or the keys are incomplete or must not be sent there.
    """

    name = ALPACA

    def __init__(
        self,
        store: Path,
        *,
        url: str | None = None,
        api_key: SecretStr | None = None,
        secret_key: SecretStr | None = None,
        limits: HttpLimits = _LIMITS,
        clock: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        url = validate_url(url or _URL, setting="CRYPTO_ALPACA_DATA_URL")
        self._url = url
        self._keys = validate_keys(url, api_key, secret_key, alternative="unset both: bars need no keys")
        self._store = BarStore(store, source=ALPACA, url="" if url == _URL else url)
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._prefetched: dict[Ticker, tuple[int, int]] = {}
        self.clock_skew_seconds: float | None = None

    def bars(self, ticker: Ticker, start: int, end: int) -> Bars:
        """Return the real bars that opened at `start` or later and had closed by `end`.

        An `end` in the future means now.

        Raises
        ------
        UnavailableError
            If Alpaca does not know `ticker`, or its last bar closed more than 72 h before `end`.
        DataError
            If its last bar closed more than 3 h before `end`, if Alpaca gives no usable answer (nothing of it
            is stored then), or if the bar store fails.
        """
        first, end = self._required_range(start, end)
        since, until = self._prefetched.pop(ticker, (end, first))
        if first < since or until < end:
            for gap in self._store.missing(ticker, first, end):
                answer = self._fetch([ticker], *gap)
                self._save(self._parse(ticker, answer, *gap), gap, answer.hour)
                end = min(end, answer.hour)
        bars = self._store.read(ticker, first, end)
        require_current(bars, end)
        return bars.between(start, end)

    def prefetch(self, tickers: Iterable[Ticker], hours: int, end: int | None = None) -> None:
        """Fetch the last `hours` hours of several tickers at once, for the next `bars` of each.

        One request serves all tickers that lack the same hours.  A fault of one ticker (not offered, or bad
        bars) is left for its own `bars` to report.  `end` is now by default.

        Raises
        ------
        DataError
            If Alpaca gives no usable answer, or the bar store fails.
        """
        tickers = list(dict.fromkeys(tickers))
        if len(tickers) < 2:
            return
        end = self.now(tickers[0]) if end is None else end
        first, end = self._required_range(end - hours, end)
        sharing: dict[tuple[int, int], list[Ticker]] = defaultdict(list)
        for ticker in tickers:
            for gap in self._store.missing(ticker, first, end):
                sharing[gap].append(ticker)
        failed: set[Ticker] = set()
        for gap, group in sharing.items():
            failed.update(self._prefetch_gap(group, gap))
        self._prefetched.update({ticker: (first, end) for ticker in tickers if ticker not in failed})

    def latest_price(self, ticker: Ticker) -> LatestPrice:
        """Return the price of the latest trade; none in the last 72 h means that `ticker` is unavailable."""
        from alpaca.data.requests import CryptoLatestTradeRequest

        request = CryptoLatestTradeRequest(symbol_or_symbols=str(ticker))
        answer = self._request(
            f"the latest {ticker} price", 1, lambda sdk: sdk.get_crypto_latest_trade(request)
        )
        return parse_price(ticker, answer.content.get(str(ticker)), answer.hour, redact=self._redact)

    def latest_quote(self, ticker: Ticker) -> LatestPrice:
        """Return the middle between the latest bid and ask; none in the last 72 h means `ticker` is unavailable."""
        from alpaca.data.requests import CryptoLatestQuoteRequest

        request = CryptoLatestQuoteRequest(symbol_or_symbols=str(ticker))
        answer = self._request(
            f"the latest {ticker} quote", 1, lambda sdk: sdk.get_crypto_latest_quote(request)
        )
        return parse_quote(ticker, answer.content.get(str(ticker)), answer.hour, redact=self._redact)

    def now(self, ticker: Ticker) -> int:
        """Return the last full hour by the local clock and Alpaca's, asking Alpaca if not yet known."""
        if self.clock_skew_seconds is None:
            self.latest_price(ticker)
        return self._hour()

    def _hour(self) -> int:
        ahead = max(self.clock_skew_seconds or 0.0, 0.0)
        return floor_hour(self._clock() - timedelta(seconds=ahead))

    def _required_range(self, start: int, end: int) -> tuple[int, int]:
        # Whether a ticker is still offered shows in the 72 h before the end, so these are always needed.
        end = min(end, self._hour())
        return min(start, end - DELISTED_AFTER_HOURS - 1), end

    def _prefetch_gap(self, group: list[Ticker], gap: tuple[int, int]) -> list[Ticker]:
        """Fill one gap of several tickers; return those it failed for."""
        try:
            answer = self._fetch(group, *gap)
        except UnavailableError as error:  # one unknown symbol fails the request for all
            _log.info("%s Each ticker is requested on its own.", error.what)
            return group
        failed = []
        for ticker in group:
            try:
                bars = self._parse(ticker, answer, *gap)
            except DataError as error:
                _log.info("%s", error.what)
                failed.append(ticker)
            else:
                self._save(bars, gap, answer.hour)
        return failed

    def _fetch(self, tickers: Sequence[Ticker], start: int, end: int) -> _Answer:
        from alpaca.data.requests import CryptoBarsRequest
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

        request = CryptoBarsRequest(
            symbol_or_symbols=[str(ticker) for ticker in tickers],
            timeframe=TimeFrame(1, TimeFrameUnit.Hour),
            start=to_datetime(start),
            end=to_datetime(end - 1),  # Alpaca includes the bar that opens at the end
        )
        subject = f"{', '.join(map(str, tickers))} bars"
        pages = 1 + len(tickers) * (end - start) // _BARS_PER_PAGE
        return self._request(subject, pages, lambda sdk: sdk.get_crypto_bars(request))

    def _request(
        self, subject: str, pages: int, request: Callable[[CryptoHistoricalDataClient], Any]
    ) -> _Answer:
        from alpaca.data.historical.crypto import CryptoHistoricalDataClient

        hour = self._hour()
        session = BoundedSession(
            limits=self._limits,
            seconds=pages * self._limits.total,
            secrets=self._keys or (),
            clock=self._clock,
            sleep=self._sleep,
        )
        key, secret = self._keys or (None, None)
        sdk = CryptoHistoricalDataClient(key, secret, raw_data=True, url_override=self._url)
        # Its own session has no time-outs, and it repeats some failures after 3 s whatever the bound.  This
        # session raises every failure before the SDK sees a status that it would repeat.
        sdk._session = session  # noqa: SLF001
        try:
            content = session.call(lambda: request(sdk), dict)
        except RequestFailedError as failure:
            raise request_error(subject, failure, attempts=self._limits.attempts) from failure
        finally:
            self._note_skew(session.skew_seconds)
        if session.server_time is not None:
            hour = min(hour, floor_hour(session.server_time))
        return _Answer(content=content, hour=hour)

    def _note_skew(self, seconds: float | None) -> None:
        if seconds is None:
            return
        self.clock_skew_seconds = seconds
        if abs(seconds) > _MAX_QUIET_SKEW_SECONDS:
            direction = "ahead of" if seconds > 0 else "behind"
            _log.warning("The local clock is %.0f s %s Alpaca's.", abs(seconds), direction)

    def _parse(self, ticker: Ticker, answer: _Answer, start: int, end: int) -> Bars:
        rows = answer.content.get(str(ticker), [])
        return parse_bars(ticker, rows, start, min(end, answer.hour), redact=self._redact)

    def _save(self, bars: Bars, gap: tuple[int, int], hour: int) -> None:
        """Store what Alpaca answered for `gap` at `hour`."""
        start, end = gap[0], min(gap[1], hour)
        if end <= start:
            return
        for text in _revised(self._store.read(bars.ticker, start, end), bars):
            _log.warning("Alpaca revised or withdrew a %s bar that was stored as %s.", bars.ticker, text)
        # Hours without bars at the end may be an outage: they count as covered only once a later bar exists.
        last, later = int(bars.closed[-1]) if len(bars) else start, self._store.last_close(bars.ticker)
        covered = end if later is not None and later > end else last
        self._store.write(bars, start, end, covered_until=min(covered, hour - _REVISABLE_HOURS))

    def _redact(self, text: str) -> str:
        return redact_and_truncate(text, self._keys or ())


def _revised(stored: Bars, received: Bars) -> list[str]:
    """Return the stored bars that were not received as they are stored."""
    if not len(stored):
        return []
    again = received.between(int(stored.opened[0]), int(stored.closed[-1]))
    same = set(map(again.row_text, range(len(again))))
    return [text for text in map(stored.row_text, range(len(stored))) if text not in same]
