"""Alpaca's two servers and the time, for real processes that trade and may be killed at any moment.

    with TradingWorld(folder) as world:
        trader = world.trader(kill="answered:2")  # dies when the second answer to an order has come
        trader.start()
        trader.wait()                              # -9
        world.run()                                # another process goes on in the same hour

The time lives here.  A process that wants to sleep writes how long on its standard output and reads on its
standard input what the time has become; nothing else moves the clock.  A short sleep within the hour passes
at once; a longer one passes when every process sleeps, so that no process is left behind.  With each hour
the data server hands out one more bar of each ticker, and the exchange trades at its close.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

import numpy as np
from support.alpaca_data_server import AlpacaDataServer
from support.alpaca_orders import filled, growing, late, partly, race
from support.alpaca_trading_server import AlpacaTradingServer

import crypto_refactor
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import floor_hour, to_datetime, to_iso
from crypto_refactor.market.ticker import Ticker

PROGRAM = Path(__file__).with_name("crash_test_trader.py")
TICKERS = Ticker("BTC", "USD"), Ticker("ETH", "USD")
HOURS = 72
HISTORY = 800
PRICES = {
    "BTC": 60_000,
    "ETH": 3_000,
    "ADA": 0.4,
    "DOT": 6,
    "LINK": 15,
    "MATIC": 0.6,
    "UNI": 9,
    "AAVE": 100,
    "ATOM": 8,
    "XTZ": 0.9,
    "ALGO": 0.17,
    "SOL": 150,
    "AVAX": 30,
}
MONEY = 100_000
"""What the account at the exchange is opened with: more than is traded."""
SEED = 5
FIRST = 475_200
"""The first hour that is traded."""
LAST = FIRST + HOURS - 1
FATES = (filled, late(), partly(0.6), filled, growing(0.5), race())
"""What becomes of the orders, in turn: most fill at once, some only when looked up or cancelled, some in part."""
_PATHS = os.pathsep.join(
    str(folder) for folder in (PROGRAM.parents[1], Path(crypto_refactor.__file__).parents[1])
)
_SHORT_SECONDS = 60
_PATIENCE = 300
"""Real seconds: far more than 72 hours take, less than the limit of a test."""


@lru_cache
def wavy_bars(ticker, place, start, hours):
    """Return bars whose price swings around a random walk, so that there is often a reason to trade."""
    length = HISTORY + hours
    rng = np.random.default_rng(SEED + place)
    walk = np.cumsum(rng.normal(0, 0.001, length))
    swing = 0.006 * np.sin(2 * np.pi * np.arange(length) / (4 + place))
    close = start * np.exp(walk + swing)
    opening = np.concatenate([close[:1], close[:-1]])
    return Bars(
        ticker=ticker,
        source="alpaca",
        opened=FIRST - HISTORY + np.arange(length),
        open=opening,
        high=np.maximum(opening, close) * 1.001,
        low=np.minimum(opening, close) * 0.999,
        close=close,
        volume=rng.lognormal(3, 1, length),
    )


class TradingWorld:
    """See the module's text.

    Parameters
    ----------
    folder : Path
        Of the processes: ledger, models, bars and what they said.
    tickers : tuple of Ticker
        What the data server offers.
    hours : int
        How many hours it has bars for.

    Attributes
    ----------
    data, exchange : AlpacaDataServer, AlpacaTradingServer
        The two servers.
    now : datetime
        What every clock shows.
    """

    program, endings, patience = PROGRAM, frozenset({0, -9}), _PATIENCE
    """What is started, how it may end, and how many real seconds it may take."""

    def __init__(self, folder, *, tickers=TICKERS, hours=HOURS):
        self.folder, self._tickers, self._hours = folder, tickers, hours
        self.data, self.exchange = AlpacaDataServer(), AlpacaTradingServer(cash=Decimal(MONEY))
        self.exchange.clock = lambda: self.now
        self.exchange.fates = list(FATES) * HOURS
        self._rows = {}
        self._changed = threading.Condition()
        self._awake, self._asleep, self._held_at = set(), {}, None
        self._traders = []

    def __enter__(self):
        self.data.__enter__()
        self.exchange.__enter__()
        for place, ticker in enumerate(self._tickers):
            self.data.offer(wavy_bars(ticker, place, PRICES[ticker.base], self._hours))
            self._rows[ticker] = self.data.rows[str(ticker)]
        self._show(to_datetime(FIRST) + timedelta(seconds=20))
        return self

    def __exit__(self, *details):
        for trader in self._traders:
            trader.kill()
        self.exchange.__exit__(*details)
        self.data.__exit__(*details)

    @property
    def hour(self):
        return floor_hour(self.now)

    def arguments(self, kill):
        """Return what a process is told on its command line."""
        return [self.data.url, self.exchange.url, str(self.folder), *(["--kill", kill] if kill else [])]

    def trader(self, kill=None):
        """Return a process that is not started yet; the clock waits for it all the same."""
        trader = Trader(self, f"trader-{len(self._traders) + 1}", kill)
        self._traders.append(trader)
        with self._changed:
            self._awake.add(trader)
        return trader

    def run(self, kill=None):
        """Let one process trade, and return how it ended."""
        trader = self.trader(kill)
        trader.start()
        return trader.wait()

    def hold(self, hour):
        """Let no sleep end later than within `hour`; None lets go."""
        with self._changed:
            self._held_at = hour
            self._let_time_pass()

    def wait_for(self, hour):
        """Wait until `hour` has begun or nobody trades any more."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: self.hour >= hour or not (self._awake or self._asleep), timeout=_PATIENCE
            )

    def note_silence(self, seconds):
        """Learn for how many real seconds a process has not asked for anything."""

    def shown(self, now):
        """Return what a process is told when it is `now`."""
        return now.isoformat()

    def sleep(self, trader, seconds):
        """Let a process sleep, and return what the time is then."""
        with self._changed:
            if trader not in self._awake:  # it was killed after it had asked
                return self.now
            until = self.now + timedelta(seconds=seconds)
            if seconds <= _SHORT_SECONDS and floor_hour(until) == self.hour:
                self._show(until)
                return self.now
            self._awake.discard(trader)
            self._asleep[trader] = until
            self._let_time_pass()
            self._changed.wait_for(lambda: trader not in self._asleep)
            return self.now

    def gone(self, trader):
        """Do not wait for a process that has ended."""
        with self._changed:
            self._awake.discard(trader)
            self._asleep.pop(trader, None)
            self._let_time_pass()

    def _let_time_pass(self):
        if self._asleep and not self._awake:
            instant = min(self._asleep.values())
            if self._held_at is None or floor_hour(instant) <= self._held_at:
                self._show(max(instant, self.now))
                for trader, until in list(self._asleep.items()):
                    if until <= self.now:
                        del self._asleep[trader]
                        self._awake.add(trader)
        self._changed.notify_all()

    def _show(self, instant):
        same_hour = hasattr(self, "now") and floor_hour(instant) == self.hour
        self.now = self.data.date = self.exchange.date = instant
        if same_hour:
            return
        for ticker, rows in self._rows.items():
            symbol = str(ticker)
            shown = rows[: HISTORY + self.hour - FIRST]
            self.data.rows[symbol] = shown
            self.data.trades[symbol] = {"t": to_iso(self.hour), "p": shown[-1]["c"]}
            self.exchange.prices[symbol] = shown[-1]["c"]


