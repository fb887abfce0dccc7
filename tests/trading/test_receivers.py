"""Several receivers, of several kinds: what each gets, and that none waits for another."""

from __future__ import annotations

import json
import logging
import re
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from support.ledgers import entry_order

from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.execution.sub_account import Fill, SubAccount
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import UnknownOutcomeError
from crypto_refactor.trading.ledger.order_record import OrderStatus
from crypto_refactor.trading.notifications import (
    Notifier,
    notices,
    of_account,
    of_failure,
    of_run,
    stamped,
)
from crypto_refactor.trading.notifications.addresses import open_senders
from crypto_refactor.trading.notifications.notices import of_test
from crypto_refactor.trading.notifications.texts import _TITLES
from crypto_refactor.trading.outcomes import TickerOutcome

BTC = Ticker("BTC", "USD")
SECRET = "a-secret-token"
PAPER = "paper/1"


def outcome(**fields):
    return TickerOutcome(
        ticker=BTC, bar=477_000, simulated=False, account=PAPER, price=60_000.0, reason="x", **fields
    )


def failed(kind):
    return of_failure(kind("What happened.", expected="x.", remedy="Do this."), BTC)


FILL = Fill(at=477_000, side=1, quantity=0.25, price=60_000.0, fee=15.0, reason="entry")
HALTED = SubAccount(cash=700.0, peak_equity=1000.0, halted=True)
KINDS = {
    "start": of_run("start", "trading BTC/USD; open: nothing.", account=PAPER, positions={}),
    "heartbeat": of_run("heartbeat", "alive; no position.", account=PAPER, undelivered=0),
    "summary": of_run("summary", "2024-06-01: equity 1,000.00 (+0.00%)", account=PAPER, equity=1000.0),
    "stop": of_run("stop", "ended: interrupted", account=PAPER, code=130),
    "fill": notices(outcome(fills=(FILL,)))[0],
    "refused": notices(outcome(orders=(entry_order(OrderStatus.REFUSED, "insufficient balance"),)))[0],
    "halt": of_account(PAPER, "entries are blocked: lunch"),
    "drawdown": notices(outcome(newly_halted=True, sub_account=HALTED))[0],
    "failure": failed(DataError),
    "unknown_outcome": failed(UnknownOutcomeError),
    "unmanaged": of_run("unmanaged", "2 BTC are not managed", account=PAPER, ticker=BTC),
    "unavailable": of_run("unavailable", "not offered", account=PAPER, ticker=BTC),
    "recovered": of_run("recovered", "is traded again", account=PAPER, ticker=BTC),
    "alarm": of_run("alarm", "stated confidence stopped coming true", account=PAPER, ticker=BTC),
    "test": of_test(),
}


@pytest.fixture
def hook(httpserver):
    httpserver.expect_request("/hook").respond_with_data("thanks")
    return httpserver.url_for("/hook")


def as_apprise(url):
    return url.replace("http://", "json://")


def posted(httpserver):
    return [json.loads(request.get_data()) for request, _ in httpserver.log]


# Each kind arrives


@pytest.mark.parametrize("kind", KINDS)
def test_a_webhook_gets_each_kind_as_json(hook, httpserver, kind):
    notifier = Notifier([hook])
    notifier.post(stamped(KINDS[kind]))
    notifier.close(10.0)
    (got,) = posted(httpserver)
    assert got.pop("at").endswith("Z")
    assert got == KINDS[kind]
    assert {"schema", "kind", "ticker", "account", "bar", "text"} <= set(got)


@pytest.mark.parametrize("kind", KINDS)
def test_a_service_of_apprise_gets_each_kind_as_people_read_it(hook, httpserver, kind):
    notice = stamped(KINDS[kind])
    notifier = Notifier([as_apprise(hook)])
    notifier.post(notice)
    notifier.close(10.0)
    (got,) = posted(httpserver)
    assert notice["text"] in got["message"]
    assert notice["at"] in got["message"]
    assert str(notice["ticker"] or notice["account"] or "Test") in got["title"]
    assert not got["title"].startswith(notice["kind"]), "a kind has a title of its own"
    assert (got["type"] == "info") == (kind in {"start", "heartbeat", "summary", "fill", "recovered", "test"})
    assert notice.get("remedy", "") in got["message"]
    assert notifier.undelivered == 0


