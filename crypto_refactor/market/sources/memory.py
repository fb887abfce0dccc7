"""Bars that are in memory."""

from collections.abc import Iterable

from crypto_refactor.errors import DataError, UnavailableError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.sources.base import LoadedSource
from crypto_refactor.market.ticker import Ticker


class MemorySource(LoadedSource):
    """The real ones of the bars it is given; its now is the close of the last one."""

    def __init__(self, series: Iterable[Bars]) -> None:
        self._series = {bars.ticker: bars.without_synthetic() for bars in series}
        self.name = next(iter(self._series.values())).source

    def load(self, ticker: Ticker) -> Bars:
        """Return the bars of `ticker`.

        Raises
        ------
        UnavailableError
            If it is not among those given.
        DataError
            If the bars given for it are none, or all of them forward-filled.
        """
        if ticker not in self._series:
            raise UnavailableError(
                f"{ticker} is not among the given bars.",
                expected="one of " + ", ".join(map(str, self._series)) + ".",
                remedy="choose one of these tickers.",
            )
        if not len(self._series[ticker]):
            raise DataError(
                f"There are no bars of {ticker}.",
                expected="at least one that is not forward-filled.",
                remedy="give some.",
            )
        return self._series[ticker]
