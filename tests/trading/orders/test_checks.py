"""What the exchange says must fit what was asked, and no entry leaves late or far from its decision."""

from __future__ import annotations

import json

import pytest
from support.alpaca_orders import partly, stuck
from support.alpaca_trading_server import AlpacaTradingServer, accept_then, reset
from support.broker_harness import BALANCE, NAME, Desk

from crypto_refactor.errors import BrokerError, DataError
from crypto_refactor.trading.brokers import UnknownOutcomeError
from crypto_refactor.trading.ledger.order_record import OrderStatus

LOOKUP = "GET /v2/orders:by_client_order_id"


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 50_000}) as running:
        yield running


@pytest.fixture
def desk(server, tmp_path):
    return Desk(server, tmp_path)


def lies(**fields):
    """Do what was asked and answer with some fields changed."""

    def fault(handler, proceed):
        status, content = proceed()
        handler.answer(status, json.dumps(content | fields))

    return fault


BUY_LIES = {
    "a dust fill": {"filled_qty": "0." + 29 * "0" + "1"},
    "in scientific notation": {"filled_qty": "1e-300"},
    "more than ordered": {"filled_qty": "0.021"},
    "ten times as much": {"filled_qty": "0.2"},
    "less than all": {"filled_qty": "0.019"},
    "nothing at all": {"filled_qty": "0"},
    "at a tenth of the price": {"filled_avg_price": "5000", "filled_qty": "0.2"},
    "at ten times the price": {"filled_avg_price": "500000", "filled_qty": "0.002"},
    "another symbol": {"symbol": "ETH/USD"},
    "another side": {"side": "sell"},
    "another id": {"client_order_id": "cr-another"},
    "no id": {"client_order_id": None},
    "another amount": {"notional": "500"},
    "no amount": {"notional": None, "qty": None},
    "an earlier order": {"created_at": "2024-06-09T12:00:00Z"},
    "an order of tomorrow": {"created_at": "2024-06-11T12:00:00Z"},
    "not a number": {"filled_qty": "nan"},
    "infinite": {"filled_qty": "inf"},
    "a negative amount": {"filled_qty": "-0.02"},
    "a price of nothing": {"filled_avg_price": "0"},
    "no price": {"filled_avg_price": None},
    "a price that is true": {"filled_avg_price": True},
    "an endless number": {"filled_qty": "0." + 5000 * "2"},
}
SALE_LIES = {
    "more than ordered": {"filled_qty": "0.03"},
    "less than all": {"filled_qty": "0.01"},
    "at a tenth of the price": {"filled_avg_price": "5000"},
    "at ten times the price": {"filled_avg_price": "500000"},
    "another side": {"side": "buy"},
    "another amount": {"qty": "0.01"},
}
ALL_LIES = [(1, name) for name in BUY_LIES] + [(0, name) for name in SALE_LIES]


@pytest.mark.parametrize(("signal", "name"), ALL_LIES)
def test_an_answer_that_does_not_fit_books_nothing_and_the_truth_is_booked_once(desk, server, signal, name):
    if not signal:
        desk.act(1)
        desk.later()
    before, orders = desk.holding, len(server.orders)
    fields = BUY_LIES[name] if signal else SALE_LIES[name]
    server.fail(lies(**fields))
    server.fail(lies(**fields), on=LOOKUP, times=3)
    with pytest.raises(BrokerError):
        desk.act(signal)
    order = desk.orders[-1]
    assert (order.stage, order.filled_quantity) == (OrderStatus.UNSETTLED, 0.0)
    if before is not None:
        assert desk.account.quantity == pytest.approx(before.account.quantity)
    server._faults.clear()
    desk.act(signal)
    assert len(server.orders) == orders + 1
    desk.agrees()


def test_a_fill_of_dust_never_lets_a_budget_buy_again(desk, server):
    server.fail(lies(filled_qty="0.000000001"))
    server.fail(lies(filled_qty="0.000000001"), on=LOOKUP, times=100)
    for _ in range(4):
        with pytest.raises(BrokerError):
            desk.act(1)
        desk.later()
    assert len(server.orders) == 1
    assert float(server.cash) >= 100_000 - BALANCE


def test_an_open_order_that_does_not_fit_is_not_cancelled(desk, server):
    server.fates.append(stuck)
    server.fail(lies(notional="77"), times=2)
    with pytest.raises(UnknownOutcomeError, match=r"for 77\.00, and 1,000\.00 was ordered"):
        desk.act(1)
    assert not any(line.startswith("DELETE") for line in server.lines())


# Departure


