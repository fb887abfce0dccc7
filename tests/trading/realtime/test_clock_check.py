"""Whether both clocks agree on the latest bar, and what is done where only one of them can be read."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest
from support.alpaca_trading_server import AlpacaTradingServer
from support.broker_harness import NAME, Desk

from crypto_refactor.errors import DataError
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.trading.realtime.accounts import BrokerAccount, DemoAccount
from crypto_refactor.trading.realtime.hourly_pass import _check_clocks

pytestmark = pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning")


@pytest.fixture
def desk(tmp_path):
    with AlpacaTradingServer() as server:
        yield Desk(server, tmp_path)


@pytest.fixture
def at_broker(desk):
    session = SimpleNamespace(clock=desk.clock, sleep=desk.sleep, source=None, max_deviation=0.02)
    return BrokerAccount(session, desk.ledger, NAME, desk.broker(), lambda _note: None)


def bars_say(skew):
    return SimpleNamespace(clock_skew_seconds=skew)


def test_the_bars_alone_are_enough(at_broker, desk):
    _check_clocks(bars_say(3.0), at_broker)
    assert desk.server.requests == []
    with pytest.raises(DataError, match="500 s apart"):
        _check_clocks(bars_say(-500.0), at_broker)


@pytest.mark.parametrize("minutes", [5, -5])
def test_without_a_date_on_the_bars_the_account_is_asked(at_broker, desk, minutes):
    desk.server.date = to_datetime(desk.hour)
    _check_clocks(bars_say(None), at_broker)
    desk.now += timedelta(minutes=minutes)
    with pytest.raises(DataError, match=r"\d+ s apart"):
        _check_clocks(bars_say(None), at_broker)


def test_without_any_date_nothing_is_traded_at_a_broker(at_broker, monkeypatch):
    monkeypatch.setattr("crypto_refactor.transport.session._parse_date", lambda _text: None)
    with pytest.raises(DataError, match="come with the time") as caught:
        _check_clocks(bars_say(None), at_broker)
    assert "nothing is traded before" in caught.value.remedy


def test_the_demo_account_trades_without_a_date(desk):
    session = SimpleNamespace(clock=desk.clock, source=None)
    _check_clocks(bars_say(None), DemoAccount(session, desk.ledger, "demo/alpaca"))
