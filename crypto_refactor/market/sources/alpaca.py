"""Alpaca's crypto bars, through the bar store."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from crypto_refactor.errors import DataError, SourceUnreachableError, UnavailableError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import floor_hour, parse_instant, to_datetime, to_iso
from crypto_refactor.market.sources.alpaca_parser import (
    ALPACA,
    DELISTED_AFTER_HOURS,
    ParsedBars,
    contradicts,
    parse_bars,
    parse_price,
    parse_quote,
    request_error,
    require_current,
)
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.market.sources.base import LatestPrice, utc_now
from crypto_refactor.market.sources.received_bars import joined, revised, with_known
from crypto_refactor.market.sources.request_budget import RequestBudget
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.transport import (
    BoundedSession,
    HttpLimits,
    NoResponseError,
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
_REPAIRABLE_HOURS = 48
"""Hours without a bar, or with a defective one, are requested again for so long."""
_TRADED_LATELY_HOURS = 24
"""A ticker that traded so recently has bars: an answer without any is not a fact."""
_MAX_DEFECTS_KEPT = 200
_MAX_QUIET_SKEW_SECONDS = 5.0
_BARS_PER_PAGE = 10_000
_LIMITS = HttpLimits()


class _Answer(NamedTuple):
    """Alpaca's content by symbol, and the last full hour by both clocks when it answered."""

    content: dict[str, Any]
    hour: int


