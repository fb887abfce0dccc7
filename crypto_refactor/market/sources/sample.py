"""The bundled offline source: a simulated year of every ticker, marked SIMULATED wherever it goes."""

from collections.abc import Mapping
from typing import Final

from crypto_refactor.errors import UnavailableError
from crypto_refactor.market.bars import SAMPLE, Bars
from crypto_refactor.market.hours import Hour, parse_hour
from crypto_refactor.market.sources.base import LoadedSource
from crypto_refactor.market.sources.simulator import PROFILES, simulate_bars
from crypto_refactor.market.ticker import Ticker

QUOTE = "USD"
OUTAGES: Final[Mapping[str, tuple[Hour, int]]] = {"ATOM": (parse_hour("2024-12-18T07:00Z"), 5)}
"""First missing hour and length by base, so that a new user sees how gaps are treated."""


class SampleSource(LoadedSource):
    """Simulated bars of 2024 for every ticker of `PROFILES`, the same on every machine."""

    name = SAMPLE

    def __init__(self) -> None:
        self._cache: dict[Ticker, Bars] = {}

    def load(self, ticker: Ticker) -> Bars:
        """Return the simulated year of `ticker`.

        Raises
        ------
        UnavailableError
            If the simulation has no such ticker.
        """
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
