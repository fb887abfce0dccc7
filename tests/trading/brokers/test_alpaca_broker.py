"""The Alpaca broker, through the real SDK, against a server on this machine."""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
import traceback
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from support.alpaca_orders import growing, late, partly, race, rejected, stuck, unfilled
from support.alpaca_trading_server import (
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

from crypto_refactor.errors import BrokerError, CryptoRefactorError, UsageError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
from crypto_refactor.trading.brokers.base import (
    OrderRefusedError,
    OrderReport,
    OrderRequest,
    OrderState,
    UnknownOutcomeError,
    UnreachableError,
)
from crypto_refactor.transport.session import HttpLimits

BTC, ETH, XRP = (Ticker(base, "USD") for base in ("BTC", "ETH", "XRP"))
NOW = datetime(2024, 6, 10, 12, 0, 7, tzinfo=UTC)
LIMITS = HttpLimits(total=10, attempts=3, first_wait=0.5, max_wait=1.0)
HASTY = replace(LIMITS, connect=0.3, read=0.15, total=0.6, first_wait=0.05)  # where no answer will come
MESSAGE = '{"code": 42210000, "message": "no such thing"}'


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server():
    with AlpacaTradingServer(prices={"BTC/USD": 50_000, "ETH/USD": 2_500}) as running:
        running.date = NOW
        yield running


@pytest.fixture
def waits():
    return []


@pytest.fixture
def new_broker(server, clock, waits):
    def make(**options):
        defaults = {
            "api_key": SecretStr(KEY),
            "secret_key": SecretStr(SECRET),
            "paper": True,
            "url": server.url,
            "limits": LIMITS,
            "clock": clock,
            "sleep": waits.append,
        }
        return AlpacaBroker(**(defaults | options))

    return make


@pytest.fixture
def broker(new_broker):
    return new_broker()


def buy(notional=100.0, *, own_id="b-1", ticker=BTC):
    return OrderRequest(client_order_id=own_id, ticker=ticker, side=1, notional=notional)


def sell(quantity, *, own_id="s-1", ticker=BTC):
    return OrderRequest(client_order_id=own_id, ticker=ticker, side=-1, quantity=quantity)


def is_complete(error):
    return error.exit_code == 5 and all((error.what, error.expected, error.remedy))


def all_text(error):
    """Everything a person or a log could get to see of an error."""
    return "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))


# The account


def test_the_account_is_read_as_alpaca_states_it(broker):
    account = broker.account()
    assert account.account_id == "904837e3-3b76-47ec-b432-046db621571b"
    assert account.equity == 100_000
    assert account.blocked is None


def test_crypto_is_bought_with_money_that_is_not_borrowed(broker, server):
    server.account = {"buying_power": "400000", "non_marginable_buying_power": "7386.56"}
    assert broker.account().buying_power == 7386.56


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": "ACCOUNT_CLOSED"}, "status is ACCOUNT_CLOSED"),
        ({"crypto_status": "INACTIVE"}, "crypto status is INACTIVE"),
        ({"crypto_status": None}, "crypto status is None"),
        ({"trading_blocked": True}, "trading is blocked"),
        ({"account_blocked": True}, "the account is blocked"),
        ({"trade_suspended_by_user": True}, "suspended in the account's own settings"),
    ],
)
def test_an_account_that_takes_no_orders_says_why(broker, server, fields, reason):
    server.account = fields
    assert reason in broker.account().blocked


def test_every_reason_is_named(broker, server):
    server.account = {"trading_blocked": True, "account_blocked": True}
    assert broker.account().blocked == "the account is blocked, trading is blocked"


@pytest.mark.parametrize(
    "damage",
    [
        *(
            {field: value}
            for field in ("non_marginable_buying_power", "equity")
            for value in (None, "", "nan", "inf", [], True)
        ),
        *({"id": value} for value in (None, "", 7, [])),
    ],
)
def test_figures_that_are_none_are_no_account(broker, server, damage):
    server.account = damage
    with pytest.raises(UnreachableError, match="cannot be read"):
        broker.account()


# Order rules


def test_order_rules_come_from_the_asset_list(broker, server):
    server.assets["BTC/USD"] |= {"min_order_size": "0.0001", "min_trade_increment": "0.00001"}
    rules = broker.venue_rules(BTC)
    assert (rules.name, rules.as_of) == ("alpaca", "live")
    assert (rules.increment, rules.min_quantity, rules.min_notional) == (0.00001, 0.0001, 1.0)


