"""Orders above the venue's maximum: several orders, one position, one trade, whenever a process dies between them."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from support.alpaca_orders import partly
from support.alpaca_trading_server import AlpacaTradingServer
from support.broker_harness import BTC, NAME, Desk

from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.fills import fill_at_open
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_status import account_status, trades_of

from .test_broker_orders import Death, Fatal

ETH = Ticker("ETH", "USD")
BALANCE = 500_000.0


@pytest.fixture
def server():
    with AlpacaTradingServer(
        prices={"BTC/USD": 50_000, "ETH/USD": 2_500}, cash=Decimal(2_000_000)
    ) as running:
        yield running


@pytest.fixture
def desk(server, tmp_path):
    return Desk(server, tmp_path, balance=BALANCE)


def backtest(desk, entry_price, exit_price):
    """Return what the execution of a backtest makes of the same entry and exit."""
    _, rules = desk.executor()
    account = SubAccount.open(BALANCE)
    hours = desk.hour - 1, desk.hour
    bought = fill_at_open(
        account, (Enter(side=1, fraction=1.0),), entry_price, hours[0], adjacent=True, rules=rules
    )
    sold = fill_at_open(bought.account, (Exit("neutral"),), exit_price, hours[1], adjacent=True, rules=rules)
    return bought.fills + sold.fills, sold.trades


def assert_same(trades, others):
    assert len(trades) == len(others)
    for trade, other in zip(trades, others, strict=True):
        assert trade[:1] + trade[1:2] + trade[-1:] == other[:1] + other[1:2] + other[-1:]
        assert trade[2:7] == pytest.approx(other[2:7], rel=1e-6)


def test_an_exit_in_several_orders_is_one_trade_as_in_a_backtest(desk):
    desk.act(1)
    entry = desk.later(51_000).act(0)
    fills, trades = backtest(desk, 50_000, 51_000)
    assert len(entry.orders) > 2
    assert len(entry.fills) == len(entry.orders)
    assert len(desk.ledger.fills(NAME, BTC)) == len(fills)
    assert_same(entry.trades, trades)
    assert_same(desk.trades, trades)
    (row,) = desk.ledger.accounts()
    status = account_status(desk.ledger, desk.folder, row, [row])
    assert_same([trade for _, trade in trades_of(status, desk.ledger) if trade.closed], trades)


def test_a_close_by_hand_in_several_orders_is_one_trade(desk):
    desk.act(1)
    desk.later(51_000)
    result = desk.close()
    assert len(result.fills) > 2
    assert [trade.exit_reason for trade in result.trades] == ["close"]
    assert len(desk.trades) == 1


def test_what_is_sold_by_a_later_bar_is_a_trade_of_its_own(desk, server):
    desk.act(1)
    desk.later(51_000)
    server.fates += [partly(0.5)] * 12
    desk.act(0)
    assert len(desk.trades) == 1
    server.fates.clear()
    desk.later(52_000).act(0)
    assert len({trade.exit_hour for trade in desk.trades}) == len(desk.trades) == 2
    profit = sum(trade.net_pnl for trade in desk.trades)
    assert desk.account.equity(52_000) - BALANCE == pytest.approx(profit, abs=1.0)


class Noted(Fatal):
    """Remembers the name of each event, too."""

    def __init__(self, at):
        super().__init__(at)
        self.names = []

    def event(self, what):
        self.names.append(what)
        super().event(what)


def portfolio(folder, monkeypatch, *, dies_at):
    """Buy and sell two tickers, each in several orders; the process dies once and is started again."""
    prices = {"BTC/USD": 50_000, "ETH/USD": 2_500}
    with AlpacaTradingServer(prices=prices, cash=Decimal(1_000_000)) as server:
        desks = [
            Desk(server, folder, ticker=ticker, price=prices[str(ticker)], balance=BALANCE)
            for ticker in (BTC, ETH)
        ]
        fatal = Noted(dies_at)
        with monkeypatch.context() as patch:
            fatal.watch(patch)
            for signal in (1, 0):
                for desk in desks:
                    desk.at(desk.hour + (signal == 0))
                    server.clock = desk.clock
                while True:
                    with suppress(Death):
                        for desk in desks:
                            desk.act(signal)
                        break
                    fatal.at = fatal.what = None
        for desk in desks:
            assert len(desk.trades) == 1
            assert desk.held() == pytest.approx(desk.account.quantity, abs=2e-9)
        return [desk.state() for desk in desks], fatal


@pytest.mark.slow
def test_a_portfolio_that_dies_between_two_orders_of_one_leg_goes_on_where_it_was(tmp_path, monkeypatch):
    undisturbed, calm = portfolio(tmp_path / "calm", monkeypatch, dies_at=None)
    between = [number for number, name in enumerate(calm.names) if name.endswith("submit")]
    assert len(between) > 20
    for at in between:
        states, fatal = portfolio(tmp_path / str(at), monkeypatch, dies_at=at)
        assert fatal.died_of is not None
        assert states == undisturbed, f"{at}: {fatal.died_of}"
