"""One wrong answer about an order, or a ledger that cannot be written, loses no coin and sells none twice."""

from __future__ import annotations

import json
import sqlite3
from contextlib import contextmanager

import pytest
from support.alpaca_orders import late, partly
from support.alpaca_trading_server import AlpacaTradingServer, accept_then, reset, status
from support.broker_harness import BTC, Desk

from crypto_refactor.errors import BrokerError
from crypto_refactor.storage.sqlite_file import SqliteFile
from crypto_refactor.trading.brokers import UnknownOutcomeError, UnreachableError
from crypto_refactor.trading.ledger.order_record import OrderStatus
from crypto_refactor.trading.orders.reconciliation import MissingCoinsError

LOOKUP, LIST = "GET /v2/orders:by_client_order_id", "GET /v2/orders"
NOT_FOUND = status(404, '{"code": 40410000, "message": "order not found"}')


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 50_000}) as running:
        yield running


@pytest.fixture
def desk(server, tmp_path):
    desk = Desk(server, tmp_path)
    desk.open()
    desk.open = lambda: None
    return desk


@contextmanager
def full_disk(monkeypatch):
    """Let every write fail as SQLite reports a full disk."""
    original = SqliteFile.transaction

    @contextmanager
    def transaction(self, begin):
        with original(self, begin) as connection:
            if begin != "BEGIN":
                error = sqlite3.OperationalError("database or disk is full")
                error.sqlite_errorname = "SQLITE_FULL"
                raise error
            yield connection

    with monkeypatch.context() as patch:
        patch.setattr(SqliteFile, "transaction", transaction)
        yield


def changed(**fields):
    """Answer a list of orders with some fields of each changed."""

    def fault(handler, proceed):
        code, rows = proceed()
        handler.answer(code, json.dumps([row | fields for row in rows]))

    return fault


def unanswered(desk, server, signal):
    """Act with an order that arrives, and of which nothing is heard."""
    server.fail(accept_then(reset()))
    server.fail(status(500), on=LOOKUP, times=10)
    with pytest.raises(BrokerError):
        desk.act(signal)
    server._faults.clear()


# Answers about a part: any amount up to what was ordered fits


def denies(handler, proceed):
    """Answer about an order that ended as if nothing had been executed."""
    code, content = proceed()
    handler.answer(
        code, json.dumps(content | {"filled_qty": "0", "filled_avg_price": None, "status": "canceled"})
    )


def claims(part):
    """Answer about an order with another amount executed."""

    def fault(handler, proceed):
        code, content = proceed()
        handler.answer(code, json.dumps(content | {"filled_qty": part}))

    return fault


@pytest.mark.parametrize("part", ["0.000000001", "0.011", "0.0135"])
@pytest.mark.parametrize("signal", [1, 0])
@pytest.mark.parametrize(("fate", "line"), [(partly(0.6), "POST /v2/orders"), (late(0.6), LOOKUP)])
def test_one_false_answer_about_a_part_is_not_booked(desk, server, signal, part, fate, line):
    if not signal:
        desk.act(1)
        desk.later()
    server.fates.append(fate)
    server.fail(claims(part), on=line)
    desk.act(signal)
    desk.agrees()


@pytest.mark.parametrize("signal", [1, 0])
@pytest.mark.parametrize("executed", [0.6, 1.0])
@pytest.mark.parametrize(("fate", "line"), [(partly, "POST /v2/orders"), (late, LOOKUP)])
def test_one_false_answer_that_nothing_was_executed_is_not_booked(desk, server, signal, executed, fate, line):
    if not signal:
        desk.act(1)
        desk.later()
    server.fates.append(fate(executed))
    server.fail(denies, on=line)
    desk.act(signal)
    desk.agrees()


@pytest.mark.parametrize("signal", [1, 0])
def test_answers_about_a_part_that_contradict_each_other_book_nothing(desk, server, signal):
    if not signal:
        desk.act(1)
        desk.later()
    before = desk.account.quantity if not signal else 0.0
    server.fates.append(partly(0.6))
    for part in ("0.001", "0.002", "0.003"):
        server.fail(claims(part), on=LOOKUP)
    with pytest.raises(UnknownOutcomeError, match="contradict each other"):
        desk.act(signal)
    assert desk.orders[-1].stage is OrderStatus.UNSETTLED
    assert desk.holding is None or desk.account.quantity == pytest.approx(before)
    desk.act(signal)
    desk.agrees()


# Orders that one answer denies


@pytest.mark.parametrize("denials", [1, 5])
def test_an_order_that_is_listed_does_not_lapse_because_a_look_up_denies_it(desk, server, denials):
    unanswered(desk, server, 1)
    desk.later()
    server.fail(NOT_FOUND, on=LOOKUP, times=denials)
    for _ in range(denials):
        with pytest.raises(UnreachableError, match=r"lists order .* and says that it does not know it"):
            desk.act(1)
    desk.act(1)
    assert len(server.orders) == 1
    desk.agrees()