@pytest.mark.parametrize("flags", [{"tradable": False}, {"status": "inactive"}])
def test_a_ticker_that_is_not_tradable_has_no_rules(broker, server, flags):
    server.assets["BTC/USD"] |= flags
    with pytest.raises(BrokerError, match="does not trade BTC/USD"):
        broker.venue_rules(BTC)


def test_a_ticker_that_alpaca_does_not_name_has_no_rules(broker):
    with pytest.raises(BrokerError, match="does not name XRP/USD") as caught:
        broker.venue_rules(XRP)
    assert not isinstance(caught.value, UnreachableError)


@pytest.mark.parametrize("value", [None, "0", "-1", "x", "nan"])
@pytest.mark.parametrize("field", ["min_order_size", "min_trade_increment"])
def test_rules_that_are_no_rules_are_refused(broker, server, field, value):
    server.assets["BTC/USD"][field] = value
    with pytest.raises(BrokerError):
        broker.venue_rules(BTC)


def test_a_retired_asset_with_the_same_symbol_does_not_hide_the_living_one(broker, server):
    retired = server.assets["BTC/USD"] | {"id": "old", "status": "inactive", "tradable": False}
    server.assets = {"old": retired} | server.assets | {"older": retired}
    assert broker.venue_rules(BTC).min_notional == 1.0


def test_the_asset_list_is_asked_for_again_after_five_minutes(broker, server, clock):
    broker.venue_rules(BTC)
    broker.venue_rules(ETH)
    assert server.lines() == ["GET /v2/assets"]
    server.assets["BTC/USD"]["tradable"] = False
    clock.now += timedelta(minutes=5)
    with pytest.raises(BrokerError):
        broker.venue_rules(BTC)


# Orders that go well


def test_a_buy_fills_and_is_reported_gross(broker, server):
    report = broker.submit(buy(100.0))
    assert (report.state, report.side, report.ticker) == (OrderState.FILLED, 1, BTC)
    assert (report.filled_quantity, report.average_price) == (0.002, 50_000)
    assert (report.client_order_id, report.detail) == ("b-1", "filled")
    assert report.broker_order_id == server.orders[0].id
    assert datetime.fromisoformat(report.at).tzinfo == UTC
    assert broker.position(BTC).quantity == pytest.approx(0.002 * 0.9975, abs=1e-12)


def test_an_order_says_market_immediate_or_cancel_and_nothing_else(broker, server):
    broker.submit(buy(100.0))
    assert json.loads(server.posted[0]) == {
        "symbol": "BTC/USD",
        "notional": "100",
        "side": "buy",
        "type": "market",
        "time_in_force": "ioc",
        "client_order_id": "b-1",
    }


@pytest.mark.parametrize(
    ("amount", "text"),
    [(12.349, "12.34"), (0.29 + 99, "99.29"), (1e5, "100000"), (1234.5, "1234.5"), (99.999999, "99.99")],
)
def test_money_is_rounded_down_to_cents(broker, server, amount, text):
    broker.submit(buy(amount))
    assert json.loads(server.posted[0])["notional"] == text


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (1e-6, "0.000001"),
        (1e-9, "0.000000001"),
        (0.1, "0.1"),
        (0.1 + 0.2, "0.3"),
        (0.1234567899, "0.123456789"),
        (1.9999999999, "1.999999999"),
        (123456789.0, "123456789"),
        (1e22, "10000000000000000000000"),
    ],
)
def test_a_quantity_goes_out_as_plain_text_with_nine_decimals_at_most(broker, server, quantity, text):
    with contextlib.suppress(OrderRefusedError):  # the account does not hold it all
        broker.submit(sell(quantity))
    assert f'"qty": "{text}"' in server.posted[0]


@pytest.mark.parametrize("request_", [buy(0.009), sell(9e-10), sell(1e-300)])
def test_an_amount_that_rounds_down_to_nothing_is_refused_before_it_is_sent(broker, server, request_):
    with pytest.raises(OrderRefusedError, match="too small"):
        broker.submit(request_)
    assert server.requests == []


def test_all_that_is_available_can_be_sold_whatever_its_digits(broker, server):
    server.set_position("ETH/USD", "12345678.123456789", average_price=1)
    server.prices["ETH/USD"] = "0.01"  # or it would be more than one order may sell
    position = broker.position(ETH)
    report = broker.submit(sell(position.available, ticker=ETH))
    assert report.state is OrderState.FILLED
    assert server.held("ETH/USD") < 1e-8


