"""Bars are asked for where the ledger does not know an outcome, and what cannot be read is said."""

from __future__ import annotations

from support.forecasts import forecast
from support.stub_models import BTC, HeldBars, sample_bars

from crypto_refactor.errors import DataError, UnavailableError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.record.bars_behind import bars_behind

ETH, SOL = Ticker("ETH", "USD"), Ticker("SOL", "USD")
BARS = sample_bars(400)
LAST = int(BARS.closed[-1])


class Failing(HeldBars):
    """A source in which one ticker fails."""

    def __init__(self, bars, ticker, error):
        super().__init__(bars)
        self._wrong = ticker, error

    def now(self, ticker):
        if ticker == self._wrong[0]:
            raise self._wrong[1]
        return LAST


def made(*tickers):
    return {ticker: [forecast(LAST - 9), forecast(LAST - 2)] for ticker in tickers}


def test_bars_reach_from_before_the_first_to_after_the_last_unknown_outcome():
    found, missing = bars_behind(HeldBars(BARS), made(BTC))
    assert missing == ()
    assert int(found[BTC].closed[0]) < LAST - 50
    assert int(found[BTC].closed[-1]) == LAST


def test_a_ticker_that_is_no_longer_offered_costs_the_others_nothing():
    error = UnavailableError("There is no ETH/USD.", expected="one.", remedy="leave it out.")
    found, missing = bars_behind(Failing(BARS, ETH, error), made(ETH, BTC))
    assert list(found) == [BTC]
    assert missing == ("ETH/USD: There is no ETH/USD.",)


def test_a_source_that_fails_is_not_asked_again():
    error = DataError("Nobody answers.", expected="an answer.", remedy="wait.")
    found, missing = bars_behind(Failing(BARS, ETH, error), made(ETH, BTC))
    assert found == {}
    assert missing == ("ETH/USD and those after it: Nobody answers.",)
