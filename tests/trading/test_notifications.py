from __future__ import annotations

import json
import logging
import socket
import threading

import pytest
from pytest_httpserver import HTTPServer
from support.ledgers import entry_order
from werkzeug import Response

from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.execution.sub_account import Fill, SubAccount
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import UnknownOutcomeError
from crypto_refactor.trading.ledger.order_record import OrderStatus
from crypto_refactor.trading.notifications import Notifier, notices, of_account, of_run
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, Unavailable

BTC = Ticker("BTC", "USD")
ETH = Ticker("ETH", "USD")
FILL = Fill(at=477_000, side=1, quantity=0.25, price=60_000.0, fee=15.0, reason="entry")
SECRET = "/hooks/a-secret-path?token=another-secret"


def entry(**fields):
    given = {
        "sub_account": SubAccount.open(1000.0),
        "simulated": False,
        "account": "demo/alpaca",
    } | fields
    return TickerOutcome(
        ticker=BTC, bar=477_000, decision=None, target=1, price=60_000.0, acted=True, reason="x", **given
    )


def error(kind):
    return kind("What happened.", expected="x.", remedy="Do this.")


@pytest.fixture
def hook(httpserver):
    httpserver.expect_request("/hooks/a-secret-path").respond_with_data("thanks")
    return httpserver.url_for(SECRET)


def posted(httpserver):
    return [json.loads(request.get_data()) for request, _ in httpserver.log]


# What is told


def test_nothing_is_told_of_an_hour_in_which_nothing_happened():
    assert notices(entry()) == []
    assert notices(Unavailable(ticker=BTC, why="not offered")) == []


def test_each_fill_is_told():
    first, second = notices(entry(fills=(FILL, FILL)))
    assert first == second
    assert (first["schema"], first["kind"], first["ticker"], first["account"]) == (
        1,
        "fill",
        "BTC/USD",
        "demo/alpaca",
    )
    assert first["bar"] == "2024-06-01T00:00:00Z"
    assert first["text"] == "BTC/USD: bought 0.25 BTC at 60,000.00, entry"
    assert first["fill"] == {
        "at": "2024-06-01T00:00:00Z",
        "side": 1,
        "quantity": 0.25,
        "price": 60_000.0,
        "fee": 15.0,
        "reason": "entry",
    }


def test_simulated_fills_are_marked():
    (told,) = notices(entry(fills=(FILL,), simulated=True))
    assert told["simulated"] is True
    assert told["text"].startswith("SIMULATED: ")


def test_only_refused_orders_are_told_of_orders():
    stages = [*OrderStatus]
    told = notices(entry(orders=tuple(entry_order(stage, "insufficient balance") for stage in stages)))
    assert [(each["kind"], each["text"]) for each in told] == [("refused", "BTC/USD: insufficient balance")]


def test_a_drawdown_halt_is_told_at_the_bar_it_strikes():
    halted = SubAccount(cash=700.0, peak_equity=1000.0, halted=True)
    (told,) = notices(entry(sub_account=halted, newly_halted=True))
    assert (told["kind"], told["equity"], told["peak_equity"]) == ("halt", 700.0, 1000.0)
    assert notices(entry(sub_account=halted)) == []


def test_a_halt_of_the_whole_account_names_it():
    told = of_account("paper/1", "nothing is entered: lunch")
    assert (told["kind"], told["ticker"], told["text"]) == (
        "halt",
        None,
        "paper/1: nothing is entered: lunch",
    )


def test_a_run_is_told_by_its_account_and_a_ticker_of_it_by_name():
    stop = of_run("stop", "terminated", account="paper/1", code=143)
    assert (stop["kind"], stop["ticker"], stop["account"], stop["code"]) == ("stop", None, "paper/1", 143)
    assert stop["text"] == "paper/1: terminated"
    assert of_run("stop", "x", account=None)["text"] == "No account: x"
    gone = of_run("unavailable", "no bars", account="paper/1", ticker=BTC)
    assert (gone["ticker"], gone["text"]) == ("BTC/USD", "BTC/USD: no bars")


@pytest.mark.parametrize(("kind", "told"), [(UnknownOutcomeError, "unknown_outcome"), (DataError, "failure")])
def test_failures_are_told_with_their_remedy(kind, told):
    (notice,) = notices(Failure(ticker=ETH, error=error(kind)))
    assert (notice["kind"], notice["ticker"]) == (told, "ETH/USD")
    assert (notice["text"], notice["remedy"]) == ("ETH/USD: What happened.", "Do this.")
    assert notice["code"] == kind.exit_code


def test_tickers_that_failed_together_are_told_in_one_notice():
    (notice,) = notices(Failure(ticker=ETH, error=error(DataError), also=(BTC,)))
    assert (notice["kind"], notice["ticker"]) == ("failure", None)
    assert (notice["text"], notice["tickers"]) == ("ETH/USD, BTC/USD: What happened.", ["ETH/USD", "BTC/USD"])


# How it is posted


def test_notices_arrive_in_order_as_json(hook, httpserver):
    notifier = Notifier([hook])
    for number in range(5):
        notifier.post({"schema": 1, "number": number})
    notifier.close(5.0)
    assert [notice["number"] for notice in posted(httpserver)] == [0, 1, 2, 3, 4]
    request = httpserver.log[0][0]
    assert (request.method, request.content_type, request.args["token"]) == (
        "POST",
        "application/json",
        "another-secret",
    )