@pytest.mark.parametrize("signal", [1, 0])
def test_an_order_that_lapsed_is_booked_once_the_list_shows_it(desk, server, signal):
    if not signal:
        desk.act(1)
        desk.later()
    unanswered(desk, server, signal)
    desk.later()
    server.fail(NOT_FOUND, on=LOOKUP)
    server.fail(lambda handler, _: handler.answer(200, "[]"), on=LIST, times=2)
    if signal:
        desk.act(0)
        assert desk.orders[-1].stage is OrderStatus.EXPIRED
    else:
        with pytest.raises(MissingCoinsError):
            desk.act(0)
    server._faults.clear()
    desk.later()
    desk.act(0)
    desk.agrees()
    assert desk.held() == 0


@pytest.mark.parametrize("hours", [1, 5, 20])
def test_an_order_that_ended_without_an_execution_is_looked_for_during_a_day(desk, server, hours):
    unanswered(desk, server, 1)
    desk.later()
    server.fail(NOT_FOUND, on=LOOKUP)
    server.fail(lambda handler, _: handler.answer(200, "[]"), on=LIST, times=2 * hours)
    for _ in range(hours):
        desk.act(0)
        desk.later()
    server._faults.clear()
    desk.act(0)
    desk.agrees()


def test_a_purchase_that_was_adopted_is_not_booked_again(desk, server):
    from crypto_refactor.trading.manual.reconcile import Adoption, adopt

    unanswered(desk, server, 1)
    desk.later()
    server.fail(NOT_FOUND, on=LOOKUP)
    server.fail(lambda handler, _: handler.answer(200, "[]"), on=LIST, times=2)
    desk.act(0)
    server._faults.clear()
    (row,) = desk.ledger.accounts()
    adopt(desk.ledger, desk.folder, row, desk.broker(), Adoption(ticker=BTC, cost=50_000), desk.clock)
    for _ in range(3):
        desk.later()
        desk.act(1)
    assert desk.account.quantity == pytest.approx(desk.held(), abs=2e-9)
    assert desk.account.cash == pytest.approx(1000 - 0.01995 * 50_000)


# Exits while nothing can be recorded


@pytest.mark.parametrize("foreign", [0.0, 0.5])
@pytest.mark.parametrize("fate", [None, partly(0.5), late(), late(0.3)])
@pytest.mark.parametrize("hours", [0, 1, 3])
def test_an_exit_that_could_not_be_recorded_is_booked_once_and_sells_nothing_else(
    desk, server, monkeypatch, foreign, fate, hours
):
    desk.act(1)
    server.set_position("BTC/USD", desk.held() + foreign)
    desk.later()
    with full_disk(monkeypatch):
        for _ in range(hours + 1):
            server.fates.extend([fate] if fate and not desk.sent() - 1 else [])
            for _ in range(3):
                with pytest.raises(BrokerError):
                    desk.act(0)
            if hours:
                desk.later()
    desk.act(0)
    desk.later().act(0)
    desk.later().act(0)
    assert desk.held() == pytest.approx(foreign, abs=1e-9)
    assert desk.account.quantity == pytest.approx(0, abs=1e-9)
    assert desk.account.cash - 1000 == pytest.approx(float(server.cash) - 100_000, abs=1e-4)
    sold = sum(order.filled_qty for order in server.orders if order.side == "sell")
    assert float(sold) == pytest.approx(0.01995)


def by_hand(desk, executor, rules):
    executor.close(BTC, desk.hour, 50_000, rules)


def by_protection(desk, executor, rules):
    executor.protect(BTC, desk.hour, 50_000, "stop-loss", rules)


@pytest.mark.parametrize("sell", [by_hand, by_protection])
def test_a_close_and_a_protection_sell_although_nothing_can_be_recorded(desk, server, monkeypatch, sell):
    desk.act(1)
    desk.later()
    made = desk.executor()
    with full_disk(monkeypatch), pytest.raises(BrokerError, match="was sent all the same"):
        sell(desk, *made)
    assert desk.held() == 0
    desk.later().act(0)
    assert desk.account.side == 0
    assert desk.account.cash - 1000 == pytest.approx(float(server.cash) - 100_000, abs=1e-4)


# Sales by others at a price that cannot be


@pytest.mark.parametrize("price", ["1", "0.000001", "500000", "99999999999"])
def test_a_sale_far_from_the_price_explains_nothing(desk, server, price):
    desk.act(1)
    desk.later()
    server.sell_by_hand("BTC/USD", desk.held())
    server.fail(changed(filled_avg_price=price), on=LIST, times=9)
    with pytest.raises(MissingCoinsError):
        desk.act(1)
    assert not desk.trades
    server._faults.clear()
    desk.act(1)
    assert [trade.exit_price for trade in desk.trades] == [50_000]
