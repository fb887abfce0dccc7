"""The protocol of a source of bars, and what sources share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import Hour, to_iso
from crypto_refactor.market.ticker import Ticker


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestPrice:
    """The most recent price of a source, in the quote currency, and its time (ISO-8601 UTC)."""

    price: float
    at: str


def utc_now() -> datetime:
    """Return the time of this machine's clock: the default of every source's `clock`."""
    return datetime.now(UTC)


def require_reached(source: Source, ticker: Ticker, end: Hour) -> None:
    """Refuse an `end` after the source's now.

    Raises
    ------
    DataError
        If the bars do not reach `end`.
    """
    now = source.now(ticker)
    if end > now:
        raise DataError(
            f"The {ticker} bars from {source.name} end at {to_iso(now)}, before {to_iso(end)}.",
            expected="an --end that they reach.",
            remedy=f"use --end {to_iso(now)} or earlier, or omit --end.",
        )


class Source(Protocol):
    """Where bars come from: `alpaca`, `files` or `sample`."""

    @property
    def name(self) -> str:
        """``alpaca``, ``files``, ``files:VENUE`` or ``sample``: the name that bars, models and accounts carry."""
        ...

    def bars(self, ticker: Ticker, start: Hour, end: Hour) -> Bars:
        """Return the real bars that opened at `start` or later and had closed by `end`.

        There may be fewer than requested, or none; gaps stay gaps.

        Raises
        ------
        UnavailableError
            If the source does not offer `ticker`.
        DataError
            If the source cannot be reached or read, or provides no valid bars.
        """
        ...

    def prefetch(self, tickers: Iterable[Ticker], hours: int, end: Hour | None = None) -> None:
        """Fetch the last `hours` hours up to `end` (by default now) of several tickers at once, where that helps."""
        ...

    def left_out(self, ticker: Ticker) -> tuple[str, ...]:
        """Return, in words, the rows that this object has received and left out because they are no bars."""
        ...

    def doubts(self, ticker: Ticker) -> tuple[str, ...]:
        """Return, in words, what suggests that the stamps received are not the UTC opens of closed bars."""
        ...

    def notes(self) -> tuple[str, ...]:
        """Return all that was said so far about bars that were left out or are in doubt, with their tickers."""
        ...

    def latest_price(self, ticker: Ticker) -> LatestPrice:
        """Return the most recent price, with the errors of `bars`."""
        ...

    def now(self, ticker: Ticker) -> Hour:
        """Return the hour up to which bars can have closed, with the errors of `bars`."""
        ...


class LoadedSource(ABC):
    """A source that loads all bars of a ticker at once; a subclass has a `name` and says how to `load` them."""

    @abstractmethod
    def load(self, ticker: Ticker) -> Bars:
        """Return all bars of `ticker`, at least one, with the errors of `Source.bars`."""

    def bars(self, ticker: Ticker, start: Hour, end: Hour) -> Bars:
        """Return the bars that opened at `start` or later and had closed by `end`."""
        return self.load(ticker).between(start, end)

    def prefetch(self, tickers: Iterable[Ticker], hours: int, end: Hour | None = None) -> None:  # noqa: B027
        """Do nothing: tickers are loaded one by one."""

    def left_out(self, ticker: Ticker) -> tuple[str, ...]:  # noqa: ARG002 - of the protocol
        """Return nothing: a row that is no bar is refused."""
        return ()

    def doubts(self, ticker: Ticker) -> tuple[str, ...]:  # noqa: ARG002 - of the protocol
        """Return nothing: the stamps are the tool's own."""
        return ()

    def notes(self) -> tuple[str, ...]:
        """Return nothing, as nothing is left out."""
        return ()

    def latest_price(self, ticker: Ticker) -> LatestPrice:
        """Return the last close and its time."""
        bars = self.load(ticker)
        return LatestPrice(price=float(bars.close[-1]), at=to_iso(int(bars.closed[-1])))

    def now(self, ticker: Ticker) -> Hour:
        """Return the close of the last bar."""
        return int(self.load(ticker).closed[-1])
