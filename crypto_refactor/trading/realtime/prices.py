"""Prices since the last close: what the demo account fills at, and what confirms or ends a decision."""

from collections.abc import Callable
from datetime import datetime

from crypto_refactor.errors import DataError, UnavailableError
from crypto_refactor.market.hours import floor_hour, to_iso
from crypto_refactor.market.plausibility import MIN_MOVE, is_near_power_of_ten
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.orders.checks import CurrentPrice


def latest_price_since(source: Source, ticker: Ticker, hour: int, close: float) -> float:
    """Return the latest trade's price, or the `close` of the bar of `hour` where no trade came after it.

    Alpaca's bars follow its quotes, and its trades may be hours apart.  A price in another unit than the close is none.
    """
    price = _trade_since(source, ticker, hour)
    return close if price is None or is_near_power_of_ten(price / close) else price


def newest_price(source: Source, ticker: Ticker) -> float:
    """Return the newest price there is, of whatever age: of a trade, or else of a quote.

    Raises
    ------
    DataError
        If there is none.
    """
    try:
        return source.latest_price(ticker).price
    except UnavailableError:
        if not isinstance(source, AlpacaSource):
            raise
        return source.latest_quote(ticker).price


class ConfirmedPrices:
    """Newest prices that protections may act on: one that jumps from the last close waits for a second look."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._closes: dict[Ticker, float] = {}
        self._waiting: dict[Ticker, float] = {}

    def note_close(self, ticker: Ticker, close: float) -> None:
        """Remember a close that is trusted."""
        self._closes[ticker] = close

    def newest(self, ticker: Ticker) -> float | None:
        """Return the newest price; None where it jumps and no earlier look has seen it, or is in another unit.

        Raises
        ------
        DataError
            If there is none.
        """
        price, close = newest_price(self._source, ticker), self._closes.get(ticker)
        before = self._waiting.pop(ticker, None)
        if close is None or not _jumps(price, close):
            return price
        if before is not None and not _jumps(price, before) and not is_near_power_of_ten(price / close):
            return price
        self._waiting[ticker] = price
        return None


def _jumps(price: float, reference: float) -> bool:
    return abs(price / reference - 1) > MIN_MOVE


def current_price(source: Source, clock: Callable[[], datetime]) -> CurrentPrice:
    """Return how to ask for the newest price since the last full hour: of a trade, or else of a quote."""

    def ask(ticker: Ticker) -> float | None:
        hour = floor_hour(clock())
        price = _trade_since(source, ticker, hour)
        return _quote_since(source, ticker, hour) if price is None else price

    return ask


def _trade_since(source: Source, ticker: Ticker, hour: int) -> float | None:
    try:
        latest = source.latest_price(ticker)
    except UnavailableError:
        return None
    return latest.price if latest.at >= to_iso(hour) else None


def _quote_since(source: Source, ticker: Ticker, hour: int) -> float | None:
    if not isinstance(source, AlpacaSource):
        return None
    try:
        latest = source.latest_quote(ticker)
    except DataError:  # the trade before has answered: there is none since the close
        return None
    return latest.price if latest.at >= to_iso(hour) else None