class AlpacaSource:
    """Hourly bars of Alpaca's own crypto exchange: fetched once, kept in the bar store.

    A bar is returned and stored only once it has closed by the local clock and by the ``Date`` of the
    response.  Each call fetches what the store lacks, and the last three hours again.  An hour without a bar
    counts as covered once there is a later bar and 48 h have passed.  A row that is not a bar is left out and
    named once.  Threads may share an object.

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
    budget : RequestBudget
        Bounds the requests of a phase, in which others wait for them.
    stores_always : bool
        Whether bars that cannot be stored are an error; a run that trades needs them all the same.

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
        clock: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        url = validate_url(url or _URL, setting="CRYPTO_ALPACA_DATA_URL")
        self._url = url
        self._keys = validate_keys(url, api_key, secret_key, alternative="unset both: bars need no keys")
        self._store = BarStore(store, source=ALPACA, url="" if url == _URL else url)
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self.budget = RequestBudget(monotonic)
        self._prefetched: dict[Ticker, tuple[int, int]] = {}
        self._left_out: dict[Ticker, tuple[str, ...]] = {}
        self._unstored: dict[Ticker, Bars] = {}
        self.stores_always = True
        self._skew_noted = False
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
            for gap in self._missing(ticker, first, end):
                answer = self._fetch([ticker], *gap)
                self._accept(ticker, answer, gap)
                end = min(end, answer.hour)
        bars = self._store.read(ticker, first, end)
        if ticker in self._unstored:
            bars = joined(self._unstored[ticker].between(first, end), bars)
        self._require_current(bars, end)
        return bars.between(start, end)

    def left_out(self, ticker: Ticker) -> tuple[str, ...]:
        """Return what was left out of the answers so far because it is not a bar."""
        return self._left_out.get(ticker, ())

    def doubts(self, ticker: Ticker) -> tuple[str, ...]:  # noqa: ARG002 - of the protocol
        """Return nothing: Alpaca states the offset of every stamp, and a bar counts once it has closed."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """Return what was left out, with its ticker."""
        return tuple(f"{ticker}: {text}" for ticker, texts in self._left_out.items() for text in texts)

    def prefetch(self, tickers: Iterable[Ticker], hours: int, end: int | None = None) -> None:
        """Fetch the last `hours` hours of several tickers at once, for the next `bars` of each.

        One request serves all tickers that lack the same hours.  What goes wrong with its answer is left for each
        ticker's own `bars`, which requests what is still missing.  `end` is now by default.

        Raises
        ------
        SourceUnreachableError
            If there is no connection to Alpaca.
        DataError
            If the bar store fails.
        """
        tickers = list(dict.fromkeys(tickers))
        if len(tickers) < 2:
            return
        end = self.now(tickers[0]) if end is None else end
        first, end = self._required_range(end - hours, end)
        missing = {ticker: self._missing(ticker, first, end) for ticker in tickers}
        failed: set[Ticker] = set()
        for gap, group in _shared(missing, end).items():
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

    def _missing(self, ticker: Ticker, first: int, end: int) -> list[tuple[int, int]]:
        """Return what to request; what follows the last bar is requested with that bar, which proves the answer."""
        last = self._store.last_close(ticker)
        gaps = self._store.missing(ticker, first, end)
        return [(since - 1 if since == last else since, until) for since, until in gaps]

    def _prefetch_gap(self, group: list[Ticker], gap: tuple[int, int]) -> list[Ticker]:
        """Fill one gap of several tickers; return those it failed for."""
        try:
            answer = self._fetch(group, *gap)
        except SourceUnreachableError:
            raise
        except DataError as error:  # one unknown symbol, for example, fails the request for all
            _log.info("%s Each ticker is requested on its own.", error.what)
            return group
        failed = []
        for ticker in group:
            try:
                self._accept(ticker, answer, gap)
            except DataError as error:
                _log.info("%s", error.what)
                failed.append(ticker)
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
        seconds = self.budget.seconds(pages * self._limits.total)
        if seconds <= 0:
            failure = NoResponseError("no time was left for it")
            raise request_error(subject, failure, attempts=self._limits.attempts)
        session = BoundedSession(
            limits=self._limits,
            seconds=seconds,
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
        except RequestFailedError as failed:
            raise request_error(subject, failed, attempts=self._limits.attempts) from failed
        finally:
            self._note_skew(session.skew_seconds)
        if session.server_time is not None:
            hour = min(hour, floor_hour(session.server_time))
        return _Answer(content=content, hour=hour)

    def _note_skew(self, seconds: float | None) -> None:
        if seconds is None:
            return
        self.clock_skew_seconds = seconds
        apart = abs(seconds) > _MAX_QUIET_SKEW_SECONDS
        if apart and not self._skew_noted:
            direction = "ahead of" if seconds > 0 else "behind"
            _log.warning("The local clock is %.0f s %s Alpaca's.", abs(seconds), direction)
        elif self._skew_noted and not apart:
            _log.warning("The local clock agrees with Alpaca's again.")
        self._skew_noted = apart

    def _accept(self, ticker: Ticker, answer: _Answer, gap: tuple[int, int]) -> None:
        """Parse and store what Alpaca answered for `gap`."""
        start, end = gap[0], min(gap[1], answer.hour)
        rows = answer.content.get(str(ticker), [])
        parsed = parse_bars(ticker, rows, start, end, redact=self._redact)
        if rows == []:
            self._refuse_absence(ticker, start, end)
        self._note_defects(ticker, parsed)
        if start < end:
            self._save(parsed, start, end, answer.hour)

    def _refuse_absence(self, ticker: Ticker, start: int, end: int) -> None:
        """Refuse an answer without any bar where a stored one shows that the ticker traded in the last day."""
        last = self._store.last_close(ticker)
        if last is not None and start < last <= end < last + _TRADED_LATELY_HOURS:
            raise contradicts(ticker, f"its bar that closed at {to_iso(last)} was received before")

    def _require_current(self, bars: Bars, end: int) -> None:
        """Check that the ticker is still offered; one that has traded in the last day is, whatever its bars."""
        try:
            require_current(bars, end)
        except UnavailableError as gone:
            if end <= self._hour() - _TRADED_LATELY_HOURS:
                raise
            try:
                latest = self.latest_price(bars.ticker)
            except UnavailableError:
                raise gone from None
            if end - floor_hour(parse_instant(latest.at)) >= _TRADED_LATELY_HOURS:
                raise
            raise contradicts(bars.ticker, f"it traded at {latest.at}") from gone

    def _note_defects(self, ticker: Ticker, parsed: ParsedBars) -> None:
        noted = self._left_out.get(ticker, ())
        new = [defect.text for defect in parsed.defects if defect.text not in noted]
        for text in new:
            _log.warning("Alpaca's %s bars: %s. It costs at most that bar.", ticker, text)
        self._left_out[ticker] = (*noted, *new)[-_MAX_DEFECTS_KEPT:]

    def _save(self, parsed: ParsedBars, start: int, end: int, hour: int) -> None:
        """Store what Alpaca answered at `hour` for the hours from `start` to `end`."""
        stored = self._store.read(parsed.bars.ticker, start, end)
        bars = with_known(parsed, stored)
        for text in revised(stored, bars):
            _log.warning("Alpaca revised or withdrew a %s bar that was stored as %s.", bars.ticker, text)
        self._unstored.pop(bars.ticker, None)
        try:
            self._store.write(bars, start, end, covered_until=self._covered_until(bars, start, end, hour))
        except DataError as error:
            if self.stores_always:
                raise
            _log.info("%s", error.what)
            self._unstored[bars.ticker] = bars

    def _covered_until(self, bars: Bars, start: int, end: int, hour: int) -> int:
        # Hours without bars at the end may be an outage: they count as covered only once a later bar exists.
        last, later = int(bars.closed[-1]) if len(bars) else start, self._store.last_close(bars.ticker)
        covered = min(end if later is not None and later > end else last, hour - _REVISABLE_HOURS)
        recent = range(max(start, hour - _REPAIRABLE_HOURS), covered)
        return min({*recent}.difference(bars.opened.tolist()), default=covered)

    def _redact(self, text: str) -> str:
        return redact_and_truncate(text, self._keys or ())


def _shared(
    missing: Mapping[Ticker, Sequence[tuple[int, int]]], end: int
) -> dict[tuple[int, int], list[Ticker]]:
    """Return which tickers each gap is requested for; gaps that lie in the last hours are joined."""
    recent = end - _REPAIRABLE_HOURS
    gaps = [gap for gaps in missing.values() for gap in gaps]
    first = min((since for since, until in gaps if until == end and since >= recent), default=end)
    sharing: dict[tuple[int, int], list[Ticker]] = defaultdict(list)
    for ticker, own in missing.items():
        for since, until in own:
            joined = until == end and since >= recent
            sharing[first if joined else since, until].append(ticker)
    return sharing
