"""A process that trades until it is stopped, at two played servers, on a machine that is not well.

``python tests/support/soak_trader.py DATA_URL TRADING_URL FOLDER TICKER …`` is what
``run_multi_ticker.py --mode continuous`` does, from the start of the run to the last line it prints, but for
three things: the time is the world's (see `support.crash_test_world`), training is a stand-in, and the file
``disk`` in the folder may say that nothing can be written (``full``, ``readonly``).
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sqlite3
import sys
import threading
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr
from support.alpaca_trading_server import KEY, SECRET
from support.stub_models import planted_model, planted_network

from crypto_refactor.cli.termination import Terminated, arrived, raise_on_signals
from crypto_refactor.cli.trading.realtime_run import RealtimeRun
from crypto_refactor.cli.trading.request import AccountKind, TradingRequest
from crypto_refactor.cli.trading.screen import Screen
from crypto_refactor.errors import ModelError
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training import jobs as shelf
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.account_names import ledger_of
from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
from crypto_refactor.trading.realtime import background_training
from crypto_refactor.trading.session import TradingSession
from crypto_refactor.transport.session import HttpLimits

SETTINGS = ModelSettings(lookback=12, train_hours=240, refit_every=24, network="small")
GAIN = -20.0
BALANCE = 26_000.0
LIMITS = HttpLimits(connect=1.0, read=0.4, total=1.2, attempts=2, first_wait=0.02, max_wait=0.05)
_WRITING = ("INSERT", "UPDATE", "DELETE", "CREATE")


class Clock:
    """The world's clock; asked anew each time, since hours may pass at any moment."""

    def __init__(self, wire):
        self._wire, self._lock = wire, threading.Lock()

    def __call__(self):
        return self._ask(0.0)

    def sleep(self, seconds):
        self._ask(seconds)

    def _ask(self, seconds):
        with self._lock:
            self._wire.write(f"{seconds}\n")
            self._wire.flush()
            line = sys.stdin.readline().strip()
            if not line:  # the world has ended
                os._exit(0)
            return datetime.fromisoformat(line)


class Trainer:
    """Trains at once, in this process."""

    def __init__(self, models, *, workers):
        self._models, self._failed = models, {}

    def begin(self, key, job):
        try:
            self._models.get_or_train(key, job)
        except ModelError as error:
            self._failed[key] = error.what

    def failure(self, key):
        return self._failed.get(key)

    def stop(self):
        """There is nothing to stop."""


def fit_all(jobs, settings, on_progress, *, workers=None, cluster=None):
    for position, job in enumerate(jobs):
        yield position, planted_model(job, settings, gain=GAIN)


def install_disk(state):
    """Let every database fail to be written while the file `state` says so."""

    class Connection(sqlite3.Connection):
        def execute(self, statement, *arguments):
            if statement.startswith(_WRITING):
                sick = state.read_text() if state.exists() else ""
                if sick == "full":
                    error = sqlite3.OperationalError("database or disk is full")
                    error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
                    raise error
                if sick == "readonly":
                    super().execute("PRAGMA query_only = 1")
            return super().execute(statement, *arguments)

    connect = sqlite3.connect
    sqlite3.connect = lambda *arguments, **options: connect(*arguments, **{"factory": Connection, **options})


def request(asked, clock):
    times = {"limits": LIMITS, "clock": clock, "sleep": clock.sleep}
    session = TradingSession(
        tickers=tuple(map(Ticker.parse, asked.tickers)),
        explicitly_requested=False,
        source=AlpacaSource(asked.folder / "bars.sqlite", url=asked.data_url, **times),
        settings=SETTINGS,
        signal_rules=SignalRules(min_confirmations=0),
        options=ExecutionOptions(venue="alpaca", max_drawdown=1.0),
        model=None,
        model_dir=asked.folder / "models",
        state_dir=asked.folder / "state",
        initial_balance=BALANCE,
        allow_gaps=False,
        workers=1,
        observer=TrainingObserver(),
        clock=clock,
        sleep=clock.sleep,
    )
    keys = {"api_key": SecretStr(KEY), "secret_key": SecretStr(SECRET)}
    AlpacaBroker.from_settings = classmethod(
        lambda cls, *, paper, **_: cls(paper=paper, url=asked.trading_url, **keys, **times)
    )
    return TradingRequest(
        session=session,
        where=AccountKind.ALPACA,
        once=False,
        live=False,
        end=None,
        replay_hours=72,
        replay_delay=0.0,
    )


def watch_memory(folder):
    """Write what has been allocated since the last SIGUSR1, for whoever looks for a leak."""
    tracemalloc.start(12)
    before = []

    def look(number, frame):
        import gc

        gc.collect()
        now = tracemalloc.take_snapshot()
        with (folder / "memory.txt").open("a") as file:
            print(f"traced {tracemalloc.get_traced_memory()[0]}", file=file)
            if before:
                for line in now.compare_to(before[0], "traceback")[:15]:
                    print(line, *line.traceback.format()[-8:], sep="\n", file=file)
        before[:] = before[:] or [now]

    signal.signal(signal.SIGUSR1, look)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data_url")
    parser.add_argument("trading_url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("tickers", nargs="+")
    asked = parser.parse_args()
    wire = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the run prints goes to its log
    raise_on_signals()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    # What training loads would look like a leak on the day of this process's first fit.
    planted_network(SETTINGS.lookback, GAIN)
    shelf.fit_all = fit_all
    background_training.BackgroundTrainer = Trainer
    install_disk(asked.folder / "disk")
    if os.environ.get("SOAK_MEMORY"):
        watch_memory(asked.folder)
    asked_for = request(asked, Clock(wire))
    screen = Screen(UTC, as_json=False, lines=True, failures=True, notifier=None, lasting=True)
    try:
        RealtimeRun(asked_for, ledger_of(asked_for.session.state_dir), screen).until_stopped()
    except Terminated as stop:
        arrived()
        screen.close()
        sys.exit(stop.exit_code)


if __name__ == "__main__":
    main()