@pytest.mark.parametrize(
    ("move", "sent"), [(1.0, 1), (1.019, 1), (0.981, 1), (1.021, 0), (0.979, 0), (1.3, 0), (0.5, 0)]
)
def test_an_entry_leaves_near_its_decision_or_lapses(desk, server, move, sent):
    server.prices["BTC/USD"] = 50_000 * move
    entry = desk.act(1)
    assert desk.sent() == sent
    if not sent:
        assert [order.stage for order in entry.orders] == [OrderStatus.EXPIRED]
        assert any("--max-deviation allows 2.0%" in note for note in entry.notes)
    desk.agrees()


@pytest.mark.parametrize("move", [1.3, 0.55])
def test_an_exit_leaves_wherever_the_price_is(desk, server, move):
    desk.act(1)
    desk.later()
    server.prices["BTC/USD"] = 50_000 * move
    desk.act(0)
    assert desk.held() == 0
    desk.agrees()


def test_no_entry_leaves_where_no_price_confirms_it(desk, server):
    def away(ticker):
        raise DataError("Nobody answers.", expected="an answer.", remedy="wait.")

    desk.current_price = away
    entry = desk.act(1)
    assert desk.sent() == 0
    assert any("no current price confirms" in note for note in entry.notes)


def test_an_entry_that_slept_on_its_way_lapses(desk, server):
    def sleeps(handler, proceed):
        desk.sleep(8 * 3600)
        reset()(handler, proceed)

    server.fail(sleeps)
    entry = desk.act(1)
    assert [order.stage for order in entry.orders] == [OrderStatus.EXPIRED]
    desk.at(desk.hour + 8, 65_000, seconds=600)
    desk.act(0)
    assert (desk.held(), desk.sent()) == (0, 1)


def test_an_exit_whose_answer_was_lost_is_not_sold_twice_by_its_retries(desk, server):
    desk.act(1)
    desk.later()
    server.fates.append(partly(0.5))
    server.fail(accept_then(reset()))
    server.fail(lies(filled_qty="9"), on=LOOKUP, times=100)
    with pytest.raises(BrokerError):
        desk.act(0)
    assert len(server.orders) == 2
    server._faults.clear()
    desk.act(0)
    assert desk.held() == 0
    desk.agrees()


def test_a_limit_that_a_refusal_names_holds_from_then_on(desk, server, monkeypatch):
    monkeypatch.setattr("support.alpaca_exchange.MIN_BUY", 2_000)
    broker = desk.broker()
    assert desk.act(1, broker=broker).orders[0].stage is OrderStatus.REFUSED
    assert broker.venue_rules(desk.ticker).min_buy == 2_000
    desk.later()
    entry = desk.act(1, broker=broker)
    assert any("too small" in note for note in entry.notes)
    assert desk.sent() == 1


# Two ledgers on one account


def desks(server, tmp_path, **options):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    return Desk(server, tmp_path / "a"), Desk(server, tmp_path / "b", **options)


def test_a_second_ledger_sends_nothing_and_names_the_order(server, tmp_path):
    first, second = desks(server, tmp_path)
    first.act(1)
    with pytest.raises(BrokerError, match=first.own_id("enter")) as caught:
        second.act(1)
    assert caught.value.exit_code == 5
    assert str(second.ledger.path) in caught.value.expected
    assert server.find(first.own_id("enter"))
    assert len(server.orders) == 1


def test_a_ledger_that_is_begun_anew_does_not_take_over_what_the_lost_one_did(server, tmp_path):
    lost, anew = desks(server, tmp_path)
    lost.act(1)
    for signal in (1, 0, 1):
        anew.later()
        with pytest.raises(BrokerError, match="did not send"):
            anew.act(signal)
    assert (len(server.orders), anew.holding) == (1, None)


def test_two_ledgers_that_bought_in_the_same_second_stop_each_other(server, tmp_path):
    first, second = desks(server, tmp_path)
    executors = [(desk, desk.executor()) for desk in (first, second)]
    for desk, executor in executors:
        desk.executor = lambda broker=None, made=executor: made
        desk.act(1)
        del desk.executor
    assert len(server.orders) == 2
    for desk in (first, second):
        desk.later()
        with pytest.raises(BrokerError, match="did not send"):
            desk.act(0)
        assert desk.trades == ()
    assert len(server.orders) == 2


def test_the_exit_of_another_ledger_is_never_booked_as_an_own_one(server, tmp_path):
    first, second = desks(server, tmp_path)
    first.act(1)
    second.at(first.hour + 1)
    second.ledger.open_account(NAME, "2024-06-10T12:00:00Z")
    second.ledger.record_review(NAME, second.clock(), accepted=True)
    second.act(1)  # a person let it
    first.at(second.hour + 1)
    with pytest.raises(BrokerError, match="did not send"):
        first.act(0)
    assert first.trades == ()
    assert first.account.quantity > 0
