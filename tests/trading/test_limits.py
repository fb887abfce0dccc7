"""Limits on an account as a whole."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.alpaca_trading_server import AlpacaTradingServer
from support.broker_harness import BTC, NAME, Desk

from crypto_refactor.errors import UsageError
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.limits import AccountLimits, LimitGuard

ETH = Ticker("ETH", "USD")


@pytest.fixture
def desk(tmp_path):
    with AlpacaTradingServer(prices={"BTC/USD": 50_000, "ETH/USD": 1_000}) as server:
        yield Desk(server, tmp_path)


def guard(desk, **limits):
    return LimitGuard(AccountLimits(**limits), desk.ledger, NAME, desk.clock)


def test_nothing_is_limited_by_default(desk):
    desk.act(1)
    free = guard(desk)
    assert (free.begin_pass({BTC: 1.0}), free.admit(ETH)) == (None, None)


@pytest.mark.parametrize(("price", "blocked"), [(45_200, False), (44_900, True), (60_000, False)])
def test_the_loss_in_all_is_measured_from_the_opening_balances(desk, price, blocked):
    desk.act(1)  # 1,000 at 50,000
    why = guard(desk, max_loss=100).begin_pass({BTC: price})
    assert (why is not None) == blocked
    if blocked:
        assert "--max-loss is 100.00" in why


def test_the_daily_loss_begins_anew_at_midnight_utc(desk):
    desk.act(1)
    for _ in range(13):  # from 12:00 to 01:00
        desk.later(49_000).act(1)
    assert guard(desk, max_daily_loss=20).begin_pass({BTC: 49_000}) is None
    assert "since 00:00 UTC" in guard(desk, max_daily_loss=20).begin_pass({BTC: 47_000})
    assert guard(desk, max_loss=20).begin_pass({BTC: 49_000}) is not None


def test_positions_are_counted_and_the_own_one_does_not_count(desk):
    desk.act(1)
    one = guard(desk, max_positions=1)
    assert "1 positions are open, and --max-positions is 1" in one.admit(ETH)
    assert one.admit(BTC) is None
    two = guard(desk, max_positions=2)
    assert (two.admit(ETH), two.admit(Ticker("SOL", "USD")) is None) == (None, False)


def test_entries_of_one_pass_count_before_they_are_in_the_ledger(desk):
    one = guard(desk, max_positions=1)
    assert one.admit(BTC) is None
    assert one.admit(ETH) is not None
    one.begin_pass({})
    assert one.admit(ETH) is None


def test_orders_of_the_day_are_counted(desk):
    desk.act(1)
    desk.later().act(0)
    assert "2 orders were sent today" in guard(desk, max_orders=2).admit(BTC)
    assert guard(desk, max_orders=3).admit(BTC) is None
    desk.now = to_datetime(desk.hour) + timedelta(hours=24)
    assert guard(desk, max_orders=2).admit(BTC) is None


@pytest.mark.parametrize("name", ["max_daily_loss", "max_loss", "max_positions", "max_orders"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(name, value):
    with pytest.raises(UsageError, match="--max-"):
        AccountLimits(**{name: value})
