"""Paging, retries and bad answers, with an exchange in this process."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from support.played_venue import HOUR_MS, FakeExchange, row

from crypto_refactor.errors import DataError, SourceFailedError, UnavailableError
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.market.venues.venue import Venue

BTC = Ticker("BTC", "USD")
NOW = 477_000
BUSY = SourceFailedError("kraken is busy.", expected="an answer.", remedy="wait.")


def venue(exchange, slept=None, *, minutes=10):
    return Venue(
        exchange,
        clock=lambda: to_datetime(NOW) + timedelta(minutes=minutes),
        sleep=(slept if slept is not None else []).append,
    )


def opened(received):
    return received.bars.opened.tolist()


def test_pages_are_joined_from_one_to_the_next():
    exchange = FakeExchange(range(NOW - 100, NOW))
    received = venue(exchange).bars(BTC, NOW - 35, NOW)
    assert opened(received) == list(range(NOW - 35, NOW))
    assert exchange.asked == [NOW - 35, NOW - 25, NOW - 15, NOW - 5]
    assert received.bars.source == "files:kraken"
    assert received.left_out == ()


def test_only_bars_that_have_closed_are_given():
    exchange = FakeExchange(range(NOW - 10, NOW + 2))
    assert opened(venue(exchange).bars(BTC, NOW - 5, NOW + 5)) == list(range(NOW - 5, NOW))


def test_nothing_beyond_what_was_asked_for_is_given():
    exchange = FakeExchange(range(NOW - 100, NOW))
    assert opened(venue(exchange).bars(BTC, NOW - 50, NOW - 45)) == list(range(NOW - 50, NOW - 45))


@pytest.mark.parametrize("hole", [range(NOW - 80, NOW - 50), range(NOW - 100, NOW - 33)])
def test_hours_without_a_trade_and_before_the_listing_end_nothing(hole):
    exchange = FakeExchange(set(range(NOW - 100, NOW)) - set(hole))
    received = venue(exchange).bars(BTC, NOW - 100, NOW)
    assert opened(received) == sorted(set(range(NOW - 100, NOW)) - set(hole))


def test_an_exchange_that_gives_recent_bars_only_gives_those():
    exchange = FakeExchange(range(NOW - 1000, NOW), recent_only=True)
    assert opened(venue(exchange).bars(BTC, NOW - 500, NOW)) == list(range(NOW - 10, NOW))
    assert len(exchange.asked) == 1


def test_an_exchange_that_always_gives_the_same_old_page_ends():
    exchange = FakeExchange(range(NOW - 100, NOW))
    exchange.rows = lambda pair, since: [row(hour) for hour in range(NOW - 100, NOW - 90)]
    assert opened(venue(exchange).bars(BTC, NOW - 100, NOW)) == list(range(NOW - 100, NOW - 90))


def test_an_exchange_that_gives_one_bar_at_a_time_for_ever_is_given_up():
    exchange = FakeExchange(range(NOW - 2000, NOW), page=100)
    exchange.rows = lambda pair, since: [row(since)]
    with pytest.raises(SourceFailedError, match="pages did not reach"):
        venue(exchange).bars(BTC, NOW - 2000, NOW)


def test_the_later_of_two_rows_of_an_hour_counts_and_order_does_not():
    exchange = FakeExchange(())
    exchange.rows = lambda pair, since: [row(NOW - 1), row(NOW - 2), row(NOW - 1, 200.0)]
    received = venue(exchange).bars(BTC, NOW - 2, NOW)
    assert received.bars.open.tolist() == [100.0, 200.0]


# Failing requests


def test_a_page_that_fails_is_asked_for_again_after_growing_waits():
    slept, exchange = [], FakeExchange(range(NOW - 20, NOW), faults=[None, BUSY, BUSY, BUSY])
    assert len(opened(venue(exchange, slept).bars(BTC, NOW - 20, NOW))) == 20
    assert exchange.asked == [NOW - 20, *4 * [NOW - 10]]
    assert slept == [1.0, 2.0, 5.0]


def test_it_is_given_up_after_five_more_attempts():
    slept, exchange = [], FakeExchange(range(NOW - 20, NOW), faults=[BUSY] * 100)
    with pytest.raises(SourceFailedError, match="busy"):
        venue(exchange, slept).bars(BTC, NOW - 20, NOW)
    assert len(exchange.asked) == 6
    assert slept == [1.0, 2.0, 5.0, 10.0, 30.0]


def test_what_is_refused_for_good_is_not_asked_for_again():
    refused = DataError("no.", expected="x.", remedy="y.")
    exchange = FakeExchange(range(NOW - 20, NOW), faults=[refused])
    with pytest.raises(DataError, match=r"no\."):
        venue(exchange).bars(BTC, NOW - 20, NOW)
    assert len(exchange.asked) == 1


# What is not there


@pytest.mark.parametrize(
    ("pairs", "offers"),
    [
        (("BTC/USDT", "BTC/EUR", "ETH/USD"), "It offers BTC/USDT"),
        (("XBT/USD",), "It offers XBT/USD"),
        (("DOGE/TRY",), "nothing alike"),
    ],
)
def test_another_quote_currency_is_another_pair(pairs, offers):
    exchange = FakeExchange(range(NOW - 20, NOW), pairs=pairs)
    with pytest.raises(UnavailableError, match=offers):
        venue(exchange).bars(BTC, NOW - 20, NOW)
    assert exchange.asked == []


def test_no_bar_in_the_range_is_an_error_that_says_so():
    exchange = FakeExchange(range(NOW - 1000, NOW), recent_only=True)
    with pytest.raises(UnavailableError, match="has no bars") as caught:
        venue(exchange).bars(BTC, NOW - 800, NOW - 700)
    assert "recent bars only" in caught.value.remedy


def test_far_more_hours_than_there_are_begin_with_the_first_exchanges():
    exchange = FakeExchange(range(NOW - 10, NOW), page=100_000)
    assert len(opened(venue(exchange).bars(BTC, NOW - 1_000_000, NOW))) == 10
    assert min(exchange.asked) > 300_000


# Rows that are no bars


@pytest.mark.parametrize(
    "values",
    [
        [100.0, 99.0, 101.0, 100.0, 1.0],  # high below low
        [0.0, 101.0, 0.0, 100.0, 1.0],
        [100.0, 101.0, 99.0, 100.0, -1.0],
        [100.0, float("inf"), 99.0, 100.0, 1.0],
        [None, None, None, None, None],
        ["a", "b", "c", "d", "e"],
    ],
)
def test_a_row_that_is_no_bar_is_left_out_and_named(values):
    exchange = FakeExchange(range(NOW - 5, NOW))
    exchange.given[NOW - 3] = [(NOW - 3) * HOUR_MS, *values]
    received = venue(exchange).bars(BTC, NOW - 5, NOW)
    assert opened(received) == [NOW - 5, NOW - 4, NOW - 2, NOW - 1]
    assert len(received.left_out) == 1
    assert "is no bar" in received.left_out[0]
    assert np.isfinite(received.bars.close).all()


def test_nothing_but_bad_rows_is_an_error():
    exchange = FakeExchange(range(NOW - 5, NOW))
    exchange.given = {hour: [hour * HOUR_MS, *5 * [0.0]] for hour in exchange.given}
    with pytest.raises(SourceFailedError, match="is no bar"):
        venue(exchange).bars(BTC, NOW - 5, NOW)


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        {"a": 1},
        "text",
        [NOW * HOUR_MS + 60_000, 1, 1, 1, 1, 1],  # not a full hour
        [NOW, 1, 1, 1, 1, 1],  # no milliseconds
        [-HOUR_MS, 1, 1, 1, 1, 1],
        [(NOW - 1) * HOUR_MS, 1, 1, 1],
        [float("nan"), 1, 1, 1, 1, 1],
    ],
)
def test_what_is_no_row_of_an_hour_is_an_error(bad):
    exchange = FakeExchange(())
    exchange.rows = lambda pair, since: [row(NOW - 2), bad]
    with pytest.raises(SourceFailedError, match="gives no usable hourly bars"):
        venue(exchange).bars(BTC, NOW - 5, NOW)
