"""A process that trades at Alpaca, as far as it can tell, and may be told where to die.

``python tests/support/crash_test_trader.py DATA_URL TRADING_URL FOLDER [--kill POINT:N]`` trades the hours of
`support.crash_test_world`, which starts it and tells it the time, with the tool's own loop, source, broker and
ledger.  At the Nth passage of POINT it sends itself SIGKILL.  Only training is a stand-in.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr
from support.alpaca_trading_server import KEY, SECRET
from support.crash_test_world import LAST, TICKERS
from support.stub_models import planted_model
from urllib3.connection import HTTPConnection

from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training import jobs as shelf
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.account_names import broker_account, ledger_of
from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.order_record import OrderStatus
from crypto_refactor.trading.ledger.transaction import LedgerTransaction
from crypto_refactor.trading.outcomes import TickerOutcome
from crypto_refactor.trading.realtime.accounts import BrokerAccount
from crypto_refactor.trading.realtime.hourly_pass import HourlyPass
from crypto_refactor.trading.realtime.loop import TradingLoop
from crypto_refactor.trading.session import TradingSession
from crypto_refactor.transport.session import HttpLimits

POINTS = {
    "writing": "the decision is written, its intent is not, and nothing is committed",
    "committing": "decision and intent are written and not committed",
    "intended": "the intent is committed",
    "sending": "the order is about to be sent",
    "sent": "the order has left; nobody knows whether it arrives",
    "accepted": "the broker's answer is here, but not read",
    "answered": "the answer is read",
    "booking": "the order's end is written, its fill is not, and nothing is committed",
    "booked": "order and fill are committed",
    "looking": "the order is about to be looked up",
    "found": "the answer to the look-up is read",
}
UNSETTLED = ("intended", "sending", "sent", "accepted", "answered", "booking")
"""Where a death leaves an order for the next process to look up."""
SETTINGS = ModelSettings(lookback=12, train_hours=240, refit_every=24, network="small")
GAIN = -20.0
"""The planted network expects the price to come back to its mean."""
BALANCE = 10_000.0


class Fuse:
    """Kills this process at one passage of one point."""

    def __init__(self, kill):
        self._point, _, passages = (kill or ":0").partition(":")
        self._left = int(passages)

    def set_to(self, point):
        return point == self._point

    def passing(self, point):
        if self.set_to(point):
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)


class FusedWriter(LedgerTransaction):
    def __init__(self, fuse, *details):
        super().__init__(*details)
        self._fuse = fuse
        self._intends = self._settles = False

    def add_intent(self, order):
        self._fuse.passing("writing")
        super().add_intent(order)
        self._intends = True

    def update_order(self, order):
        super().update_order(order)
        self._settles = order.stage is not OrderStatus.UNSETTLED

    def record_fills(self, fills, trades):
        if self._settles:
            self._fuse.passing("booking")
        super().record_fills(fills, trades)

    def before_commit(self):
        if self._intends:
            self._fuse.passing("committing")

    def after_commit(self):
        if self._intends:
            self._fuse.passing("intended")
        if self._settles:
            self._fuse.passing("booked")


class FusedLedger(Ledger):
    def __init__(self, path, fuse):
        super().__init__(path)
        self._fuse = fuse

    @contextmanager
    def transaction(self, account, ticker):
        with super().transaction(account, ticker) as writer:
            fused = FusedWriter(self._fuse, writer._connection, account, ticker, writer._now)
            yield fused
            fused.before_commit()
        fused.after_commit()


class FusedBroker(AlpacaBroker):
    def __init__(self, fuse, **options):
        super().__init__(**options)
        self._fuse = fuse

    def submit(self, request):
        self._fuse.passing("sending")
        with answers_met_by(self._meet):
            report = super().submit(request)
        self._fuse.passing("answered")
        return report

    def order(self, client_order_id):
        self._fuse.passing("looking")
        report = super().order(client_order_id)
        self._fuse.passing("found")
        return report

    def _meet(self, connection):
        self._fuse.passing("sent")
        if self._fuse.set_to("accepted"):
            select.select([connection.sock], [], [])
            self._fuse.passing("accepted")


@contextmanager
def answers_met_by(meet):
    """Call `meet` with each connection over which a request has been sent, before its answer is read."""
    original = HTTPConnection.getresponse

    def getresponse(connection):
        meet(connection)
        return original(connection)

    HTTPConnection.getresponse = getresponse
    try:
        yield
    finally:
        HTTPConnection.getresponse = original


class Clock:
    """The world's clock, as it was when this process last slept."""

    def __init__(self):
        self.sleep(0)

    def __call__(self):
        return self._now

    def sleep(self, seconds):
        print(seconds, flush=True)
        self._now = datetime.fromisoformat(sys.stdin.readline().strip())


def fit_all(jobs, settings, on_progress, *, workers=None, cluster=None):
    for position, job in enumerate(jobs):
        yield position, planted_model(job, settings, gain=GAIN)


def say(text):
    print(text, file=sys.stderr, flush=True)


class Log:
    """Receives what the loop reports."""

    def row(self, row):
        text = f"{row.bar} {row.reason} {row.notes}" if isinstance(row, TickerOutcome) else row
        say(f"{row.ticker}: {text}")

    def note(self, text):
        say(text)

    def retrying(self, at, tickers, training):
        say(f"next look at {at}: {tickers}, training {training}")

    def waiting(self, until, sentences):
        say(f"waiting until {until}: {' '.join(sentences)}")

    def given_up(self, rows):
        for row in rows:
            self.row(row)

    given_up_again = given_up

    def announce(self, kind, text, *, account, ticker=None, **details):
        say(f"{account}: {kind}: {ticker}: {text}")

    def blocked(self, account, why, *, lasted=None):
        say(f"{account}: {why}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data_url")
    parser.add_argument("trading_url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kill", metavar="POINT:N")
    asked = parser.parse_args()
    fuse, clock = Fuse(asked.kill), Clock()
    shelf.fit_all = fit_all
    times = {"limits": HttpLimits(), "clock": clock, "sleep": clock.sleep}
    source = AlpacaSource(asked.folder / "bars.sqlite", url=asked.data_url, **times)
    session = TradingSession(
        tickers=TICKERS,
        explicitly_requested=False,
        source=source,
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
    broker = FusedBroker(
        fuse,
        api_key=SecretStr(KEY),
        secret_key=SecretStr(SECRET),
        paper=True,
        url=asked.trading_url,
        **times,
    )
    ledger = FusedLedger(ledger_of(session.state_dir).path, fuse)
    name = broker_account(broker.account().account_id, paper=True)
    ledger.open_account(name, clock().isoformat(), session.snapshot())
    account = BrokerAccount(session, ledger, name, broker, say)
    hourly_pass = HourlyPass(session, ledger, account, trainer=None, observer=Log())
    TradingLoop(hourly_pass).run(LAST + 1 - floor_hour(clock()))


if __name__ == "__main__":
    main()