def test_a_partial_fill_is_reported_as_what_it_is(broker, server):
    server.fates.append(partly(0.4))
    report = broker.submit(buy(100.0))
    assert (report.state, report.filled_quantity, report.detail) == (
        OrderState.PARTLY_FILLED,
        0.0008,
        "canceled",
    )


@pytest.mark.parametrize(("fate", "detail"), [(unfilled, "canceled"), (rejected, "rejected")])
def test_an_order_that_ends_with_nothing_says_so(broker, server, fate, detail):
    server.fates.append(fate)
    report = broker.submit(buy())
    assert (report.state, report.detail) == (OrderState.UNFILLED, detail)
    assert (report.filled_quantity, report.average_price) == (0, None)


def test_an_order_may_fill_after_it_was_accepted(broker, server):
    server.fates.append(late())
    assert broker.submit(buy()).state is OrderState.OPEN
    assert broker.order("b-1").state is OrderState.FILLED


def test_a_fill_in_two_pieces_has_their_average_price(broker, server):
    server.fates.append(growing(0.5))
    first = broker.submit(buy(100.0))
    assert (first.state, first.filled_quantity) == (OrderState.OPEN, 0.001)
    server.prices["BTC/USD"] = 100_000  # the whole is now 0.001: nothing is left to fill
    assert broker.order("b-1").average_price == 50_000


@pytest.mark.parametrize(
    ("word", "filled", "state"),
    [
        ("filled", "1", OrderState.FILLED),
        ("canceled", "0", OrderState.UNFILLED),
        ("canceled", "1", OrderState.PARTLY_FILLED),
        ("expired", "0", OrderState.UNFILLED),
        ("expired", "1", OrderState.PARTLY_FILLED),
        ("rejected", "0", OrderState.UNFILLED),
        ("replaced", "0", OrderState.UNFILLED),
        *[
            (word, filled, OrderState.OPEN)
            for word in [
                "new",
                "accepted",
                "pending_new",
                "partially_filled",
                "pending_cancel",
                "pending_replace",
                "pending_review",
                "accepted_for_bidding",
                "stopped",
                "suspended",
                "calculated",
                "held",
                "done_for_day",
                "a_word_of_tomorrow",
            ]
            for filled in ("0", "1")
        ],
    ],
)
def test_every_state_of_alpaca_means_one_of_ours(broker, server, word, filled, state):
    broker.submit(buy())
    body = server.orders[0].json("x") | {"status": word, "filled_qty": filled, "filled_avg_price": "50000"}
    server.fail(status(200, json.dumps(body)), on="GET /v2/orders:by_client_order_id")
    report = broker.order("b-1")
    assert (report.state, report.detail) == (state, word)


def test_new_fields_of_alpaca_do_not_matter(broker, server):
    broker.submit(buy())
    body = server.orders[0].json("x") | {"order_class": "of tomorrow", "new": {"a": [1]}, "type": "new"}
    server.fail(status(200, json.dumps(body)), on="GET /v2/orders:by_client_order_id")
    assert broker.order("b-1").state is OrderState.FILLED


# Orders that are refused


def test_more_than_is_available_is_refused_with_alpacas_own_words(broker, server):
    server.set_position("BTC/USD", 0.5)
    with pytest.raises(OrderRefusedError) as caught:
        broker.submit(sell(0.6))
    assert "insufficient balance for BTC (requested: 0.6, available: 0.5)" in caught.value.what
    assert is_complete(caught.value)
    assert server.orders == []


def test_less_than_a_dollar_is_refused_with_alpacas_own_words(broker):
    with pytest.raises(OrderRefusedError, match="cost basis must be >= minimal amount of order 1"):
        broker.submit(buy(0.5))


@pytest.mark.parametrize("code", [400, 401, 403, 404, 422])
def test_a_plain_no_is_a_refusal(broker, server, code):
    server.fail(status(code, MESSAGE))
    with pytest.raises(OrderRefusedError, match="no such thing"):
        broker.submit(buy())
    assert len(server.posted) == 1


def test_keys_that_are_not_accepted_refuse_an_order(new_broker, server):
    with pytest.raises(OrderRefusedError, match="forbidden"):
        new_broker(secret_key=SecretStr("another")).submit(buy())
    assert server.orders == []


# Orders whose outcome is unknown

