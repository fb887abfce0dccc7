"""Orders of an account at a broker: whatever happens to them, each leaves once and its end is known."""

from __future__ import annotations

import sqlite3
import time
import traceback
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from support.alpaca_orders import growing, late, partly, race, rejected, stuck, unfilled
from support.alpaca_trading_server import (
    FATES,
    FAULTS,
    KEY,
    ORDERS,
    SECRET,
    AlpacaTradingServer,
    accept_then,
    html,
    reset,
    silence,
    slow,
    status,
    trickle,
)
from support.broker_harness import BTC, HASTY, NAME, Desk
from support.fixed_decisions import decided

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import UnknownOutcomeError, UnreachableError
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.order_record import OrderStatus
from crypto_refactor.trading.ledger.transaction import LedgerTransaction
from crypto_refactor.trading.realtime.trader import RealtimeTrader

ETH = Ticker("ETH", "USD")
LOOKUP = "GET /v2/orders:by_client_order_id"
POSITIONS = "GET /v2/positions*"
NOT_FOUND = status(404, '{"code": 40410000, "message": "order not found"}')
NOT_UNIQUE = status(422, '{"code": 40010001, "message": "client_order_id must be unique"}')
TOO_SMALL = status(403, '{"code": 40310000, "message": "cost basis must be >= minimal amount of order 1"}')
TOO_POOR = status(403, '{"code": 40310000, "message": "insufficient balance for USD"}')
ALWAYS = 1000

EVERY_FAULT = {name: fault for name, fault in FAULTS.items() if name != "slow"} | {
    "slow": slow(0.02),
    "slower than anybody waits": slow(1.3),
    "trickle": trickle(),
    "trickle-after-accept": accept_then(trickle()),
    "duplicate": NOT_UNIQUE,
    "duplicate-after-accept": accept_then(NOT_UNIQUE),
    "500-after-accept": accept_then(status(500)),
    "html-after-accept": accept_then(html(502)),
    "empty-after-accept": accept_then(status(200, "")),
    "nonsense-after-accept": accept_then(status(200, '{"id": null}')),
    "redirect": status(302, "{}", Location="/elsewhere"),
}


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 50_000, "ETH/USD": 2_500}) as running:
        yield running


@pytest.fixture
def desk(server, tmp_path):
    return Desk(server, tmp_path)


@pytest.fixture
def hasty(server, tmp_path):
    return Desk(server, tmp_path, limits=HASTY)


def insistent(desk, signal, times=6):
    """Act again until it is known what came of it, as the loop does."""
    for _ in range(times):
        try:
            return desk.act(signal)
        except (UnknownOutcomeError, UnreachableError):
            desk.sleep(5)
    raise AssertionError("nobody ever found out")


# Faults: one order at most, and its end is known


@pytest.mark.parametrize("name", EVERY_FAULT)
@pytest.mark.parametrize("leg", ["enter", "exit"])
def test_whatever_happens_to_a_request_one_order_is_executed_and_booked(hasty, server, name, leg):
    if leg == "exit":
        insistent(hasty, 1)
        hasty.later(51_000)
    before = len(server.orders)
    server.fail(EVERY_FAULT[name])
    began = time.monotonic()
    insistent(hasty, 1 if leg == "enter" else 0)
    assert time.monotonic() - began < 8
    assert [order.client_order_id for order in server.orders[before:]] == [hasty.own_id(leg)]
    assert [order.stage for order in hasty.orders[before:]] == [OrderStatus.FILLED]
    assert hasty.account.side == (leg == "enter")
    hasty.agrees()


@pytest.mark.parametrize("name", sorted(EVERY_FAULT))
def test_what_stays_unknown_is_an_error_and_the_next_act_finds_it_out(hasty, server, name):
    sent, unseen = EVERY_FAULT[name], status(503)
    server.fail(sent)
    server.fail(unseen, on=LOOKUP, times=HASTY.attempts)
    with suppress(BrokerError):
        hasty.act(1)
        if name != "slow":
            pytest.fail("an unknown outcome was taken for an answer")
    if name != "slow":
        (order,) = hasty.orders
        assert order.stage is OrderStatus.UNSETTLED
        assert hasty.sent() == 1, "nothing is sent again before the look-up has worked"
    entry = insistent(hasty, 1)
    assert "already acted on" in entry.reason
    assert hasty.asked == 1
    assert len(server.orders) == 1
    hasty.agrees()


