"""Hours that pass as fast as somebody sleeps: bars appear as they close, and every clock agrees.

    with PassingHours({BTC: bars}, tmp_path) as world:
        world.start(hour, seconds=20)
        world.session(tickers=(BTC,)) ...
        world.at(hour + 1, 0, lambda: setattr(world.server, "always", status(500)))

Whoever sleeps, sleeps by `world.sleep`; nothing else moves the clock.
"""

from __future__ import annotations

import gc
import json
import math
import threading
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, unquote, urlsplit

from support.alpaca_data_server import AlpacaDataServer, Request, reset
from support.stub_models import remade, sample_bars

from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.hours import floor_hour, to_datetime, to_iso
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.realtime.accounts import DemoAccount
from crypto_refactor.trading.realtime.hourly_pass import HourlyPass
from crypto_refactor.trading.realtime.loop import TradingLoop
from crypto_refactor.trading.session import TradingSession
from crypto_refactor.transport.session import HttpLimits

SETTINGS = ModelSettings(lookback=12, train_hours=480, refit_every=60, network="small")
SIGNALS = SignalRules(min_confirmations=4)
BALANCE = 12_345.67
ACCOUNT = "demo/alpaca"
LAG = 2
"""Seconds after its close at which a bar appears."""
LIMITS = HttpLimits(connect=10, read=10, total=15, attempts=2, first_wait=0.5, max_wait=1.0)
HASTY = replace(LIMITS, read=0.7, total=2)
"""For servers that do not answer; a busy machine answers all the same."""


def alpaca_bars(ticker, count=1600):
    """Return simulated bars as if Alpaca had sent them."""
    return remade(sample_bars(count, ticker), source="alpaca")


def only(text, fault):
    """Meet with `fault` the requests that name `text`; answer the others as usual."""

    def chosen(handler):
        if text in unquote(handler.path):
            fault(handler)
        else:
            _as_usual(handler)

    return chosen


def _as_usual(handler):
    api, parts = handler.server.api, urlsplit(handler.path)
    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    request = Request(path=parts.path, query=query, headers={})
    if parts.path.endswith("/bars"):
        code, content = api.page(request)
    else:
        trades = {symbol: api.trades[symbol] for symbol in request.symbols if symbol in api.trades}
        code, content = 200, {"trades": trades}
    handler.answer(code, json.dumps(content))


def _never_if_none(seconds):
    return math.inf if seconds is None else seconds