JSON_500 = '{"code": 50010000, "message": "internal server error occurred"}'
UNKNOWN = {
    "a reset before it arrived": reset(),
    "an answer 500": status(500, JSON_500),
    "an answer 502 of a proxy": html(502),
    "an answer 503": status(503, JSON_500),
    "an answer 504 of a proxy": html(504),
    "an answer 429": status(429, '{"message": "too many requests."}', Retry_After="0"),
    "a 403 of a proxy": html(403),
    "a 422 that is no JSON": html(422),
    "a 422 without a message": status(422, "{}"),
    "a 403 that is a list": status(403, "[]"),
    "a redirection": status(307, "", Location="/elsewhere"),
    "an answer 408": status(408, MESSAGE),
    "an answer 409": status(409, MESSAGE),
    "a page with status 200": html(200),
    "broken JSON": status(200, '{"id": "1", '),
    "deep JSON": status(200, "[" * 100_000),
    "an empty answer": status(200, ""),
    "an answer null": status(200, "null"),
    "an answer []": status(200, "[]"),
    "an answer {}": status(200, "{}"),
    "a number": status(200, "7"),
    "another encoding": status(200, b"\xff\xfe{}"),
}
ACCEPTED = {
    "a reset after it was accepted": accept_then(reset()),
    "an answer 504 after it was accepted": accept_then(status(504, JSON_500)),
    "a page 504 after it was accepted": accept_then(html(504)),
    "an answer 429 after it was accepted": accept_then(status(429, JSON_500)),
    "an answer 500 after it was accepted": accept_then(status(500, JSON_500)),
    "an empty answer after it was accepted": accept_then(status(200, "")),
    "another order's answer": accept_then(
        status(200, json.dumps({"client_order_id": "b-2", "id": "x", "symbol": "BTC/USD"}))
    ),
}


@pytest.mark.parametrize("fault", UNKNOWN.values(), ids=UNKNOWN)
def test_an_answer_that_is_no_answer_leaves_the_outcome_unknown(broker, server, fault, waits):
    server.fail(fault)
    with pytest.raises(UnknownOutcomeError) as caught:
        broker.submit(buy())
    assert is_complete(caught.value)
    assert "b-1" in caught.value.what
    assert server.lines() == [ORDERS]
    assert waits == []
    assert broker.order("b-1") is None


@pytest.mark.parametrize("fault", ACCEPTED.values(), ids=ACCEPTED)
def test_an_order_that_was_accepted_is_sent_once_and_found_by_its_id(broker, server, fault, waits):
    server.fail(fault)
    with pytest.raises(UnknownOutcomeError):
        broker.submit(buy())
    assert server.lines() == [ORDERS]
    assert waits == []
    report = broker.order("b-1")
    assert (report.state, report.filled_quantity) == (OrderState.FILLED, 0.002)
    assert len(server.orders) == 1


@pytest.mark.parametrize(
    "fault", [silence(), accept_then(silence()), trickle()], ids=["silence", "accepted", "trickle"]
)
def test_an_order_without_an_answer_ends_in_bounded_time(new_broker, server, fault):
    server.fail(fault)
    started = time.monotonic()
    with pytest.raises(UnknownOutcomeError, match=r"time|within"):
        new_broker(limits=HASTY).submit(buy())
    assert time.monotonic() - started < 3
    assert server.lines() == [ORDERS]


def test_an_order_is_not_sent_after_its_sender_gave_up(new_broker, server, monkeypatch):
    from urllib3.util import connection

    connect, go_on, left = connection.create_connection, threading.Event(), threading.Event()

    def hang(*args, **options):
        go_on.wait(30)
        left.set()
        return connect(*args, **options)

    monkeypatch.setattr(connection, "create_connection", hang)
    before = set(threading.enumerate())
    with pytest.raises(UnknownOutcomeError, match=r"within 0\.2 s"):
        new_broker(limits=replace(HASTY, total=0.2)).submit(buy())
    behind = set(threading.enumerate()) - before
    go_on.set()
    assert left.wait(10)
    for thread in behind:
        thread.join(10)
    assert server.orders == []


def test_a_server_that_is_not_there_leaves_the_outcome_unknown(new_broker, server):
    with AlpacaTradingServer() as gone:
        url = gone.url
    with pytest.raises(UnknownOutcomeError):
        new_broker(url=url).submit(buy())


def test_an_id_that_was_used_before_leaves_the_outcome_unknown(broker, server):
    first = broker.submit(buy())
    with pytest.raises(UnknownOutcomeError, match="must be unique"):
        broker.submit(buy())
    assert broker.order("b-1") == first
    assert len(server.orders) == 1


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (422, "client order id must be unique"),
        (409, "client_order_id already exists"),
        (400, "Duplicate order"),
    ],
)
def test_a_duplicate_is_recognised_in_other_words(broker, server, code, message):
    server.fail(status(code, json.dumps({"code": 40010001, "message": message})))
    with pytest.raises(UnknownOutcomeError):
        broker.submit(buy())