def test_an_order_that_never_arrives_is_sent_twice_and_then_left_unsettled(desk, server):
    server.fail(reset(), times=2)
    with pytest.raises(UnknownOutcomeError):
        desk.act(1)
    assert (desk.sent(), server.orders) == (2, [])
    assert desk.orders[0].stage is OrderStatus.UNSETTLED
    entry = desk.act(1)
    assert entry.reason == "this bar was already acted on; an order left open was resolved"
    assert [fill.side for fill in entry.fills] == [1]
    assert len(server.orders) == 1
    desk.agrees()


def test_every_sending_carries_the_very_same_order(desk, server):
    server.fail(reset(), times=3)
    insistent(desk, 1)
    assert desk.sent() == 4
    assert len(set(server.posted)) == 1


@pytest.mark.parametrize("answer", [html(404), status(404), status(404, "{}"), html(503), reset()])
def test_only_alpacas_own_word_means_that_an_order_is_not_there(desk, server, answer):
    server.fail(accept_then(reset()))
    server.fail(answer, on=LOOKUP, times=desk.limits.attempts)
    with pytest.raises(UnreachableError):
        desk.act(1)
    assert desk.sent() == 1
    insistent(desk, 1)
    assert desk.sent() == 1
    desk.agrees()


@pytest.mark.parametrize("answer", [html(404), status(503), reset(), status(200, "[]"), html(502)])
def test_a_position_that_cannot_be_asked_for_is_not_flat(desk, server, answer):
    desk.act(1)
    desk.later()
    before, sent = desk.account, desk.sent()
    server.fail(answer, on=POSITIONS, times=ALWAYS)
    with pytest.raises(UnreachableError):
        desk.act(0)
    assert (desk.account, desk.sent(), len(desk.decisions)) == (before, sent, 1)
    server._faults.clear()
    desk.act(0)
    assert desk.held() == 0
    desk.agrees()


def test_an_unsettled_order_is_not_sent_again_where_the_position_cannot_be_asked_for(desk, server):
    server.fail(reset(), times=2)
    with pytest.raises(UnknownOutcomeError):
        desk.act(1)
    server.fail(html(502), on=POSITIONS, times=ALWAYS)
    sent = desk.sent()
    with pytest.raises(UnreachableError):
        desk.act(1)
    assert desk.sent() == sent


def test_a_server_that_never_answers_costs_bounded_time(hasty, server):
    insistent(hasty, 1)
    hasty.later()
    server.fail(silence(), on="*", times=ALWAYS)
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        hasty.act(0)
    assert time.monotonic() - began < 5


def test_hours_that_passed_without_a_decision_are_noted_and_the_next_hour_is_not(desk, server):
    rows = [desk.act(0)]
    for hours in (1, 1, 3):
        for _ in range(hours):
            desk.later()
        rows.append(desk.act(0))
    noted = [[note for note in row.notes if "no decision was made" in note] for row in rows]
    assert noted[:3] == [[], [], []]
    assert noted[3][0].startswith("no decision was made in 2 hours since ")


# Refusals


@pytest.mark.parametrize("answer", [TOO_SMALL, TOO_POOR, status(422, '{"code": 40010001, "message": "no"}')])
def test_a_refused_order_is_final_and_the_next_bar_decides_afresh(desk, server, answer):
    server.fail(answer)
    entry = desk.act(1)
    assert [order.stage for order in entry.orders] == [OrderStatus.REFUSED]
    assert desk.own_id("enter") in entry.notes[0]
    assert (desk.sent(), desk.account.side) == (1, 0)
    assert "already acted on" in desk.act(1).reason
    assert desk.sent() == 1
    desk.later()
    desk.act(1)
    assert [order.stage for order in desk.orders] == [OrderStatus.REFUSED, OrderStatus.FILLED]
    desk.agrees()


def test_a_refused_repetition_says_nothing_of_the_first_sending(desk, server):
    # The first one is accepted, but seen late; the second is refused because the first has the money.
    server.fail(accept_then(reset()))
    server.fail(NOT_FOUND, on=LOOKUP)
    server.fail(TOO_POOR)
    entry = desk.act(1)
    assert [order.stage for order in entry.orders] == [OrderStatus.FILLED]
    desk.agrees()


