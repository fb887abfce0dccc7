"""Runs that trade until stopped: what becomes of their output, of a bad start, and how their end is told."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support.alpaca_trading_server import html, reset, status
from support.cli_runner import PATIENCE, words

from crypto_refactor.cli.trading.lasting_output import LastingOutput
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_names import ledger_of

from .test_trading_at_alpaca import RULES, models, open_world, within_one_hour  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow  # runs that last, as real processes

BTC = Ticker("BTC", "USD")
LINE = f"run_trading --ticker BTC/USD {RULES}"


def wait_for(what, process):
    """Return what `what()` returns once that is something, as long as the process runs."""
    deadline = time.monotonic() + PATIENCE
    while not (found := what()):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def decided(world):
    ledger = ledger_of(world.home.folder / "state")
    if not ledger.path.exists():
        return []
    return [row.name for row in ledger.accounts() if ledger.decisions(row.name, BTC)]


def stop(process, code=143, number=signal.SIGTERM):
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == code, err
    assert "Traceback" not in (err or "")
    return out, err


def start(world, line, **streams):
    return subprocess.Popen(
        words(line), **{**world.home.options(**world.environment()), **streams}, start_new_session=True
    )


# Output is no reason to stop trading


@within_one_hour
def test_a_reader_that_leaves_does_not_end_trading(world):
    process = start(world, f"{LINE} --json")
    process.stdout.close()
    process.stdout = None
    wait_for(lambda: decided(world), process)
    _, err = stop(process)
    assert err.count("stdout cannot be written (Broken pipe); trading goes on.") == 1
    assert "; open: " in err


@within_one_hour
def test_a_full_disk_under_stdout_does_not_end_trading(world):
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        process = start(world, LINE, stdout=full)
    wait_for(lambda: decided(world), process)
    _, err = stop(process)
    assert err.count("stdout cannot be written (No space left on device); trading goes on.") == 1
    assert "; open: " in err


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", ">/dev/full 2>/dev/full", "2>&1 | :"])
@within_one_hour
def test_neither_closed_nor_broken_streams_end_trading(world, httpserver, redirection):
    httpserver.expect_request("/hook").respond_with_data("thanks")
    command = " ".join(f"'{word}'" for word in words(f"{LINE} --notify {httpserver.url_for('/hook')}"))
    # The process is the shell's own, or the first of its pipe: its number is told in a file.
    noted = world.home.work / "pid"
    script = f"(echo $BASHPID > {noted}; exec {command}) {redirection}"
    process = subprocess.Popen(
        ["bash", "-o", "pipefail", "-c", script],
        **(world.home.options(**world.environment()) | {"stdout": None, "stderr": None}),
        start_new_session=True,
    )
    wait_for(lambda: decided(world), process)
    os.kill(int(noted.read_text()), signal.SIGTERM)
    assert process.wait(PATIENCE) == 143
    kinds = [json.loads(request.get_data())["kind"] for request, _ in httpserver.log]
    assert kinds[-1] == "stop"
    assert ("output" in kinds) == (">&-" not in redirection)


class Broken:
    """A stream that fails as it is told, and has no descriptor of its own."""

    def __init__(self, *faults):
        self.faults, self.lines = list(faults), []

    def write(self, text):
        if not text or isinstance(text, bytes):  # click tries what kind of stream it is
            text.encode()
            return
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            raise fault
        self.lines.append(text)

    def flush(self):
        pass

    def fileno(self):
        raise ValueError


def test_a_device_that_has_space_again_is_written_to_again(monkeypatch):
    full = OSError(errno.ENOSPC, "No space left on device")
    out, err, told = Broken(None, full, full, None, full), Broken(), []
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    output = LastingOutput(told.append)
    for number in range(5):
        output.write(str(number))
    assert [line.strip() for line in out.lines] == ["0", "3"]
    assert len(told) == len(err.lines) == 2, "said once each time it begins"


def test_a_stream_that_has_gone_is_not_written_to_again(monkeypatch):
    out, err = Broken(BrokenPipeError(errno.EPIPE, "Broken pipe")), Broken(ValueError("closed"))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    told = []
    output = LastingOutput(told.append)
    for _ in range(3):
        output.write("a row")
        output.write("a note", err=True)
    output.close()
    assert out.lines == err.lines == []
    assert [text.split()[0] for text in told] == ["stdout", "stderr"]


# The start is as patient as any hour


@pytest.mark.parametrize(
    "fault", [status(500), html(502), reset(), status(429)], ids=["500", "502", "reset", "429"]
)
@within_one_hour
def test_a_broker_that_fails_at_the_start_is_asked_again(world, fault):
    world.orders.fail(fault, on="GET /v2/account", times=5)
    process = start(world, LINE)
    wait_for(lambda: decided(world), process)
    _, err = stop(process)
    assert err.count("Nothing is traded; it is asked again.") == 1


@within_one_hour
def test_wrong_keys_and_wrong_options_end_a_start_at_once(world):
    done = world.home.run(LINE, code=5, **(world.environment() | {"ALPACA_SECRET_KEY": "wrong"}))
    assert "keys that Alpaca accepts" in done.stderr
    world.run(f"{LINE} --stop-loss -1", code=2)
    assert decided(world) == []


@within_one_hour
def test_a_run_that_is_stopped_before_its_account_is_known_names_what_the_ledger_holds(world, httpserver):
    httpserver.expect_request("/hook").respond_with_data("thanks")
    bought = world.json(f"run_trading --once --ticker BTC/USD {RULES}")
    world.orders.fail(status(500), on="GET /v2/account", times=1000)
    process = start(world, f"{LINE} --notify {httpserver.url_for('/hook')}")
    wait_for(lambda: httpserver.log, process)
    _, err = stop(process)
    assert ("BTC/USD" in err.partition("Open in paper/")[2]) == (bought["position"]["side"] != 0)
    assert [json.loads(request.get_data())["kind"] for request, _ in httpserver.log][:2] == [
        "failure",
        "stop",
    ]


# Every end is told


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
@within_one_hour
def test_start_and_end_are_posted_with_what_is_open(world, httpserver, number, code):
    httpserver.expect_request("/hook").respond_with_data("thanks")
    process = world.start(f"{LINE} --json --notify {httpserver.url_for('/hook')}")
    entry = json.loads(process.stdout.readline())
    _, err = stop(process, code, number)
    told = [json.loads(request.get_data()) for request, _ in httpserver.log]
    assert (told[0]["kind"], told[-1]["kind"], told[-1]["code"]) == ("start", "stop", code)
    held = {"BTC/USD": entry["position"]["quantity"]} if entry["position"]["side"] else {}
    assert told[0]["positions"] == {}
    assert told[-1]["positions"] == held
    assert told[-1]["account"] == entry["account"]
    assert "ended: " in err
    assert all(notice["at"].endswith("Z") for notice in told)


@within_one_hour
def test_receivers_of_the_environment_all_hear_of_a_run_whatever_becomes_of_one(world, httpserver):
    httpserver.expect_request("/hook").respond_with_data("thanks")
    hook = httpserver.url_for("/hook")
    receivers = f"http://127.0.0.1:9/hook {hook} {hook.replace('http', 'json')}"
    environment = {**world.environment(), "CRYPTO_NOTIFY": receivers}
    process = world.home.start(f"{LINE} --json", **environment)
    process.stdout.readline()
    _, err = stop(process)
    told = [json.loads(request.get_data()) for request, _ in httpserver.log]
    kinds = [notice["kind"] for notice in told if "kind" in notice]
    assert (kinds[0], kinds[-1]) == ("start", "stop")
    titles = [notice["title"].partition(":")[0] for notice in told if "title" in notice]
    assert (titles[0], titles[-1]) == ("Trading has begun", "Trading has ended")
    assert "Notices that were not delivered to 127.0.0.1: " in err
    assert "/hook" not in err


@within_one_hour
def test_notices_that_were_not_delivered_are_counted_at_the_end(world):
    process = world.start(f"{LINE} --json --notify http://127.0.0.1:9/hook")
    process.stdout.readline()
    _, err = stop(process)
    assert "Notices that were not delivered to 127.0.0.1: " in err


@within_one_hour
def test_a_run_without_any_ticker_ends_with_an_error_and_says_so(world):
    world.data.rows.clear()
    world.data.trades.clear()
    done = world.run(f"run_multi_ticker --mode continuous {RULES}", code=3)
    assert "None of the tickers is offered" in done.stderr
    assert "ended: None of the tickers is offered; open: nothing." in done.stderr


# Many tickers in one process


@pytest.mark.parametrize("account", ["--demo", ""])
@within_one_hour
def test_all_tickers_are_traded_until_stopped(world, account):
    process = world.start(f"run_multi_ticker --mode continuous {account} {RULES} --json")
    rows = [json.loads(process.stdout.readline()) for _ in range(13)]
    acted = {row["ticker"] for row in rows if row.get("acted")}
    assert acted == {"BTC/USD", "ETH/USD", "SOL/USD"}
    names = {row["account"].split("/")[0] for row in rows if "account" in row}
    assert names == {"demo" if account else "paper"}
    assert process.poll() is None
    _, err = stop(process)
    assert "; open: " in err
