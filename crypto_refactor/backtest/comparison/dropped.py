"""Tickers that drop out of a comparison, as a whole or for some of its parameter sets."""

from dataclasses import dataclass

from crypto_refactor.backtest.comparison.request import ComparisonRequest
from crypto_refactor.errors import CryptoRefactorError, UnavailableError
from crypto_refactor.market.ticker import Ticker


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTicker:
    """A ticker that ended in an error; `where` names the parameter sets concerned, empty for all of them."""

    ticker: Ticker
    where: str
    error: CryptoRefactorError


@dataclass(frozen=True, slots=True, kw_only=True)
class UnavailableTicker:
    """A listed ticker that the source does not offer, or that the venue of the parameter sets `where` does not trade."""

    ticker: Ticker
    where: str
    why: str


class DroppedTickers:
    """The tickers of a request that have dropped out so far."""

    def __init__(self, request: ComparisonRequest) -> None:
        self._request = request
        self._not_offered: set[Ticker] = set()
        self.failed: list[FailedTicker] = []
        self.unavailable: list[UnavailableTicker] = []

    @property
    def remaining(self) -> list[Ticker]:
        """The tickers that have not dropped out as a whole."""
        dropped = {failure.ticker for failure in self.failed if not failure.where}
        dropped |= {unavailable.ticker for unavailable in self.unavailable if not unavailable.where}
        return [ticker for ticker in self._request.tickers if ticker not in dropped]

    @property
    def offered(self) -> list[Ticker]:
        """The tickers that the source offers, as far as it has been asked."""
        return [ticker for ticker in self._request.tickers if ticker not in self._not_offered]

    def fail(self, ticker: Ticker, error: CryptoRefactorError, where: str = "") -> None:
        """Report a ticker that ended in an error; one that is not offered has failed only if the request names it."""
        if isinstance(error, UnavailableError):
            self._not_offered.add(ticker)
            self.exclude(ticker, error, where)
        else:
            self.failed.append(FailedTicker(ticker=ticker, where=where, error=error))

    def exclude(self, ticker: Ticker, error: CryptoRefactorError, where: str) -> None:
        """Report a ticker that cannot be traded: a failure only if the request names it."""
        if self._request.explicitly_requested:
            self.failed.append(FailedTicker(ticker=ticker, where=where, error=error))
        else:
            self.unavailable.append(UnavailableTicker(ticker=ticker, where=where, why=error.what))