def test_a_refused_repetition_is_final_only_when_the_first_can_no_longer_arrive(desk, server):
    server.fail(reset())
    server.fail(TOO_POOR, times=ALWAYS)
    for _ in range(3):
        with pytest.raises(UnknownOutcomeError, match="not known to the broker yet"):
            desk.act(1)
        desk.sleep(30)
    assert desk.sent() == 2, "what was refused is not sent again and again"
    desk.sleep(60)
    entry = desk.act(1)
    assert entry.orders[0].stage is OrderStatus.REFUSED
    assert "insufficient balance" in entry.orders[0].detail
    desk.agrees()


# What becomes of an accepted order

FILLS = {
    "partly": (partly(0.5), OrderStatus.PARTLY_FILLED, 0.5),
    "late": (late(), OrderStatus.FILLED, 1),
    "late, in part": (late(0.25), OrderStatus.PARTLY_FILLED, 0.25),
    "stuck": (stuck, OrderStatus.UNFILLED, 0),
    "race": (race(), OrderStatus.FILLED, 1),
    "race, in part": (race(0.75), OrderStatus.PARTLY_FILLED, 0.75),
    "rejected": (rejected, OrderStatus.UNFILLED, 0),
    "unfilled": (unfilled, OrderStatus.UNFILLED, 0),
    "growing": (growing(0.3), OrderStatus.FILLED, 1),
}


def test_every_fate_of_the_server_is_tried():
    assert set(FATES) <= set(FILLS)


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
@pytest.mark.parametrize("name", FILLS)
@pytest.mark.parametrize("leg", ["enter", "exit"])
def test_whatever_becomes_of_an_order_is_booked_as_what_it_is(desk, server, name, leg, lost):
    if leg == "exit":
        desk.act(1)
        desk.later(51_000)
    fate, stage, share = FILLS[name]
    server.fates.append(fate)
    if lost:
        server.fail(accept_then(reset()))
    entry = desk.act(1 if leg == "enter" else 0)
    order, *retried = entry.orders
    assert order.stage is stage
    assert order.filled_quantity == float(server.find(order.client_order_id).filled_qty)
    whole = 1000 / 50_000 * (1 if leg == "enter" else 0.9975)
    assert order.filled_quantity == pytest.approx(whole * share, abs=1e-8)
    assert not server.orders[-1].open
    # The rest of an exit is sold within its hour; that of an entry is not bought.
    again = leg == "exit" and share < 1
    assert [other.leg for other in retried] == ["exit-2"] * again
    assert len(entry.fills) == (share > 0) + again
    assert desk.account.side == (share > 0 if leg == "enter" else 0)
    desk.agrees()


def test_an_order_that_does_not_end_stops_its_ticker_until_it_has(desk, server):
    def for_ever(api, order):
        order.on_cancel = lambda *_: None

    server.fates.append(for_ever)
    with pytest.raises(BrokerError, match="still open at the broker"):
        desk.act(1)
    desk.later()
    with pytest.raises(BrokerError, match="still open at the broker"):
        desk.act(1)
    assert desk.sent() == 1
    assert len(desk.decisions) == 1
    with server.lock:
        server.fill(server.orders[0], Decimal(1))
    entry = desk.act(1)
    assert [(fill.side, fill.at) for fill in entry.fills] == [(1, desk.hour - 1)]
    assert (entry.acted, desk.sent()) == (True, 1)
    desk.agrees()


# The key rule: written down before it is sent


def test_decision_and_intent_are_in_the_ledger_before_the_order_arrives(desk, server):
    seen = []

    def look(handler, proceed):
        with sqlite3.connect(desk.ledger.path) as connection:
            orders = connection.execute("SELECT client_order_id, stage, notional FROM orders").fetchall()
            decisions = connection.execute("SELECT bar, target FROM decisions").fetchall()
        connection.close()
        seen.append((orders, decisions))
        handler.reply(*proceed())

    server.fail(look)
    desk.act(1)
    assert seen == [([(desk.own_id("enter"), "unsettled", 1000.0)], [(desk.hour, 1)])]


class Death(BaseException):
    """The process is gone: nothing that follows runs."""