# Looking orders up


def test_an_order_that_alpaca_does_not_know_is_none(broker):
    assert broker.order("never sent") is None


def test_an_id_may_hold_any_character(broker):
    assert broker.submit(buy(own_id="a/b?c=d&e %20#é"[:48])).client_order_id == "a/b?c=d&e %20#é"
    assert broker.order("a/b?c=d&e %20#é").client_order_id == "a/b?c=d&e %20#é"


NOT_AN_ANSWER = {
    "a reset": (reset(), True),
    "an answer 500": (status(500, JSON_500), True),
    "a page 503": (html(503), True),
    "an answer 504": (status(504, JSON_500), True),
    "an answer 429": (status(429, MESSAGE), True),
    "a page 404": (html(404), False),
    "a 404 without Alpaca's code": (status(404, '{"message": "not found"}'), False),
    "a 404 of a path": (status(404, '{"code": 40410000, "message": "endpoint not found."}'), False),
    "a 422": (status(422, MESSAGE), False),
    "a redirection": (status(302, "", Location="/elsewhere"), False),
    "a page 403": (html(403), False),
    "a page 200": (html(200), False),
    "an empty answer": (status(200, ""), False),
    "null": (status(200, "null"), False),
    "{}": (status(200, "{}"), False),
    "deep JSON": (status(200, "[" * 100_000), False),
}
QUESTIONS = {
    "account": (lambda broker: broker.account(), "GET /v2/account"),
    "rules": (lambda broker: broker.venue_rules(BTC), "GET /v2/assets"),
    "position": (lambda broker: broker.position(BTC), "GET /v2/positions/BTCUSD"),
    "all positions": (lambda broker: broker.position(ETH), "GET /v2/positions"),
    "open orders": (lambda broker: broker.open_orders(), "GET /v2/orders"),
    "order": (lambda broker: broker.order("b-1"), "GET /v2/orders:by_client_order_id"),
}


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("fault", NOT_AN_ANSWER.values(), ids=NOT_AN_ANSWER)
def test_what_could_not_be_found_out_is_an_error(broker, server, question, fault):
    broker.submit(buy())
    ask, line = question
    answer, retried = fault
    server.fail(answer, on=line, times=3)
    with pytest.raises(UnreachableError) as caught:
        ask(broker)
    assert is_complete(caught.value)
    assert server.lines().count(line) == (3 if retried else 1)


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_a_question_is_asked_again_after_a_failure_that_passes(broker, server, question, waits):
    broker.submit(buy())
    ask, line = question
    expected = ask(broker)
    server.fail(reset(), on=line)
    server.fail(status(503, JSON_500), on=line)
    again = AlpacaBroker(
        api_key=SecretStr(KEY),
        secret_key=SecretStr(SECRET),
        paper=True,
        url=server.url,
        limits=LIMITS,
        clock=lambda: NOW,
        sleep=waits.append,
    )
    assert ask(again) == expected
    assert len(waits) == 2


@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
@pytest.mark.parametrize("fault", [silence(), trickle()], ids=["silence", "trickle"])
def test_a_question_without_an_answer_ends_in_bounded_time(new_broker, server, question, fault):
    ask, line = question
    server.fail(fault, on=line, times=3)
    started = time.monotonic()
    with pytest.raises(UnreachableError):
        ask(new_broker(limits=HASTY))
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("code", [401, 403])
@pytest.mark.parametrize("question", QUESTIONS.values(), ids=QUESTIONS)
def test_keys_that_are_not_accepted_are_named(broker, server, question, code):
    ask, line = question
    server.fail(status(code, '{"message": "forbidden."}'), on=line)
    with pytest.raises(BrokerError, match="keys") as caught:
        ask(broker)
    assert not isinstance(caught.value, UnreachableError)
    assert "ALPACA_API_KEY" in caught.value.remedy


def test_a_slow_answer_is_an_answer(broker, server):
    server.fail(slow(0.05), on="* *")
    assert broker.account().equity == 100_000


def test_another_orders_answer_is_no_answer(broker, server):
    broker.submit(buy(own_id="b-2"))
    body = json.dumps(server.orders[0].json("x"))
    server.fail(status(200, body), on="GET /v2/orders:by_client_order_id")
    with pytest.raises(UnreachableError):
        broker.order("b-1")


