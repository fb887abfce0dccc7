"""One process acts on a sub-account at a time, also where no lock file can be written."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from support.cli_runner import ROOT

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading import locks
from crypto_refactor.trading.locks import locked

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
ACCOUNT = "paper/one"
HOLDER = """
import sys
from pathlib import Path
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.locks import locked
with locked(Path(sys.argv[1]), sys.argv[2], Ticker.parse(sys.argv[3])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "_LOCK_SECONDS", 0.2)
    return tmp_path


def without_files(state):
    """Leave lock files no place, as a folder does that cannot be written."""
    (state / "locks").write_text("")


def with_files(state):
    (state / "locks").unlink()


class Holder:
    """Another process that holds the lock of a ticker."""

    def __init__(self, state, ticker=BTC, account=ACCOUNT):
        self.words = [sys.executable, "-c", HOLDER, str(state), account, str(ticker)]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "held\n"

    def __exit__(self, *_):
        self.process.communicate("")


@pytest.mark.parametrize("prepare", [lambda _: None, without_files])
def test_one_process_at_a_time(state, prepare):
    prepare(state)
    with Holder(state), pytest.raises(BrokerError, match="Another process is acting on BTC/USD"):
        locked(state, ACCOUNT, BTC).__enter__()
    with locked(state, ACCOUNT, BTC):
        pass


def test_tickers_are_apart_where_files_can_be_written(state):
    with Holder(state), locked(state, ACCOUNT, ETH):
        pass


def test_a_lock_file_that_exists_is_locked_where_none_can_be_written(state, monkeypatch):
    with locked(state, ACCOUNT, BTC):
        pass

    def read_only(_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(locks, "create_file", read_only)
    with Holder(state), pytest.raises(BrokerError, match="Another process"):
        locked(state, ACCOUNT, BTC).__enter__()
    with locked(state, ACCOUNT, BTC):
        pass


@pytest.mark.parametrize("first", [without_files, lambda _: None])
def test_the_folder_and_a_file_exclude_each_other(state, first):
    first(state)
    with Holder(state):
        if first is without_files:
            with_files(state)
        else:
            (state / "locks").rename(state / "aside")
            without_files(state)
        with pytest.raises(BrokerError, match="Another process"):
            locked(state, ACCOUNT, BTC).__enter__()


def test_threads_exclude_each_other_without_files(state):
    without_files(state)
    refused = []

    def other():
        try:
            locked(state, ACCOUNT, BTC).__enter__()
        except BrokerError as error:
            refused.append(error)

    with locked(state, ACCOUNT, ETH):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1


def test_where_nothing_can_be_locked_nothing_is_done(tmp_path):
    (tmp_path / "state").write_text("")
    with pytest.raises(BrokerError, match="cannot be locked"):
        locked(tmp_path / "state" / "below", ACCOUNT, BTC).__enter__()


def test_what_goes_wrong_inside_is_not_taken_for_the_lock(state):
    with pytest.raises(FileNotFoundError), locked(state, ACCOUNT, BTC):
        raise FileNotFoundError
    with pytest.raises(TimeoutError), locked(state, ACCOUNT, BTC):
        raise TimeoutError