class PassingHours:
    """See the module's text.

    Attributes
    ----------
    now : datetime
        What every clock shows, but for `ahead`.
    ahead : float
        Seconds the local clock is ahead of the server's.
    late : dict
        Seconds after its close at which a bar appears, by (ticker, close), where it is not `LAG`; None never.
    traded : dict
        The price of a ticker's latest trade, where it is not its bar's open.
    slept : list of float
        What was slept.
    notes, rows, again, blocks, announced, block_lasted : list
        What the loop reported; `announced` without the daily summaries.
    announced_details : dict
        By kind, the details of what was announced last.
    summaries : list of dict
        The daily summaries: `at`, `text` and their figures.
    """

    def __init__(self, bars, folder):
        self.bars, self.folder = dict(bars), folder
        self.server = AlpacaDataServer()
        self.ahead, self.late, self.slept = 0.0, {}, []
        self.notes, self.rows, self.again, self.blocks, self.announced = [], [], [], [], []
        self.waits, self.retries = [], []
        self.block_lasted, self.summaries, self.announced_details = [], [], {}
        self.traded = {}
        self._events, self._lock = [], threading.RLock()
        self._all = {}

    def __enter__(self):
        # A loop collects garbage every hour, and these hours are many: leave out what earlier tests imported.
        gc.collect()
        gc.freeze()
        self.server.__enter__()
        for ticker in self.bars:
            self._load(ticker)
        return self

    def __exit__(self, *details):
        self.server.__exit__(*details)

    def _load(self, ticker):
        self.server.offer(self.bars[ticker])
        symbol = str(ticker)
        self._all[ticker] = list(
            zip(self.bars[ticker].closed.tolist(), self.server.rows[symbol], strict=True)
        )

    def revise(self, ticker, close, **values):
        """Let the server tell another bar that closed at `close`, from now on."""
        for closed, row in self._all[ticker]:
            if closed == close:
                row.update(values)

    def start(self, hour, seconds=0.0):
        """Begin at `seconds` after the full hour."""
        self._show(to_datetime(hour) + timedelta(seconds=seconds))

    def at(self, hour, seconds, event):
        """Call `event` when that instant comes."""
        self.after((to_datetime(hour) - self.now).total_seconds() + seconds, event)

    def clock(self):
        return self.now + timedelta(seconds=self.ahead)

    def after(self, seconds, event):
        """Call `event` so many seconds from now."""
        self._events.append((self.now + timedelta(seconds=seconds), event))
        self._events.sort(key=lambda item: item[0])

    def fault(self, hour, seconds, until, fault):
        """Let every request meet `fault` between two moments of an hour, seconds after it."""
        self.at(hour, seconds, lambda: setattr(self.server, "always", fault))
        self.at(hour, until, lambda: setattr(self.server, "always", None))

    def silence(self, handler):
        """Answer nothing until the client stops to wait; its waiting passes by this world's clock."""
        self.sleep(LIMITS.read)
        reset()(handler)

    def sleep(self, seconds):
        with self._lock:
            self.slept.append(seconds)
            until = self.now + timedelta(seconds=seconds)
            while self._events and self._events[0][0] <= until:
                instant, event = self._events.pop(0)
                self._show(max(instant, self.now))
                event()
            self._show(until)

    def _show(self, instant):
        self.now = self.server.date = instant
        moment = instant.timestamp()
        for ticker, rows in self._all.items():
            bars = self.bars[ticker]
            late = {
                close: _never_if_none(seconds) for (of, close), seconds in self.late.items() if of == ticker
            }
            self.server.rows[str(ticker)] = [
                row for close, row in rows if close * 3600 + late.get(close, LAG) <= moment
            ]
            next_bar = floor_hour(instant) - int(bars.opened[0])
            if 0 <= next_bar < len(bars):
                # The first trade of an hour is at the price its bar opens at.
                self.server.trades[str(ticker)] = {
                    "t": to_iso(int(bars.opened[next_bar])),
                    "p": self.traded.get(ticker, float(bars.open[next_bar])),
                }

    def source(self, **options):
        defaults = {"url": self.server.url, "limits": LIMITS, "clock": self.clock, "sleep": self.sleep}
        return AlpacaSource(self.folder / "bars.sqlite", **(defaults | options))

    def session(self, **options):
        defaults = {
            "tickers": tuple(self.bars),
            "explicitly_requested": False,
            "source": options.get("source") or self.source(),
            "settings": SETTINGS,
            "signal_rules": SIGNALS,
            "options": ExecutionOptions(),
            "model": None,
            "model_dir": self.folder / "models",
            "state_dir": self.folder / "state",
            "initial_balance": BALANCE,
            "allow_gaps": False,
            "workers": 1,
            "observer": TrainingObserver(),
            "clock": self.clock,
            "sleep": self.sleep,
        }
        return TradingSession(**(defaults | options))

    def seconds(self, hour):
        """Return when each row was told, in seconds after `hour`, beside the row."""
        return [((told - to_datetime(hour)).total_seconds(), row) for told, row in self.rows]

    @property
    def ledger(self):
        """A ledger of its own each time, as another process would have."""
        return Ledger(self.folder / "state" / "ledger.sqlite")

    def loop(self, *, trainer=None, account=None, ledger=None, after_hour=None, **options):
        """Return a loop on the demo account, as a new process would."""
        session, ledger = self.session(**options), ledger or self.ledger
        account = account or DemoAccount(session, ledger, ACCOUNT)
        hourly = HourlyPass(session, ledger, account, trainer=trainer, observer=self)
        return TradingLoop(hourly, after_hour=after_hour)

    # What the loop reports

    def row(self, row):
        self.rows.append((self.now, row))

    def note(self, text):
        self.notes.append(text)

    def retrying(self, at, tickers, training):
        self.retries.append((at, tickers, training))

    def waiting(self, until, sentences):
        self.waits.append((until, " ".join(sentences)))

    def given_up(self, rows):
        self.rows += [(self.now, row) for row in rows]

    def given_up_again(self, rows):
        self.again += [(self.now, row) for row in rows]

    def announce(self, kind, text, *, account, ticker=None, **details):
        if kind == "summary":
            self.summaries.append({"at": self.now, "text": text, **details})
        else:
            self.announced.append((kind, ticker, text))
            self.announced_details[kind] = {name: value for name, value in details.items() if name != "shown"}

    def blocked(self, account, why, *, lasted=None):
        self.blocks.append((account, why))
        if lasted is not None:
            self.block_lasted.append(lasted)