def test_a_kind_that_has_no_title_keeps_its_name(hook, httpserver):
    notifier = Notifier([as_apprise(hook)])
    notifier.post(stamped(of_run("new_kind", "x", account=None)))
    notifier.close(10.0)
    assert posted(httpserver)[0]["title"] == "new_kind"


def test_signs_of_a_markup_language_stay_signs(hook, httpserver):
    notifier = Notifier([as_apprise(hook)])
    notifier.post(of_run("failure", "*<b>&amp;_x_", account=PAPER))
    notifier.close(10.0)
    assert "*<b>&amp;_x_" in posted(httpserver)[0]["message"]
    notifier = Notifier([f"{as_apprise(hook)}?format=html"])
    notifier.post(of_run("failure", "<b>", account=PAPER))
    notifier.close(10.0)
    assert "&lt;b&gt;" in posted(httpserver)[1]["message"]


def test_a_service_that_never_answers_does_not_hold_up_the_end_of_the_process():
    with socket.create_server(("127.0.0.1", 0), backlog=8) as stalled:
        url = f"json://127.0.0.1:{stalled.getsockname()[1]}/?rto=60"
        code = (
            "import sys, time; from crypto_refactor.trading.notifications import Notifier\n"
            "notifier = Notifier([sys.argv[1]]); notifier.post({'kind': 'x', 'text': 'x', 'ticker': '', 'account': ''})\n"
            "notifier.close(0.1); print(notifier.undelivered, flush=True)"
        )
        process = subprocess.Popen([sys.executable, "-c", code, url], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "1\n"
        ended = time.monotonic()
        process.communicate(timeout=60)
        assert time.monotonic() - ended < 50, "it did not wait for the answer"


# Several receivers


def test_every_receiver_gets_every_notice_in_order(hook, httpserver):
    with HTTPServer("127.0.0.1", 0) as other:
        other.expect_request("/other").respond_with_data("thanks")
        notifier = Notifier([hook, other.url_for("/other")])
        for number in range(5):
            notifier.post({"number": number})
        notifier.close(10.0)
        for server in (httpserver, other):
            assert [notice["number"] for notice in posted(server)] == [0, 1, 2, 3, 4]


def test_a_receiver_that_never_answers_delays_no_other(hook, httpserver, caplog):
    with socket.create_server(("127.0.0.1", 0), backlog=8) as stalled:
        notifier = Notifier([f"http://127.0.0.1:{stalled.getsockname()[1]}/{SECRET}", hook])
        for number in range(5):
            notifier.post({"number": number})
        while len(httpserver.log) < 5:  # while the first one still waits for its answer
            time.sleep(0.01)
        assert [notice["number"] for notice in posted(httpserver)] == [0, 1, 2, 3, 4]
        notifier.close(0.05)
        assert notifier.undelivered == 5
    assert "Notices that were not delivered to 127.0.0.1: 5." in caplog.text
    assert SECRET not in caplog.text


def test_the_end_waits_for_all_receivers_together_not_for_one_after_the_other(hook):
    with socket.create_server(("127.0.0.1", 0), backlog=8) as stalled:
        url = f"http://127.0.0.1:{stalled.getsockname()[1]}/"
        notifier = Notifier([f"{url}{number}" for number in range(20)])
        notifier.post({"a": 1})
        began = time.monotonic()
        notifier.close(0.5)
        assert time.monotonic() - began < 20 * 0.5
        assert notifier.undelivered == 20
    for delivery in notifier._deliveries:  # their connections are cut
        delivery.thread.join(10)
        assert not delivery.thread.is_alive()


def test_the_same_receiver_twice_is_one_and_two_of_a_name_are_numbered(hook):
    names = [sender.name for sender in open_senders([hook, f" {hook} ", f"{hook}?2", as_apprise(hook)])]
    assert names == ["localhost", "localhost 2", "JSON"]


# Nothing secret is shown


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"tgram://123456789:{SECRET}-{'x' * 25}/12315544", "Telegram"),
        (f"discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_{SECRET}", "Discord"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#channel", "Slack"),
        (f"ntfy://{SECRET}", "ntfy"),
        (f"mailto://someone:{SECRET}@example.com", "E-Mail"),
    ],
)
def test_a_service_is_called_by_its_name_alone(url, name):
    (sender,) = open_senders([url])
    assert sender.name == name