def test_after_the_end_nothing_is_posted_and_a_second_end_is_none(hook, httpserver):
    notifier = Notifier([hook])
    notifier.close(5.0)
    notifier.post({"late": True})
    notifier.close(5.0)
    assert httpserver.log == []


def test_redirections_are_not_followed(httpserver, caplog):
    httpserver.expect_request("/hook").respond_with_response(
        Response(status=307, headers={"Location": "/elsewhere"})
    )
    notifier = Notifier([httpserver.url_for("/hook")])
    notifier.post({})
    notifier.close(0.5)
    assert {request.path for request, _ in httpserver.log} == {"/hook"}
    assert "it answered 307" in caplog.text
    assert notifier.undelivered == 1


@pytest.mark.parametrize("code", [500, 503, 404, 429, 401])
def test_a_notice_that_fails_is_retried_before_the_next_one_and_said_when_it_begins_and_ends(
    httpserver, caplog, code
):
    caplog.set_level(logging.DEBUG)
    for _ in range(3):
        httpserver.expect_ordered_request("/hooks/a-secret-path").respond_with_data("no", status=code)
    for _ in range(2):
        httpserver.expect_ordered_request("/hooks/a-secret-path").respond_with_data("yes")
    notifier = Notifier([httpserver.url_for(SECRET)], first_wait=0.01)
    notifier.post({"a": 1})
    notifier.post({"b": 1})
    notifier.close(10.0)
    ours = [record for record in caplog.records if record.name.startswith(("crypto_refactor", "urllib3"))]
    begin, end = (record.getMessage() for record in ours)
    assert begin == f"A notice could not be posted to localhost: it answered {code}. It is retried."
    assert end.startswith("Notices are delivered to localhost again, after ")
    assert posted(httpserver) == [{"a": 1}] * 4 + [{"b": 1}]
    assert notifier.undelivered == 0


def test_a_notice_that_is_refused_for_good_is_counted_and_holds_up_no_other(httpserver):
    for _ in range(3):
        httpserver.expect_ordered_request("/hook").respond_with_data("no", status=422)
    httpserver.expect_ordered_request("/hook").respond_with_data("yes")
    notifier = Notifier([httpserver.url_for("/hook")], first_wait=0.01)
    notifier.post({"a": 1})
    notifier.post({"b": 1})
    notifier.close(10.0)
    assert posted(httpserver) == [{"a": 1}] * 3 + [{"b": 1}]
    assert notifier.undelivered == 1


def test_of_more_notices_than_may_wait_the_newest_arrive(caplog):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    notifier = Notifier([f"http://127.0.0.1:{port}/hook"], first_wait=30)
    for number in range(250):
        notifier.post({"number": number})
    server = HTTPServer("127.0.0.1", port)
    server.expect_request("/hook").respond_with_data("yes")
    with server:
        notifier.close(60.0)
        numbers = [notice["number"] for notice in posted(server)]
    # One more may be on its way when the queue is full.
    assert numbers[-200:] == list(range(50, 250))
    assert len(numbers) <= 201
    assert len(numbers) + notifier.undelivered == 250
    assert caplog.text.count("too far behind") == 1


def test_a_receiver_that_is_not_there_costs_a_warning_without_the_url(caplog):
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    notifier = Notifier([f"http://someone:pass-word@127.0.0.1:{port}{SECRET}"])
    notifier.post({})
    notifier.post({})
    notifier.close(0.5)
    assert caplog.text.count("could not be posted to 127.0.0.1: ConnectionError") == 1
    assert "Notices that were not delivered to 127.0.0.1: 2." in caplog.text
    assert notifier.undelivered == 2
    assert "secret" not in caplog.text
    assert "pass-word" not in caplog.text


def test_broken_headers_do_not_bring_the_url_into_the_log(caplog):
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nno header at all\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        notifier = Notifier([f"http://127.0.0.1:{server.getsockname()[1]}{SECRET}"])
        notifier.post({})
        notifier.close(0.5)
        thread.join()
    assert "secret" not in caplog.text


def test_a_stalled_receiver_delays_neither_trading_nor_the_end(caplog):
    with socket.create_server(("127.0.0.1", 0), backlog=8) as stalled:
        notifier = Notifier([f"http://127.0.0.1:{stalled.getsockname()[1]}{SECRET}"])
        for number in range(1000):  # far more than may wait
            notifier.post({"number": number})
        notifier.close(0.05)
        assert "127.0.0.1 is too far behind: the oldest notices are dropped." in caplog.text
        assert "Notices that were not delivered to 127.0.0.1: 1000." in caplog.text
    notifier._deliveries[0].thread.join(10)  # the connection was cut: it ends, and posts nothing more
    assert not notifier._deliveries[0].thread.is_alive()


@pytest.mark.parametrize(
    "url", ["", "hook", "ftp://a/b", "http://", "http:///x", "http://[::1", "http://a:99999/", "http://a b/"]
)
def test_what_is_no_web_address_is_refused_without_repeating_it(url):
    with pytest.raises(UsageError) as caught:
        Notifier([url + "?s3cret" if url else url])
    assert "s3cret" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_what_cannot_be_written_as_json_ends_nothing(hook, httpserver, caplog):
    notifier = Notifier([hook])
    notifier.post({"value": float("nan")})
    notifier.post({"value": 1})
    notifier.close(5.0)
    assert posted(httpserver) == [{"value": 1}]
    assert caplog.text.count("cannot be written as JSON") == 1
    assert notifier.undelivered == 1