class Fatal:
    """Counts what a process does to ledger and broker, and ends it at the event with a given number."""

    def __init__(self, at):
        self.at, self.count, self.what, self.died_of = at, 0, None, None

    def event(self, what):
        if self.count == self.at:
            self.what = self.died_of = what
        self.count += 1
        if self.what is not None:  # once dead, always dead
            raise Death(self.what)

    def watch(self, monkeypatch):
        for kind, names in (
            (
                LedgerTransaction,
                (
                    "open",
                    "save_state",
                    "record_bar",
                    "record_fills",
                    "record_decision",
                    "add_intent",
                    "update_order",
                ),
            ),
            (_broker_kind(), ("submit", "order", "position")),
            (RealtimeTrader, ("_outcome",)),
        ):
            for name in names:
                monkeypatch.setattr(kind, name, self._around(getattr(kind, name), name))
        monkeypatch.setattr(Ledger, "transaction", self._around_commit(Ledger.transaction))

    def _around(self, method, name):
        def watched(*args, **options):
            self.event(f"before {name}")
            result = method(*args, **options)
            self.event(f"after {name}")
            return result

        return watched

    def _around_commit(self, transaction):
        @contextmanager
        def watched(ledger, account, ticker):
            with transaction(ledger, account, ticker) as writer:
                yield writer
                self.event("before commit")
            self.event("after commit")

        return watched


def _broker_kind():
    from crypto_refactor.trading.brokers.alpaca import AlpacaBroker

    return AlpacaBroker


def course(folder, monkeypatch, *, dies_at):
    """Buy, sell and buy again; return the state at the end and what the process died of.

    The server's money is no more than the sub-account's, so that buying power is short after each buy.
    """
    with AlpacaTradingServer(prices={"BTC/USD": 50_000}, cash=Decimal(1000)) as server:
        desk, fatal = Desk(server, folder), Fatal(dies_at)
        with monkeypatch.context() as patch:
            fatal.watch(patch)
            for later, (signal, price) in enumerate([(1, 50_000), (0, 51_000)]):
                desk.at(desk.hour + bool(later), price)
                while True:
                    with suppress(Death):
                        desk.act(signal)
                        break
                    fatal.at = fatal.what = None  # started again
        desk.later(50_700)
        desk.act(1)
        desk.agrees(money=1000.0)
        assert len(server.orders) == 3
        return desk.state(), fatal


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_a_process_may_die_at_any_point_and_nothing_is_lost_or_doubled(tmp_path, monkeypatch, part):
    undisturbed, calm = course(tmp_path / "calm", monkeypatch, dies_at=None)
    for at in range(part, calm.count, 4):
        state, fatal = course(tmp_path / str(at), monkeypatch, dies_at=at)
        assert fatal.died_of is not None
        assert state == undisturbed, fatal.died_of
    assert calm.count > 50


def test_it_may_die_again_while_it_finds_out_what_came_of_its_first_life(desk, server, monkeypatch):
    for at in (12, 3, 5, 7, 9, 11):
        with monkeypatch.context() as patch:
            Fatal(at).watch(patch)
            with suppress(Death):
                desk.act(1)
    desk.act(1)
    assert len(server.orders) == 1
    desk.agrees()


# Old orders


def dead_before_sending(desk, signal):
    """Act, and die with the intent written down and nothing sent."""

    class Dying(_broker_kind()):
        def submit(self, request):
            raise Death

    broker = desk.broker()
    broker.__class__ = Dying
    with pytest.raises(Death):
        desk.act(signal, broker=broker)
    assert desk.orders[-1].stage is OrderStatus.UNSETTLED


@pytest.mark.parametrize(("seconds", "stage"), [(290, OrderStatus.FILLED), (310, OrderStatus.EXPIRED)])
def test_an_entry_that_never_left_leaves_within_five_minutes_or_lapses(desk, seconds, stage):
    dead_before_sending(desk, 1)
    desk.sleep(seconds)
    entry = desk.act(1)
    assert entry.orders[0].stage is stage
    assert not entry.acted
    desk.agrees()


def test_an_exit_that_never_left_leaves_within_its_hour(desk):
    desk.act(1)
    desk.later()
    dead_before_sending(desk, 0)
    desk.sleep(1800)
    assert desk.act(1).orders[0].stage is OrderStatus.FILLED
    desk.agrees()


