"""The start of a run that lasts: what time may mend is waited for and heard of, and no end is silent."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from types import SimpleNamespace

import pytest
from support.alpaca_trading_server import KEY, SECRET, AlpacaTradingServer, status
from support.fake_clock_loop import PassingHours, alpaca_bars
from support.stub_models import BTC

from crypto_refactor.cli.trading.realtime_run import RealtimeRun
from crypto_refactor.cli.trading.request import AccountKind
from crypto_refactor.config import settings
from crypto_refactor.errors import BrokerError
from crypto_refactor.storage.sqlite_file import SqliteFile
from crypto_refactor.trading.realtime.loop import TradingLoop

FIRST = int(alpaca_bars(BTC).closed[1533])
PAPER = "paper/904837e3-3b76-47ec-b432-046db621571b"


class Told(list):
    """A screen that keeps what is posted."""

    def announce(self, kind, text, *, account, **details):
        self.append(SimpleNamespace(kind=kind, text=text, account=account, details=details))

    def kinds(self):
        return [notice.kind for notice in self]

    def heading(self, *_):
        pass

    def note(self, _):
        pass

    def left_open(self, *_, **__):
        pass

    row = given_up = given_up_again = retrying = blocked = waiting = how_to_go_on = lambda *_, **__: None


@pytest.fixture
def exchange(monkeypatch):
    with AlpacaTradingServer(prices={"BTC/USD": 50_000}) as server:
        monkeypatch.setenv("CRYPTO_ALPACA_TRADING_URL", server.url)
        monkeypatch.setenv("ALPACA_API_KEY", KEY)
        monkeypatch.setenv("ALPACA_SECRET_KEY", SECRET)
        settings.cache_clear()
        yield server
    settings.cache_clear()


@pytest.fixture
def world(tmp_path):
    with PassingHours({BTC: alpaca_bars(BTC)}, tmp_path) as running:
        running.start(FIRST, seconds=30.0)
        yield running


@pytest.fixture
def start(world, monkeypatch):
    """Start a run whose loop ends at once, as by Ctrl-C; return what was told."""

    def run(where=AccountKind.DEMO, *, haste=20.0, stops=KeyboardInterrupt):
        def interrupted(_):
            raise KeyboardInterrupt

        monkeypatch.setattr(TradingLoop, "run", interrupted)
        session = world.session(sleep=lambda seconds: world.sleep(seconds * haste))
        request = SimpleNamespace(session=session, where=where, once=False, live=False)
        told = Told()
        with pytest.raises(stops):
            RealtimeRun(request, world.ledger, told).until_stopped()
        return told

    return run


def locked_until(world, monkeypatch, instant):
    """Let the ledger be unreadable until an instant, as SQLite says it."""
    prepare = SqliteFile._prepare

    def unreadable(file, connection):
        if file.path.name == "ledger.sqlite" and world.now < instant:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_READ"
            raise error
        return prepare(file, connection)

    monkeypatch.setattr(SqliteFile, "_prepare", unreadable)


@pytest.mark.parametrize("where", [AccountKind.DEMO, AccountKind.ALPACA])
def test_a_ledger_that_cannot_be_read_for_a_while_is_waited_for(world, start, exchange, monkeypatch, where):
    locked_until(world, monkeypatch, world.now + timedelta(hours=13))
    told = start(where)
    assert told.kinds() == ["failure", "heartbeat", "heartbeat", "start", "stop"]
    assert "disk I/O error" in told[0].text
    assert "nothing has been decided since the start" in told[1].text
    if where is AccountKind.ALPACA:
        assert "The account at the broker holds: nothing." in told[1].text


def test_a_state_folder_that_is_not_mounted_yet_is_waited_for(world, start):
    place = world.folder / "state"
    place.write_text("no folder yet")
    world._events.append((world.now + timedelta(hours=1), place.unlink))
    assert start().kinds() == ["failure", "start", "stop"]


def test_a_damaged_ledger_ends_the_run_and_the_end_says_what_the_broker_holds(world, start, exchange):
    path = world.folder / "state" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this was a database once" * 1000)
    exchange.set_position("BTC/USD", "0.25")
    told = start(AccountKind.ALPACA, stops=BrokerError)
    assert told.kinds() == ["stop"]
    assert "cannot be said" in told[0].text
    assert "The account at the broker holds: BTC/USD 0.25 BTC." in told[0].text
    assert told[0].details["code"] == 5
    assert "remove" in told[0].details["remedy"]


@pytest.mark.parametrize("where", [AccountKind.DEMO, AccountKind.ALPACA])
def test_where_nobody_can_say_what_is_open_the_end_says_so_once(world, start, exchange, where):
    path = world.folder / "state" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"this was a database once" * 1000)
    exchange.fail(status(500), on="GET /v2/positions", times=100)
    told = start(where, stops=BrokerError)
    assert told.kinds() == ["stop"]
    assert ("Nor can the broker be asked" in told[0].text) == (where is AccountKind.ALPACA)


def test_a_broker_that_does_not_answer_for_hours_is_heard_of_every_six_hours(world, start, exchange):
    exchange.fail(status(500), on="GET /v2/account", times=10_000)
    world.after(22.5 * 3600, exchange._faults.clear)
    told = start(AccountKind.ALPACA, haste=60.0)
    assert told.kinds() == ["failure", "heartbeat", "heartbeat", "heartbeat", "start", "stop"]
    assert all("nothing has been decided since the start" in each.text for each in told[1:4])


def test_a_start_that_is_given_up_says_that_nothing_is_known(world, start, exchange):
    def interrupt():
        raise KeyboardInterrupt

    exchange.fail(status(500), on="GET /v2/account", times=10_000)
    world.after(7 * 3600, interrupt)
    told = start(AccountKind.ALPACA, haste=60.0)
    assert told.kinds() == ["failure", "heartbeat", "stop"]
    assert "before its account was known" in told[-1].text
