"""The bundled offline source: a simulated year of every ticker, marked SIMULATED wherever it goes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from crypto_refactor.errors import UnavailableError
from crypto_refactor.market.bars import SAMPLE, Bars
from crypto_refactor.market.hours import Hour, parse_hour, to_iso
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.sources.simulator import PROFILES, simulate_bars
from crypto_refactor.market.ticker import Ticker

QUOTE = "USD"
OUTAGES: Final[Mapping[str, tuple[Hour, int]]] = {"ATOM": (parse_hour("2024-12-18T07:00Z"), 5)}
"""First missing hour and length by base, so that a new user sees how gaps are treated."""


class SampleSource:
    """Simulated bars of 2024 for every ticker of `PROFILES`, the same on every machine."""

    name = SAMPLE

    def __init__(self) -> None:
        self._cache: dict[Ticker, Bars] = {}

    def bars(self, ticker: Ticker, start: Hour, end: Hour) -> Bars:
        """Return the bars that opened at `start` or later and had closed by `end`.

        Raises
        ------
        UnavailableError
            If the simulation has no such ticker.
        """
        return self._all(ticker).between(start, end)

    def prefetch(self, tickers: Iterable[Ticker], hours: int, end: Hour | None = None) -> None:
        """Do nothing: the bars are simulated here."""

    def latest_price(self, ticker: Ticker) -> LatestPrice:
        """Return the last close and its time, with the errors of `bars`."""
        return LatestPrice(price=float(self._all(ticker).close[-1]), at=to_iso(self.now(ticker)))

    def now(self, ticker: Ticker) -> Hour:
        """Return the close of the last bar, with the errors of `bars`."""
        return int(self._all(ticker).closed[-1])

    def _all(self, ticker: Ticker) -> Bars:
        if ticker not in self._cache:
            self._cache[ticker] = _with_outage(_simulated(ticker))
        return self._cache[ticker]


def _simulated(ticker: Ticker) -> Bars:
    if ticker.base not in PROFILES or ticker.quote != QUOTE:
        raise UnavailableError(
            f"The source sample has no {ticker}.",
            expected="one of " + ", ".join(f"{base}/{QUOTE}" for base in PROFILES) + ".",
            remedy="choose one of these, or another --source.",
        )
    return simulate_bars(ticker)


def _with_outage(bars: Bars) -> Bars:
    """Remove the hours of the ticker's outage from its bars."""
    if bars.ticker.base not in OUTAGES:
        return bars
    first, length = OUTAGES[bars.ticker.base]
    return bars.take((bars.opened < first) | (bars.opened >= first + length))
