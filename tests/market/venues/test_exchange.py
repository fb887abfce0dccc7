"""What ccxt makes of answers, from a server on this machine."""

from __future__ import annotations

import sys

import ccxt
import pytest
from support.played_venue import NAME, PlayedCoinbase
from werkzeug import Response

from crypto_refactor.errors import DataError, SourceFailedError, UnavailableError, UsageError
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.market.venues import Venue, open_exchange

NOW = 477_000


@pytest.fixture
def played(httpserver, monkeypatch):
    return PlayedCoinbase(httpserver, range(NOW - 1000, NOW)).install(monkeypatch)


def test_pages_of_bars_come_through_ccxt(played):
    exchange = open_exchange(NAME)
    assert (exchange.name, exchange.page) == (NAME, 300)
    assert exchange.pairs() == {"BTC/USD", "BTC/USDT", "ETH/USD"}
    received = Venue(exchange, clock=lambda: to_datetime(NOW)).bars(Ticker("BTC", "USDT"), NOW - 700, NOW)
    assert received.bars.opened.tolist() == list(range(NOW - 700, NOW))
    assert str(received.bars.ticker) == "BTC/USDT"
    assert received.bars.close.tolist() == [100.5] * 700
    assert played.requests == 3


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (Response('{"message": "slow down"}', status=429), [1.0]),
        (Response("busy", status=503), [1.0]),
        (Response("null", content_type="application/json"), []),
        (Response("[]", content_type="application/json"), []),
    ],
    ids=["429", "503", "null", "empty list"],
)
def test_an_answer_that_may_be_a_fault_is_asked_for_again(played, fault, waits):
    slept = []
    venue = Venue(open_exchange(NAME), clock=lambda: to_datetime(NOW), sleep=slept.append)
    played.faults = [None, fault]
    received = venue.bars(Ticker("BTC", "USD"), NOW - 500, NOW)
    assert received.bars.opened.tolist() == list(range(NOW - 500, NOW))
    assert slept == waits


@pytest.mark.parametrize(
    "answer",
    ["<html>what?</html>", "[[1, 2]]", '[["a", "b", "c", "d", "e", "f"]]', '[{"time": 1}]', "[1, 2]"],
)
def test_an_answer_that_is_no_list_of_bars_is_an_error_that_names_the_exchange(played, answer):
    venue = Venue(open_exchange(NAME), clock=lambda: to_datetime(NOW), sleep=lambda _: None)
    played.faults = [Response(answer, content_type="application/json") for _ in range(20)]
    with pytest.raises(DataError, match=NAME):
        venue.bars(Ticker("BTC", "USD"), NOW - 250, NOW)


@pytest.mark.parametrize("code", [200, 400])
def test_a_request_that_is_refused_is_an_error_with_the_words_of_the_exchange(played, code):
    played.faults = [
        Response('{"message": "granularity unknown"}', status=code, content_type="application/json")
    ]
    with pytest.raises(DataError, match="granularity unknown"):
        open_exchange(NAME).rows("BTC/USD", NOW - 10)


def test_a_pair_that_is_not_offered(played):
    exchange = open_exchange(NAME)
    with pytest.raises(UnavailableError, match="does not offer"):
        exchange.rows("SOL/USD", NOW - 10)


def test_a_server_that_is_not_there_is_a_failure_that_may_pass(monkeypatch, played):
    played.url = "http://127.0.0.1:9"
    played.install(monkeypatch)
    with pytest.raises(SourceFailedError, match="did not give its list of pairs"):
        open_exchange(NAME).pairs()


@pytest.mark.parametrize(
    ("name", "close"), [("krakn", "kraken"), ("binanse", "binance"), ("coinbse", "coinbase")]
)
def test_an_unknown_exchange_is_refused_with_those_alike(name, close):
    with pytest.raises(UsageError, match=f"did you mean .*{close}"):
        open_exchange(name)


def test_an_exchange_like_no_other_is_refused(monkeypatch):
    with pytest.raises(UsageError, match="There is no exchange 'qqqqqqqq'\\."):
        open_exchange("qqqqqqqq")


def test_an_exchange_without_hourly_bars_is_refused(monkeypatch):
    class Without(ccxt.kraken):
        def describe(self):
            described = super().describe()
            del described["timeframes"]["1h"]
            return described

    monkeypatch.setattr(ccxt, "kraken", Without)
    with pytest.raises(UsageError, match="kraken gives no hourly bars"):
        open_exchange("kraken")


def test_without_ccxt_the_command_that_installs_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    with pytest.raises(UsageError) as caught:
        open_exchange("kraken")
    assert "pip install 'crypto-refactor[venues]'" in caught.value.remedy


@pytest.mark.parametrize("name", ["coinbase", "kraken", "binance", "bitstamp", "okx", "bybit", "kucoin"])
def test_large_exchanges_are_known_with_the_length_of_their_pages(name):
    assert open_exchange(name).page >= 100