@pytest.mark.parametrize(
    "damage",
    [
        {"filled_qty": None},
        {"filled_qty": "x"},
        {"filled_qty": "nan"},
        {"filled_qty": "-1"},
        {"filled_qty": "0"},
        {"filled_avg_price": None},
        {"filled_avg_price": "0"},
        {"side": "short"},
        {"side": ""},
        {"status": None},
        {"updated_at": "yesterday"},
        {"updated_at": None},
        {"symbol": ""},
        {"symbol": "WHATEVER"},
        {"id": None},
    ],
)
def test_a_damaged_order_is_no_answer(broker, server, damage):
    broker.submit(buy())
    body = json.dumps(server.orders[0].json("x") | damage)
    server.fail(status(200, body), on="GET /v2/orders:by_client_order_id")
    with pytest.raises(UnreachableError, match="cannot be read"):
        broker.order("b-1")


def test_an_order_whose_symbol_has_no_slash_is_resolved_by_the_asset_list(broker, server):
    broker.submit(OrderRequest(client_order_id="b-1", ticker=Ticker("BTC", "USD"), side=1, notional=10))
    body = json.dumps(server.orders[0].json("x") | {"symbol": "BTCUSDT"})
    server.fail(status(200, body), on="GET /v2/orders:by_client_order_id")
    assert broker.order("b-1").ticker == Ticker("BTC", "USDT")


# Open orders


def test_open_orders_are_those_that_have_not_ended(broker, server):
    server.fates += [stuck, late(), partly(0.5)]
    for own_id in ("b-1", "b-2", "b-3", "b-4"):
        broker.submit(buy(own_id=own_id))
    assert {report.client_order_id for report in broker.open_orders().orders} == {"b-1", "b-2"}
    assert server.requests[-1].query == {"status": "open", "limit": "500"}


def test_open_orders_for_anything_but_crypto_are_left_out(broker, server):
    server.fates.append(stuck)
    broker.submit(buy())
    shown = server.orders[0].json("x")
    server.foreign += [
        shown | {"symbol": "AAPL", "asset_class": "us_equity", "client_order_id": "stock"},
        shown | {"symbol": "AVERYLONGNAME/USD", "client_order_id": "odd"},
    ]
    assert [report.client_order_id for report in broker.open_orders().orders] == ["b-1"]


def test_more_open_orders_than_a_list_holds_are_an_error(broker, server):
    server.foreign = [{"asset_class": "us_equity"}] * 500
    with pytest.raises(BrokerError, match="500 open orders"):
        broker.open_orders()


# Cancelling


def test_an_open_order_is_cancelled(broker, server):
    server.fates.append(stuck)
    broker.cancel(broker.submit(buy()))
    assert broker.order("b-1").state is OrderState.UNFILLED
    assert broker.open_orders().orders == ()


def test_an_order_may_fill_while_it_is_being_cancelled(broker, server):
    server.fates.append(race(0.5))
    broker.cancel(broker.submit(buy()))
    assert broker.order("b-1").state is OrderState.PARTLY_FILLED


def test_an_order_that_has_ended_is_left_as_it_is(broker):
    report = broker.submit(buy())
    broker.cancel(report)
    assert broker.order("b-1") == report


@pytest.mark.parametrize(
    "fault",
    [reset(), html(404), html(504), status(429), silence()],
    ids=["reset", "404", "504", "429", "silence"],
)
def test_a_cancellation_is_sent_once_and_its_failure_told(new_broker, server, fault):
    server.fates.append(stuck)
    report = new_broker().submit(buy())
    server.fail(fault, on="DELETE *", times=3)
    with pytest.raises(UnreachableError):
        new_broker(limits=HASTY).cancel(report)
    assert [line.split()[0] for line in server.lines()] == ["POST", "DELETE"]


def test_an_order_of_another_broker_cannot_be_cancelled(broker, server):
    report = OrderReport(
        client_order_id="b-1",
        broker_order_id="../../positions",
        ticker=BTC,
        side=1,
        state=OrderState.OPEN,
        filled_quantity=0.0,
        average_price=None,
        notional=10.0,
        quantity=None,
        created_at="2024-06-10T12:00:00Z",
        at="2024-06-10T12:00:00Z",
        detail="new",
    )
    with pytest.raises(BrokerError):
        broker.cancel(report)
    assert server.requests == []


# Positions


