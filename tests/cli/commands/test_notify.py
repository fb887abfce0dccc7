"""`notify`, and the commands that send notices to people who trade by hand."""

from __future__ import annotations

import json
import sys

import pytest
from support.cli_runner import one_document

from crypto_refactor.cli.commands.operations.notify import command as notify
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.cli.commands.trade import multi, trade
from crypto_refactor.config import settings

SECRET = "a-secret-token"
SAMPLE = "--source sample --network linear --hours 120 --lookback 12 --end 2024-06-01T00:00Z"
MULTI = (
    "--source sample --network linear --lookback 12 --train-hours 240 --ticker BTC/USD --ticker ETH/USD "
    "--end 2024-06-01T00:00Z"
)


@pytest.fixture
def hook(httpserver):
    httpserver.expect_request(f"/{SECRET}").respond_with_data("thanks")
    return httpserver.url_for(f"/{SECRET}")


def posted(httpserver):
    return [json.loads(request.get_data()) for request, _ in httpserver.log]


# The command


def test_receivers_are_listed_and_nothing_is_sent(run, hook, httpserver):
    done = run(notify, f"--notify {hook} --notify ntfy://{SECRET}")
    assert done.out.splitlines() == [
        "localhost: a usable receiver",
        "ntfy: a usable receiver",
        "Nothing was sent; --test sends a notice to each.",
    ]
    assert httpserver.log == []


def test_each_receiver_gets_a_test_notice_once(run, hook, httpserver):
    done = run(notify, f"--test --notify {hook} --notify {hook.replace('http', 'json')}")
    assert done.out.splitlines() == ["localhost: delivered", "JSON: delivered"]
    first, second = posted(httpserver)
    assert (first["schema"], first["kind"]) == (1, "test")
    assert second["title"] == "Test"
    assert SECRET not in done.out + done.err


def test_one_that_fails_is_named_with_the_cause_and_changes_the_exit_code(run, hook, httpserver):
    httpserver.expect_request("/broken").respond_with_data("no", status=503)
    broken = httpserver.url_for("/broken")
    line = f"--test --notify {broken} --notify json://127.0.0.1:9/{SECRET} --notify {hook}"
    done = run(notify, line, code=1)
    assert done.out.splitlines() == [
        "localhost: not delivered: it answered 503",
        "JSON: not delivered: no connection",
        "localhost 2: delivered",
    ]
    found = one_document(run(notify, f"{line} --json", code=1).out)
    assert found == {
        "schema": 1,
        "receivers": [
            {"receiver": "localhost", "delivered": False, "why": "it answered 503"},
            {"receiver": "JSON", "delivered": False, "why": "no connection"},
            {"receiver": "localhost 2", "delivered": True, "why": None},
        ],
    }
    assert SECRET not in done.out + done.err


def test_the_environment_names_receivers_where_the_command_line_names_none(
    run, hook, monkeypatch, httpserver
):
    monkeypatch.setenv("CRYPTO_NOTIFY", f"  {hook}\n{hook.replace('http', 'json')} ")
    assert run(notify, "--test").out.splitlines() == ["localhost: delivered", "JSON: delivered"]
    assert run(notify, "--notify http://example.com/x").out.startswith("example.com: ")
    assert len(httpserver.log) == 2
    assert SECRET not in repr(settings())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--test", "No receiver of notices is named."),
        (f"--notify what://{SECRET}", "The URL in --notify or CRYPTO_NOTIFY is not valid."),
        (f"--notify https://example.com --notify {SECRET}", "URL 2 of 2 in --notify"),
    ],
)
def test_what_cannot_be_used_is_said_without_the_url(run, line, said):
    done = run(notify, line, code=2)
    assert said in done.err
    assert "Remedy: " in done.err
    assert SECRET not in done.err
    assert one_document(run(notify, f"{line} --json", code=2).out)["error"]["code"] == 2


