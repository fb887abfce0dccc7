"""Ledger and account compared by hand; coins accepted as gone, and taken under the ledger's care."""

from __future__ import annotations

import pytest
from support.alpaca_trading_server import AlpacaTradingServer, accept_then, reset, status
from support.broker_harness import BTC, NAME, Desk

from crypto_refactor.errors import BrokerError, UsageError
from crypto_refactor.trading.manual.reconcile import Adoption, accept_broker, adopt, compare_with_broker
from crypto_refactor.trading.orders.account_review import unmanaged_holdings
from crypto_refactor.trading.orders.reconciliation import MissingCoinsError


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 50_000, "ETH/USD": 1_000}) as running:
        yield running


@pytest.fixture
def desk(server, tmp_path):
    made = Desk(server, tmp_path)
    made.open()
    return made


def row(desk):
    (found,) = desk.ledger.accounts()
    return found


def compare(desk):
    return compare_with_broker(desk.ledger, row(desk), desk.broker(), desk.clock())


def accept(desk, tickers=None):
    return accept_broker(desk.ledger, desk.folder, row(desk), desk.broker(), tickers, desk.clock())


def take(desk, **values):
    return adopt(
        desk.ledger, desk.folder, row(desk), desk.broker(), Adoption(ticker=BTC, **values), desk.clock
    )


@pytest.fixture
def vanished(desk, server):
    """A desk whose coins have left the account without an order."""
    desk.act(1)
    server.set_position("BTC/USD", 0)
    return desk


def test_coins_that_vanish_change_nothing_and_are_an_error_each_hour(vanished):
    before = vanished.account
    for price in (40_000, 30_000, 60_000):
        with pytest.raises(MissingCoinsError, match=r"holds 0 BTC and this ledger 0\.01995"):
            vanished.later(price).act(0)
    assert vanished.account == before
    assert (vanished.trades, vanished.sent()) == ((), 1)


def test_coins_that_come_back_are_traded_as_if_nothing_had_been(vanished, server):
    with pytest.raises(MissingCoinsError):
        vanished.later().act(1)
    server.set_position("BTC/USD", "0.01995")
    vanished.later(45_000).act(0)
    assert vanished.held() == 0
    assert [trade.exit_reason for trade in vanished.trades] == ["neutral"]


def test_an_empty_answer_about_positions_books_nothing_however_long_it_lasts(desk, server):
    desk.act(1)
    server.fail(
        status(404, '{"code": 40410000, "message": "position does not exist"}'),
        on="GET /v2/positions/*",
        times=99,
    )
    server.fail(status(200, "[]"), on="GET /v2/positions", times=99)
    for _ in range(3):
        with pytest.raises(MissingCoinsError):
            desk.later().act(0)
    server._faults.clear()
    desk.later().act(0)
    assert desk.held() == 0
    desk.agrees()


def test_a_part_that_is_explained_is_booked_and_the_rest_stays_an_error(desk, server):
    desk.act(1)
    desk.later()
    server.sell_by_hand("BTC/USD", 0.01)
    server.set_position("BTC/USD", "0.005")
    for _ in range(2):
        with pytest.raises(MissingCoinsError, match=r"holds 0\.005 BTC and this ledger 0\.00995"):
            desk.act(1)
        desk.later()
    assert [round(trade.quantity, 9) for trade in desk.trades] == [0.01]


def test_a_fill_among_the_activities_explains_what_no_listed_order_does(desk, server):
    desk.act(1)
    desk.later()
    server.sell_by_hand("BTC/USD", desk.held())
    del server.orders[-1]  # an order from long ago that filled now
    entry = desk.act(1)
    assert [trade.exit_reason for trade in entry.trades] == ["external"]
    desk.agrees()


def test_one_sale_explains_missing_coins_once(desk, server):
    desk.act(1)
    desk.later()
    server.sell_by_hand("BTC/USD", 0.01)
    desk.act(1)
    server.set_position("BTC/USD", 0)
    with pytest.raises(MissingCoinsError):
        desk.act(1)
    assert len(desk.trades) == 1


def test_agreement_is_said(desk):
    desk.act(1)
    result = compare(desk)
    assert (result.agrees, result.differences, result.foreign_orders) == (True, (), ())