def test_a_position_is_smaller_than_what_was_bought_by_the_fee(broker, server):
    report = broker.submit(buy(100.0))
    position = broker.position(BTC)
    assert position.quantity == position.available == pytest.approx(0.001995, abs=1e-12)
    assert position.quantity < report.filled_quantity
    assert position.average_price == 50_000


def test_a_position_is_asked_for_without_a_slash(broker, server):
    server.set_position("BTC/USD", 1)
    broker.position(BTC)
    assert server.lines()[-1] == "GET /v2/positions/BTCUSD"


def test_what_an_open_sale_holds_back_is_not_available(broker, server):
    server.set_position("BTC/USD", 1)
    server.fates.append(stuck)
    broker.submit(sell(0.4))
    position = broker.position(BTC)
    assert (position.quantity, position.available) == (1.0, 0.6)


def test_nothing_is_held_only_where_alpaca_says_so(broker, server):
    position = broker.position(BTC)
    assert (position.quantity, position.available, position.average_price) == (0, 0, None)
    assert server.lines()[-2:] == ["GET /v2/positions/BTCUSD", "GET /v2/positions"]


@pytest.mark.parametrize("ask", ["account", "rules", "all positions", "open orders"])
def test_not_found_is_no_answer_where_something_must_be(broker, server, ask):
    question, line = QUESTIONS[ask]
    server.fail(status(404, '{"code": 40410000, "message": "not found"}'), on=line)
    with pytest.raises(UnreachableError):
        question(broker)


def test_a_position_that_is_only_found_in_the_list_of_all_is_found(broker, server):
    server.set_position("ETH/USD", 3)
    server.set_position("BTC/USD", 2)
    server.fail(
        status(404, '{"code": 40410000, "message": "position does not exist"}'), on="GET /v2/positions/BTCUSD"
    )
    assert broker.position(BTC).quantity == 2


@pytest.mark.parametrize("symbol", ["BTC/USD", "BTCUSD", "btc/usd"])
def test_a_position_is_matched_by_its_symbol_in_any_form(broker, server, symbol):
    server.set_position("BTC/USD", 2)
    body = server._position("BTC/USD") | {"symbol": symbol}
    server.fail(status(200, json.dumps(body)), on="GET /v2/positions/BTCUSD")
    assert broker.position(BTC).quantity == 2


def test_pairs_that_begin_alike_are_kept_apart(broker, server):
    server.prices["BTC/USDT"] = 50_000
    server.set_position("BTC/USDT", 2)
    assert broker.position(BTC).quantity == 0
    assert broker.position(Ticker("BTC", "USDT")).quantity == 2


@pytest.mark.parametrize(
    "damage",
    [
        {"symbol": "ETHUSD"},
        {"asset_class": "us_equity"},
        {"qty": "-1"},
        {"qty": None},
        {"qty": "x"},
        {"qty_available": None},
        {"qty_available": "nan"},
        {"avg_entry_price": "x"},
    ],
)
def test_a_damaged_position_is_no_answer(broker, server, damage):
    server.set_position("BTC/USD", 2)
    body = server._position("BTC/USD") | damage
    server.fail(status(200, json.dumps(body)), on="GET /v2/positions/BTCUSD")
    with pytest.raises(UnreachableError, match="cannot be read"):
        broker.position(BTC)


def test_a_ticker_that_alpaca_does_not_name_has_no_position(broker):
    with pytest.raises(BrokerError, match="does not name XRP/USD"):
        broker.position(XRP)


# Keys and addresses


def test_orders_go_to_paper_or_to_the_live_account(new_broker):
    assert new_broker(url=None)._url == "https://paper-api.alpaca.markets"
    assert new_broker(url=None, paper=False)._url == "https://api.alpaca.markets"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "https://api.alpaca.markets", ""])
def test_a_live_account_knows_no_other_address(new_broker, url):
    with pytest.raises(UsageError, match="CRYPTO_ALPACA_TRADING_URL"):
        new_broker(paper=False, url=url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.alpaca.markets",
        "https://API.alpaca.markets:443",
        "http://paper-api.alpaca.markets",
        "https://example.com",
        "https://paper-api.alpaca.markets.example.com",
        "https://paper-api.alpaca.markets@example.com",
        "http://10.0.0.1",
        "nonsense",
        "",
    ],
)
def test_paper_orders_and_keys_go_to_paper_or_this_machine_only(new_broker, url):
    with pytest.raises(UsageError) as caught:
        new_broker(url=url)
    assert KEY not in all_text(caught.value)
    assert SECRET not in all_text(caught.value)