class Trader:
    """A process that trades in a world until its last hour, or until it is killed."""

    def __init__(self, world, name, kill):
        self._world = world
        self._name = name
        self._kill = kill
        self._said = world.folder / f"{name}.log"
        self._process = None

    def start(self):
        arguments = self._world.arguments(self._kill)
        self._world.folder.mkdir(parents=True, exist_ok=True)
        with self._said.open("w") as said:
            self._process = subprocess.Popen(
                [sys.executable, str(self._world.program), *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                env={**os.environ, "PYTHONPATH": _PATHS},
            )
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def kill(self, number=signal.SIGKILL):
        """Send it a signal wherever it is; one that has ended, or never began, is left as it is."""
        if self._process is not None:
            self._process.send_signal(number)

    @property
    def started(self):
        return self._process is not None

    @property
    def pid(self):
        return self._process.pid

    @property
    def said(self):
        """What it has printed so far."""
        return self._said.read_text()

    def wait(self):
        """Return how the process ended, once it has."""
        code = self._process.wait(timeout=self._world.patience)
        self._world.gone(self)
        self._thread.join()
        self._process.stdout.close()
        with contextlib.suppress(BrokenPipeError):  # it was told the time and did not live to hear it
            self._process.stdin.close()
        assert code in self._world.endings, f"{self._name} ended with {code}:\n{self._said.read_text()}"
        return code

    def _serve(self):
        with contextlib.suppress(BrokenPipeError):  # killed in its sleep
            asked = None  # a process may take long to start
            for line in self._process.stdout:
                if asked is not None:
                    self._world.note_silence(time.monotonic() - asked)
                now = self._world.sleep(self, float(line))
                self._process.stdin.write(f"{self._world.shown(now)}\n")
                self._process.stdin.flush()
                asked = time.monotonic()
        self._world.gone(self)
