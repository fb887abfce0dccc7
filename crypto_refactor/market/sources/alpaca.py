"""Alpaca's crypto bars, through the bar store."""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from crypto_refactor.errors import DataError, UnavailableError
from crypto_refactor.market.hours import floor_hour, to_datetime
from crypto_refactor.market.sources.alpaca_parser import (
    ALPACA,
    GONE_HOURS,
    BarsReporter,
    parse_bars,
    parse_price,
    require_current,
    unreadable,
)
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.transport.endpoints import validate_keys, validate_url
from crypto_refactor.transport.failures import redact_and_truncate
from crypto_refactor.transport.session import BoundedSession, HttpLimits, call_with_timeout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from alpaca.data.historical.crypto import CryptoHistoricalDataClient
    from pydantic import SecretStr

    from crypto_refactor.market.bars import Bars
    from crypto_refactor.market.sources.base import LatestPrice
    from crypto_refactor.market.ticker import Ticker

_log = logging.getLogger(__name__)

ADDRESS = "https://data.alpaca.markets"
_UNSETTLED_HOURS = 3
"""Bars younger than this are asked for again, because Alpaca may still revise them."""
_NOTED_SKEW_SECONDS = 5.0
_BARS_A_PAGE = 10_000
_LIMITS = HttpLimits()


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What Alpaca said by symbol, and the last full hour by both clocks when it said so."""

    content: dict[str, Any]
    hour: int


class AlpacaSource:
    """Hourly bars of Alpaca's own crypto exchange: asked for once, kept in the bar store.

    A bar is returned and stored only once it has closed by the local clock and by the ``Date`` of the
    answer.  Each call asks for what the store lacks and for the last three hours again; an hour without a
    bar counts as answered once there is a later bar.  Threads may share an object.

    Parameters
    ----------
    store : Path
        The file of the bar store.
    url : str, optional
        Another address for the data API; its bars are kept apart from Alpaca's own.
    api_key, secret_key : SecretStr, optional
        Both or none; they only raise Alpaca's rate limit.
    limits : HttpLimits
        Bounds on time and attempts.
    clock : callable
        Returns the aware local time.
    sleep : callable
        Waits for so many seconds.

    Attributes
    ----------
    clock_skew_seconds : float or None
        How far the local clock was ahead of Alpaca's at the last answer; None before the first one.

    Raises
    ------
    UsageError
        If `url` is no address, or keys are incomplete or must not be sent there.
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
        address = validate_url(url or ADDRESS, setting="CRYPTO_ALPACA_DATA_URL")
        self._address = address
        self._keys = validate_keys(address, api_key, secret_key, instead="unset both: bars need no keys")
        self._store = BarStore(store, source=ALPACA, address="" if address == ADDRESS else address)
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
            If its last bar closed more than 3 h before `end`, if Alpaca cannot be asked or understood
            (nothing of that answer is stored), or if the bar store fails.
        """
        first, end = self._needed(start, end)
        since, until = self._prefetched.pop(ticker, (end, first))
        if first < since or until < end:
            for gap in self._store.missing(ticker, first, end):
                answer = self._ask([ticker], *gap)
                self._keep(self._read(ticker, answer, *gap), gap, answer.hour)
                end = min(end, answer.hour)
        bars = self._store.read(ticker, first, end)
        require_current(bars, end)
        return bars.between(start, end)

    def prefetch(self, tickers: Iterable[Ticker], start: int, end: int) -> None:
        """Ask for several tickers at once, so that the next `bars` of each need not ask.

        One request serves all tickers that lack the same hours.  What is wrong with one of them (not
        offered, or its bars are none) is left for its own `bars` to find.

        Raises
        ------
        DataError
            If Alpaca cannot be asked or understood, or the bar store fails.
        """
        first, end = self._needed(start, end)
        tickers = list(dict.fromkeys(tickers))
        sharing: dict[tuple[int, int], list[Ticker]] = defaultdict(list)
        for ticker in tickers:
            for gap in self._store.missing(ticker, first, end):
                sharing[gap].append(ticker)
        unread: set[Ticker] = set()
        for gap, group in sharing.items():
            unread.update(self._prefetch_gap(group, gap))
        self._prefetched.update({ticker: (first, end) for ticker in tickers if ticker not in unread})

    def latest_price(self, ticker: Ticker) -> LatestPrice:
        """Return the price of the latest trade.

        Raises
        ------
        UnavailableError
            If Alpaca knows no trade of `ticker` in the last 72 h.
        DataError
            If Alpaca cannot be asked or understood.
        """
        from alpaca.data.requests import CryptoLatestTradeRequest

        request = CryptoLatestTradeRequest(symbol_or_symbols=str(ticker))
        answer = self._call(f"the latest {ticker} price", 1, lambda sdk: sdk.get_crypto_latest_trade(request))
        return parse_price(ticker, answer.content.get(str(ticker)), answer.hour, shown=self._shown)

    def now(self, ticker: Ticker) -> int:
        """Return the last full hour by the local clock and Alpaca's, asking Alpaca if not yet known.

        Raises
        ------
        DataError
            As `latest_price`.
        """
        if self.clock_skew_seconds is None:
            self.latest_price(ticker)
        return self._hour()

    def _hour(self) -> int:
        ahead = max(self.clock_skew_seconds or 0.0, 0.0)
        return floor_hour(self._clock() - timedelta(seconds=ahead))

    def _needed(self, start: int, end: int) -> tuple[int, int]:
        # Whether a ticker is still offered shows in the 72 h before the end, so these are always needed.
        end = min(end, self._hour())
        return min(start, end - GONE_HOURS - 1), end

    def _prefetch_gap(self, group: list[Ticker], gap: tuple[int, int]) -> list[Ticker]:
        """Fill one gap of several tickers; return those it failed for."""
        try:
            answer = self._ask(group, *gap)
        except UnavailableError as error:  # one unknown symbol spoils the request for all
            _log.info("%s Each ticker is asked for alone.", error.what)
            return group
        unread = []
        for ticker in group:
            try:
                bars = self._read(ticker, answer, *gap)
            except DataError as error:
                _log.info("%s", error.what)
                unread.append(ticker)
            else:
                self._keep(bars, gap, answer.hour)
        return unread

    def _ask(self, tickers: Sequence[Ticker], start: int, end: int) -> _Answer:
        from alpaca.data.requests import CryptoBarsRequest
        from alpaca.data.timeframe import TimeFrame, TimeFrameUnit

        request = CryptoBarsRequest(
            symbol_or_symbols=[str(ticker) for ticker in tickers],
            timeframe=TimeFrame(1, TimeFrameUnit.Hour),
            start=to_datetime(start),
            end=to_datetime(end - 1),  # Alpaca includes the bar that opens at the end
        )
        subject = f"{', '.join(map(str, tickers))} bars"
        pages = 1 + len(tickers) * (end - start) // _BARS_A_PAGE
        return self._call(subject, pages, lambda sdk: sdk.get_crypto_bars(request))

    def _call(
        self, subject: str, pages: int, request: Callable[[CryptoHistoricalDataClient], Any]
    ) -> _Answer:
        hour = self._hour()
        seconds = pages * self._limits.total
        session = BoundedSession(
            limits=self._limits,
            seconds=seconds,
            reporter=BarsReporter(subject=subject, attempts=self._limits.attempts),
            secrets=self._keys or (),
            clock=self._clock,
            sleep=self._sleep,
        )
        sdk = self._sdk(session)
        try:
            content = call_with_timeout(seconds, lambda: request(sdk))
        except TimeoutError as error:
            raise DataError(
                f"Alpaca did not complete its answer to the request for {subject} within {seconds:g} s.",
                expected="a complete answer in that time.",
                remedy="check the network, then run the command again; bars already stored were kept.",
            ) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # alpaca-py meets a body it does not expect with whatever error its code runs into.
            raise unreadable(subject, session.last_text) from error
        finally:
            self._note_skew(session.skew_seconds)
            session.close()
        if session.answered_at is not None:
            hour = min(hour, floor_hour(session.answered_at))
        return _Answer(content=content, hour=hour)

    def _sdk(self, session: BoundedSession) -> CryptoHistoricalDataClient:
        from alpaca.data.historical.crypto import CryptoHistoricalDataClient

        key, secret = self._keys or (None, None)
        sdk = CryptoHistoricalDataClient(key, secret, raw_data=True, url_override=self._address)
        # It sets no time-out and repeats some failures after 3 s, whatever the bound.  This session sets
        # time-outs, and raises every failure before the SDK sees a status it would repeat.
        sdk._session = session  # noqa: SLF001
        return sdk

    def _note_skew(self, seconds: float | None) -> None:
        if seconds is None:
            return
        self.clock_skew_seconds = seconds
        if abs(seconds) > _NOTED_SKEW_SECONDS:
            direction = "ahead of" if seconds > 0 else "behind"
            _log.warning("The local clock is %.0f s %s Alpaca's.", abs(seconds), direction)

    def _read(self, ticker: Ticker, answer: _Answer, start: int, end: int) -> Bars:
        rows = answer.content.get(str(ticker), [])
        return parse_bars(ticker, rows, start, min(end, answer.hour), shown=self._shown)

    def _keep(self, bars: Bars, gap: tuple[int, int], hour: int) -> None:
        """Store what was answered for `gap` at `hour`."""
        start, end = gap[0], min(gap[1], hour)
        if end <= start:
            return
        for old in _changed(self._store.read(bars.ticker, start, end), bars):
            _log.warning("Alpaca revised or withdrew a %s bar that was stored as %s.", bars.ticker, old)
        # An empty end may be an outage: it is settled only once a later bar shows that it was a hole.
        last, later = int(bars.closed[-1]) if len(bars) else start, self._store.last_close(bars.ticker)
        known = end if later is not None and later > end else last
        self._store.write(bars, start, end, answered=min(known, hour - _UNSETTLED_HOURS))

    def _shown(self, text: str) -> str:
        return redact_and_truncate(text, self._keys or ())


def _changed(stored: Bars, received: Bars) -> list[str]:
    """Return the stored bars that were not received as they are stored."""
    if not len(stored):
        return []
    again = received.between(int(stored.opened[0]), int(stored.closed[-1]))
    same = set(map(again.row_text, range(len(again))))
    return [text for text in map(stored.row_text, range(len(stored))) if text not in same]