@pytest.mark.parametrize(
    "missing", [{"api_key": None}, {"secret_key": None}, {"api_key": None, "secret_key": None}]
)
def test_both_keys_are_needed(new_broker, missing):
    with pytest.raises((UsageError, BrokerError), match="ALPACA_SECRET_KEY") as caught:
        new_broker(**missing)
    assert caught.value.exit_code == (5 if len(missing) == 2 else 2)


def echo(code):
    """Answer with the keys that came in, as a careless proxy may."""

    def fault(handler, _):
        told = f"{handler.headers['APCA-API-KEY-ID']} {handler.headers['APCA-API-SECRET-KEY']}"
        handler.answer(code, json.dumps({"code": 1, "message": told, "status": told}))

    return fault


@pytest.mark.parametrize("fault", [reset(), echo(200), echo(403), echo(404), echo(422), echo(500), html(404)])
def test_no_key_reaches_an_error_or_a_log(new_broker, server, fault, caplog):
    caplog.set_level(logging.DEBUG)
    broker = new_broker(limits=replace(HASTY, read=2, total=4))
    asks = [ask for ask, _ in QUESTIONS.values()] + [lambda broker: broker.submit(buy())]
    server.fail(fault, on="* *", times=100)
    for ask in asks:
        with pytest.raises(CryptoRefactorError) as caught:
            ask(broker)
        text = all_text(caught.value)
        assert KEY not in text
        assert SECRET not in text
    assert KEY not in caplog.text + repr(broker)
    assert SECRET not in caplog.text + repr(broker)


def test_the_sdk_alone_would_send_the_order_again(server, monkeypatch):
    # The reason for all this: if it ever changes, the guard may go.
    from alpaca.trading.client import TradingClient

    monkeypatch.setattr("alpaca.common.rest.time.sleep", lambda _: None)
    server.fail(accept_then(html(504)))
    sdk = TradingClient(KEY, SECRET, url_override=server.url, raw_data=True)
    fields = {"symbol": "BTC/USD", "notional": "10", "side": "buy", "type": "market", "time_in_force": "ioc"}
    sdk.post("/orders", fields)
    sdk._session.close()
    assert len(server.orders) == 2


def test_an_sdk_that_cannot_be_bounded_is_not_used(broker, server, monkeypatch):
    from alpaca.common.rest import RESTClient

    start = RESTClient.__init__

    def without_session(self, *args, **options):
        start(self, *args, **options)
        self._http = vars(self).pop("_session")

    monkeypatch.setattr(RESTClient, "__init__", without_session)
    with pytest.raises(BrokerError, match="alpaca-py"):
        broker.submit(buy())
    assert server.requests == []


def test_threads_may_share_a_broker(broker, server):
    server.prices = lambda symbol: 100
    failures = []

    def trade(number):
        try:
            broker.submit(buy(own_id=f"t-{number}", ticker=(BTC, ETH)[number % 2]))
            broker.position(BTC)
        except CryptoRefactorError as error:
            failures.append(error)

    threads = [threading.Thread(target=trade, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(server.orders) == 8


def test_fees_are_read_page_by_page_in_coins_and_in_money(broker, server):
    for number in range(120):
        server.set_position("BTC/USD", 0)
        broker.submit(buy(own_id=f"b-{number}"))
    server.sell_by_hand("BTC/USD", server.held("BTC/USD"))
    fees = broker.fees_since(NOW - timedelta(days=365 * 10))
    assert len(fees) == 121
    assert {fee.ticker for fee in fees} == {BTC}
    assert all(fee.coins == pytest.approx(0.002 * 0.0025, abs=1e-9) and not fee.money for fee in fees[:-1])
    assert (fees[-1].coins, fees[-1].money) == (0, pytest.approx(100 * 0.9975 * 0.0025, abs=1e-4))


def test_a_fee_of_a_day_counts_at_its_end_and_other_fees_do_not_count(broker, server):
    fee = {"activity_type": "CFEE", "id": "1", "date": "2024-06-01", "qty": "0", "net_amount": "-0.06"}
    server._activities = lambda query: [
        fee | {"symbol": "BTCUSD"},
        fee | {"symbol": "AAPL", "activity_type": "FEE"},
        {"activity_type": "FEE", "id": "2", "date": "2024-06-01", "net_amount": "-1"},
    ]
    (found,) = broker.fees_since(NOW)
    assert (found.ticker, found.money, found.at) == (BTC, 0.06, "2024-06-01T23:59:59Z")
