"""Bars that are in memory."""

from collections.abc import Iterable

from crypto_refactor.errors import UnavailableError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.sources.base import LoadedSource
from crypto_refactor.market.ticker import Ticker


class MemorySource(LoadedSource):
    """The bars it is given; its now is the close of the last one."""

    def __init__(self, series: Iterable[Bars]) -> None:
        self._series = {bars.ticker: bars for bars in series}
        self.name = next(iter(self._series.values())).source

    def load(self, ticker: Ticker) -> Bars:
        """Return the bars of `ticker`.

        Raises
        ------
        UnavailableError
            If there are none.
        """
        if ticker not in self._series:
            raise UnavailableError(
                f"{ticker} is not among the given bars.",
                expected="one of " + ", ".join(map(str, self._series)) + ".",
                remedy="choose one of these tickers.",
            )
        return self._series[ticker]