@pytest.mark.parametrize(("status", "why"), [(500, "it answered 500"), (404, "it answered 404")])
def test_why_a_service_took_nothing_is_said_without_its_address(httpserver, caplog, capfd, status, why):
    caplog.set_level(logging.DEBUG)
    httpserver.expect_request(f"/{SECRET}").respond_with_data(SECRET, status=status)
    (sender,) = open_senders([as_apprise(httpserver.url_for(f"/{SECRET}"))])
    assert sender.send(stamped(of_test())).why == why
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("werkzeug")]
    assert SECRET not in "".join(ours)
    assert SECRET not in "".join(capfd.readouterr())


def test_a_service_that_is_not_there(caplog):
    caplog.set_level(logging.DEBUG)
    notifier = Notifier([f"json://user:{SECRET}@127.0.0.1:9/{SECRET}"])
    notifier.post(of_test())
    notifier.close(2.0)
    assert notifier.undelivered == 1
    assert "could not be posted to JSON: no connection. It is retried." in caplog.text
    assert SECRET not in caplog.text


def test_a_service_that_breaks_ends_nothing(hook, monkeypatch):
    (sender,) = open_senders([as_apprise(hook)])
    monkeypatch.setattr(sender._plugin, "notify", lambda **_: 1 / 0)
    assert sender.send(of_test()).why == "ZeroDivisionError"


@pytest.mark.parametrize(
    "url", [f"unknown://{SECRET}", f"tgram://{SECRET}", f"nothing-{SECRET}", "json://", f"http://[{SECRET}"]
)
def test_which_url_cannot_be_used_is_said_by_its_place(hook, url, caplog, capfd):
    with pytest.raises(UsageError) as caught:
        Notifier([hook, url])
    assert caught.value.what.startswith("URL 2 of 2 in --notify or CRYPTO_NOTIFY")
    shown = f"{caught.value!r} {caught.value.__context__!r} {caplog.text} {capfd.readouterr()}"
    assert SECRET not in shown


def test_without_apprise_webhooks_work_and_others_name_what_to_install(hook, httpserver, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(UsageError) as caught:
        open_senders([f"ntfy://{SECRET}"])
    assert "pip install 'crypto-refactor[notify]'" in caught.value.remedy
    assert SECRET not in repr(caught.value)
    notifier = Notifier([hook])
    notifier.post({"a": 1})
    notifier.close(5.0)
    assert posted(httpserver) == [{"a": 1}]


# What the documentation says

DOCS = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text(encoding="utf-8")
FILLED_IN = {
    "BOT_TOKEN": f"123456789:{'x' * 35}",
    "CHAT_ID": "12315544",
    "WEBHOOK_ID": "4174216298",
    "WEBHOOK_TOKEN": "JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "TOKEN_A": "T1JJ3T3L2",
    "TOKEN_B": "A1BRTD4JD",
    "TOKEN_C": "TIiajkdnlazkcOXrIdevi7FQ",
    "APP_PASSWORD": "password",
    "ADDRESS": "someone@example.com",
    "USER": "user",
    "PASSWORD": "password",
    "HOST": "example.com",
    "TOPIC": "topic",
    "PATH": "path",
}


def documented_urls():
    table = DOCS.split("## One line each", 1)[1].split("\n\n", 2)[1]
    urls = [url for url in re.findall(r"`([a-z]+://[^`]+)`", table) if "api.telegram.org" not in url]
    for name, value in FILLED_IN.items():
        urls = [url.replace(name, value) for url in urls]
    return urls


def test_every_documented_url_is_one_that_is_known():
    urls = documented_urls()
    assert len(urls) == 8
    names = [sender.name for sender in open_senders(urls)]
    assert names == ["ntfy", "ntfy 2", "Telegram", "Discord", "Slack", "E-Mail", "E-Mail 2", "example.com"]


def test_every_kind_is_documented():
    documented = {
        name
        for row in re.findall(r"^\| (`.*?) \|", DOCS, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert {notice["kind"] for notice in KINDS.values()} <= documented
    assert set(_TITLES) <= documented


# Signals


def test_a_row_that_trades_nothing_and_decides_nothing_is_not_told():
    assert notices(replace(outcome(), account=None)) == []