def test_without_apprise_the_command_that_installs_it_is_named(run, monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    err = run(notify, f"--notify ntfy://{SECRET}", code=2).err
    assert "pip install 'crypto-refactor[notify]'" in err


# Signals for people who trade by hand


def test_a_signal_is_sent_as_it_is_printed(run, hook, httpserver, fits):
    found = one_document(run(signal, f"{SAMPLE} --json --notify {hook}").out)
    (told,) = posted(httpserver)
    assert (told["kind"], told["ticker"], told["account"]) == ("signal", "BTC/USD", None)
    for ours, theirs in {
        "signal": "signal",
        "confidence": "confidence",
        "close": "current_price",
        "predicted": "predicted_price",
        "interval": "interval",
        "threshold": "threshold",
        "conditions": "conditions",
        "bar": "made_at",
        "target_at": "target_at",
    }.items():
        assert told[ours] == found[theirs], ours
    assert told["model"] == found["model_info"]["fingerprint"]
    assert told["simulated"] is True
    assert told["text"].startswith("SIMULATED: BTC/USD: ")
    assert found["direction"] in told["text"]
    assert told["at"].endswith("Z")


def test_a_signal_through_a_service_is_text(run, hook, httpserver, fits):
    run(signal, f"{SAMPLE} --notify {hook.replace('http', 'json')}")
    (told,) = posted(httpserver)
    assert told["title"] == "Signal: BTC/USD"
    assert "confidence" in told["message"]


def test_without_a_receiver_a_signal_is_the_same(run, hook, httpserver, fits):
    run(signal, f"{SAMPLE} --retrain")
    with_one = run(signal, f"{SAMPLE} --json --notify {hook}").out
    assert run(signal, f"{SAMPLE} --json").out == with_one


def test_a_signal_that_fails_is_told_too(run, hook, httpserver):
    run(signal, f"{SAMPLE} --ticker ABC/USD --notify {hook}", code=3)
    (told,) = posted(httpserver)
    assert (told["kind"], told["ticker"], told["code"]) == ("failure", "ABC/USD", 3)
    assert told["remedy"]


def test_a_receiver_that_is_not_there_costs_no_signal(run, fits, monkeypatch, caplog):
    monkeypatch.setattr("crypto_refactor.cli.commands.signal._CLOSING_SECONDS", 0.5)
    done = run(signal, f"{SAMPLE} --json --notify http://127.0.0.1:9/{SECRET}")
    assert one_document(done.out)["ticker"] == "BTC/USD"
    assert "Notices that were not delivered to 127.0.0.1: 1." in caplog.text
    assert SECRET not in done.err + caplog.text


@pytest.mark.parametrize("mode", ["parallel", "sequential"])
def test_a_pass_of_signals_sends_one_for_each_ticker(run, hook, httpserver, fits, mode):
    found = one_document(run(multi, f"--mode {mode} {MULTI} --json --notify {hook}").out)
    told = {notice["ticker"]: notice for notice in posted(httpserver)}
    assert {notice["kind"] for notice in told.values()} == {"signal"}
    for row in found["tickers"]:
        notice = told.pop(row["ticker"])
        assert notice["signal"] == row["signal"]
        assert notice["target"] == row["target"]
        assert notice["predicted"] == row["decision"]["predicted"]
        assert row["reason"] in notice["text"]
    assert told == {}


def test_several_receivers_of_a_pass_each_get_all(run, hook, httpserver, fits):
    run(multi, f"--mode parallel {MULTI} --notify {hook} --notify {hook.replace('http', 'json')}")
    assert len(httpserver.log) == 4


def test_a_traded_pass_tells_of_fills_and_not_of_signals(run, hook, httpserver, fits):
    line = f"--demo {MULTI.replace(' --ticker ETH/USD', '')} --min-confirmations 0 --threshold-scale 0 --notify {hook}"
    run(trade, f"{line} --replay-hours 30")
    assert {notice["kind"] for notice in posted(httpserver)} == {"fill"}