def test_an_order_of_an_older_bar_lapses_and_the_new_bar_is_decided(desk, server):
    dead_before_sending(desk, 1)
    first = desk.own_id("enter")
    desk.later()
    entry = desk.act(1)
    assert [order.stage for order in desk.orders] == [OrderStatus.EXPIRED, OrderStatus.FILLED]
    assert [order.client_order_id for order in server.orders] == [desk.own_id("enter")]
    assert any(first in note and "never arrived" in note for note in entry.notes)
    desk.agrees()


def test_an_order_of_an_older_bar_is_given_time_to_arrive(desk, server):
    desk.at(desk.hour, seconds=3570)
    dead_before_sending(desk, 1)
    desk.later()
    for _ in range(2):
        with pytest.raises(UnknownOutcomeError, match=r"37 s ago|82 s ago"):
            desk.act(1)
        desk.sleep(45)
    assert (desk.sent(), len(desk.decisions)) == (0, 1)
    desk.act(1)
    assert [order.stage for order in desk.orders] == [OrderStatus.EXPIRED, OrderStatus.FILLED]
    assert len(server.orders) == 1


def test_an_order_that_arrives_in_its_time_of_grace_is_booked(desk, server):
    desk.at(desk.hour, seconds=3570)
    server.fail(accept_then(reset()))
    server.fail(NOT_FOUND, on=LOOKUP, times=2)
    server.fail(reset())
    with pytest.raises(UnknownOutcomeError):
        desk.act(1)
    desk.later(52_000)
    entry = desk.act(1)
    assert [(fill.at, fill.price) for fill in entry.fills] == [(desk.hour - 1, 50_000)]
    assert entry.acted
    assert desk.sent() == 2
    desk.agrees()


def test_an_entry_that_never_left_stays_at_home_once_entries_are_blocked(desk):
    dead_before_sending(desk, 1)
    with pytest.raises(UnknownOutcomeError):
        desk.act(1, blocked="halted")
    desk.sleep(130)
    entry = desk.act(1, blocked="halted")
    assert entry.orders[0].stage is OrderStatus.EXPIRED
    assert (desk.sent(), desk.account.side) == (0, 0)


def test_an_exit_that_never_left_leaves_even_while_entries_are_blocked(desk):
    desk.act(1)
    desk.later()
    dead_before_sending(desk, 0)
    assert desk.act(0, blocked="halted").orders[0].stage is OrderStatus.FILLED
    desk.agrees()


def test_nothing_is_sent_again_once_the_hour_has_passed(desk, server):
    desk.at(desk.hour, seconds=3590)

    def last_second(handler, proceed):
        desk.sleep(20)
        reset()(handler, proceed)

    server.fail(last_second)
    with pytest.raises(UnknownOutcomeError):
        desk.act(1)
    assert desk.sent() == 1
    desk.later(seconds=200)
    desk.act(0)
    assert [order.stage for order in desk.orders] == [OrderStatus.EXPIRED]
    assert desk.sent() == 1


def test_a_sale_is_not_sent_again_once_the_account_holds_less(desk, server):
    desk.act(1)
    desk.later()
    dead_before_sending(desk, 0)
    server.sell_by_hand("BTC/USD", desk.held() - 0.005)
    with pytest.raises(UnknownOutcomeError):
        desk.act(0)
    desk.sleep(130)
    desk.act(0)
    assert desk.sent() == 2
    assert [trade.exit_reason for trade in desk.trades] == ["external", "neutral"]
    assert desk.held() == 0


# Once a bar, on the latest bar, on real bars


def test_a_second_act_on_the_same_bar_does_nothing(desk, server):
    desk.act(1)
    before = desk.state()
    entry = desk.act(0)
    assert entry.reason == "this bar was already acted on; nothing was done"
    assert (entry.acted, entry.orders, entry.fills, entry.decision) == (False, (), (), None)
    assert desk.asked == 1
    assert desk.state() == before | {"holding": desk.holding}
    desk.agrees()


@pytest.mark.parametrize("hours", [-1, 1])
def test_no_order_leaves_on_a_bar_that_is_not_the_latest(desk, server, hours):
    desk.now += timedelta(hours=hours)
    with pytest.raises(BrokerError, match="not the latest full hour"):
        desk.act(1)
    assert (desk.sent(), desk.asked, desk.holding) == (0, 0, None)