def test_a_difference_is_named_and_changes_nothing_until_it_is_accepted(vanished):
    before = vanished.holding
    (difference,) = compare(vanished).differences
    assert (difference.ticker, difference.ledger, difference.broker) == (BTC, pytest.approx(0.01995), 0)
    assert vanished.holding == before
    result = accept(vanished)
    assert [fill.reason for fill in result.booked[BTC].fills] == ["external"]
    assert (vanished.account.side, vanished.account.quantity) == (0, 0)
    assert compare(vanished).agrees
    vanished.later().act(0)
    assert vanished.later().act(1).orders


def test_nothing_is_accepted_while_an_order_is_unsettled(desk, server):
    desk.act(1)
    desk.later()
    server.fail(accept_then(reset()))
    server.fail(status(503), on="GET /v2/orders:by_client_order_id", times=2)
    with pytest.raises(BrokerError):
        desk.act(0)
    with pytest.raises(BrokerError, match="not known yet"):
        accept(desk)


def test_coins_nobody_manages_are_named(desk, server):
    server.set_position("BTC/USD", "0.5")
    server.set_position("ETH/USD", "2")
    notes = unmanaged_holdings(desk.broker(), desk.ledger, NAME, (BTC,), desk.clock())
    assert "0.5 BTC that this ledger did not open" in notes[BTC]
    assert len(notes) == 2


def test_a_ticker_left_out_of_a_run_is_named(desk):
    desk.act(1)
    notes = unmanaged_holdings(desk.broker(), desk.ledger, NAME, (), desk.clock())
    assert notes == {BTC: "0.01995 BTC of this ledger are held and not managed by this run: no stop, no exit"}


def test_adopted_coins_are_managed_from_then_on(desk, server):
    server.set_position("BTC/USD", "0.01")
    fill = take(desk, cost=40_000.0)
    assert (fill.quantity, fill.price, fill.fee, fill.reason) == (0.01, 40_000, 0, "adopted")
    assert (desk.account.side, desk.account.quantity, desk.account.cash) == (1, 0.01, 0)
    assert unmanaged_holdings(desk.broker(), desk.ledger, NAME, (BTC,), desk.clock()) == {}
    desk.later(44_000).act(0)
    assert desk.held() == 0
    (trade,) = desk.trades
    assert (trade.entry_price, trade.exit_price) == (40_000, 44_000)


def test_an_open_sub_account_pays_for_what_it_adopts(desk, server):
    desk.act(0)
    server.set_position("BTC/USD", "0.01")
    take(desk, cost=50_000.0)
    assert desk.account.cash == 500
    server.set_position("BTC/USD", "0.5")
    with pytest.raises(BrokerError, match=r"has 500\.00 in cash"):
        take(desk, cost=50_000.0)


@pytest.mark.parametrize(("quantity", "cost"), [(0.02, 1.0), (0.0, 1.0), (-1.0, 1.0)])
def test_no_more_is_adopted_than_is_there(desk, server, quantity, cost):
    server.set_position("BTC/USD", "0.01")
    with pytest.raises(BrokerError, match="that this ledger does not manage"):
        take(desk, cost=cost, quantity=quantity)


@pytest.mark.parametrize("cost", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cost_is_a_price(desk, cost):
    with pytest.raises(UsageError, match="--cost"):
        take(desk, cost=cost)


def test_an_exit_goes_although_the_ledger_cannot_be_written(desk, server, monkeypatch):
    from contextlib import contextmanager

    from crypto_refactor.trading.ledger.ledger import Ledger

    desk.act(1)
    desk.later(52_000)

    @contextmanager
    def full(*_):
        raise BrokerError("The disk is full.", expected="space.", remedy="make some.")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "transaction", full)
        for _ in range(3):
            with pytest.raises(BrokerError):
                desk.act(0)
    assert desk.held() == 0
    assert len(server.orders) == 2
    entry = desk.act(0)
    assert [trade.exit_price for trade in entry.trades] == [52_000]
    desk.later().act(0)
    assert desk.account.cash - 1000 == pytest.approx(float(server.cash) - 100_000, abs=1e-4)
    assert len(server.orders) == 2


def test_cash_that_the_account_does_not_have_is_missing(desk, server):
    desk.act(1)
    desk.later().act(0)
    found = compare(desk)
    assert (found.cash_missing, found.cash) == (0.0, desk.account.cash)
    server.cash -= 99_500
    assert compare(desk).cash_missing == pytest.approx(desk.account.cash - float(server.cash))


def test_cash_that_a_person_has_booked_is_not_missing(vanished, server):
    accept(vanished)
    server.cash -= 99_000
    found = compare(vanished)
    assert found.accepted == pytest.approx(found.cash, rel=0.01)
    assert (found.agrees, found.cash_missing) == (True, 0.0)