def test_no_order_leaves_when_deciding_took_longer_than_the_hour(desk):
    def slow_thought():
        desk.sleep(3600)
        return decided(1, close=50_000.0)

    with pytest.raises(BrokerError, match="not the latest full hour"):
        desk.act(1, decide=slow_thought)
    assert (desk.sent(), desk.holding) == (0, None)


def test_no_order_leaves_on_simulated_bars(desk):
    with pytest.raises(BrokerError, match="bars are simulated"):
        desk.act(1, bars=replace(desk.bars, source="sample"))
    assert (desk.sent(), desk.asked) == (0, 0)


def test_no_order_leaves_from_a_simulated_model(desk):
    with pytest.raises(BrokerError, match="model is simulated"):
        desk.act(1, decide=lambda: decided(1, simulated=True))
    assert (desk.sent(), desk.holding) == (0, None)


def test_a_clock_that_was_turned_back_trades_nothing(desk):
    desk.later()
    desk.act(1)
    desk.at(desk.hour - 1)
    with pytest.raises(BrokerError, match="already been processed through"):
        desk.act(0)
    assert desk.sent() == 1


def test_a_blocked_entry_is_a_decision_and_exits_go_on(desk):
    entry = desk.act(1, blocked="halted by hand")
    assert entry.reason.endswith("not done: halted by hand")
    assert (desk.sent(), entry.target) == (0, 1)
    desk.later()
    desk.act(1)
    desk.later()
    desk.act(0, blocked="halted by hand")
    assert [order.leg for order in desk.orders] == ["enter", "exit"]
    assert desk.held() == 0


def test_a_ticker_in_trouble_leaves_the_others_alone(server, tmp_path):
    troubled = Desk(server, tmp_path, limits=HASTY)
    calm = Desk(server, tmp_path, ticker=ETH, price=2500.0)
    server.fail(silence(), times=2)
    with pytest.raises(UnknownOutcomeError):
        troubled.act(1)
    assert calm.act(1).orders[0].stage is OrderStatus.FILLED
    assert insistent(troubled, 1).orders[0].stage is OrderStatus.FILLED
    assert [order.symbol for order in server.orders] == ["ETH/USD", "BTC/USD"]


def test_money_of_an_order_that_is_not_booked_yet_holds_up_no_other_ticker(tmp_path):
    # One ticker's buy is executed, another's is written down, then the process dies.
    with AlpacaTradingServer(prices={"BTC/USD": 50_000, "ETH/USD": 2_500}, cash=Decimal(2000)) as server:
        first, second = Desk(server, tmp_path), Desk(server, tmp_path, ticker=ETH, price=2500.0)
        server.fail(accept_then(reset()))
        server.fail(status(503), on=LOOKUP, times=first.limits.attempts)
        with pytest.raises(UnreachableError):
            first.act(1)
        dead_before_sending(second, 1)
        assert second.act(1).orders[0].stage is OrderStatus.FILLED
        assert first.act(1).orders[0].stage is OrderStatus.FILLED
        assert server.cash == 0


# Secrets


def test_no_key_is_in_the_ledger_in_an_error_or_in_a_note(desk, server):
    def everything(error):
        return "".join(traceback.format_exception(error)) + repr(vars(error))

    body = f'{{"code": 40310000, "message": "no, {KEY} {SECRET}"}}'
    server.fail(status(403, body))
    said = [repr(desk.act(1))]
    desk.later()
    server.fail(status(500, body), times=2)
    with pytest.raises(UnknownOutcomeError) as caught:
        desk.act(1)
    said += [everything(caught.value), repr(desk.act(1))]
    server.fail(status(500, body), on=POSITIONS, times=4)
    with pytest.raises(UnreachableError) as unreachable:
        desk.act(1)
    said.append(everything(unreachable.value))
    files = [path for path in desk.folder.rglob("*") if path.is_file()]
    assert desk.ledger.path in files
    written = b"".join(path.read_bytes() for path in files)
    for secret in (KEY, SECRET):
        assert secret not in "".join(said)
        assert secret.encode() not in written


def test_orders_and_ids_of_other_accounts_are_apart(desk, server):
    desk.act(1)
    assert server.posted[0].count(desk.own_id("enter")) == 1
    assert Ledger(desk.ledger.path).orders("live/x", BTC) == ()
    assert all(request.line != ORDERS for request in server.requests[:-1] if request.path == "/v2/account")
    assert NAME not in server.posted[0]
