"""An alarm of the record: told once, by whatever process finds it."""

from __future__ import annotations

import pytest
from support.fake_clock_loop import PassingHours, alpaca_bars
from support.forecasts import AT, hourly_forecasts
from support.stub_models import BTC

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.hours import to_iso
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.realtime.record_watch import RecordWatch
from crypto_refactor.trading.record.alarms import RecordAlarm

NAME = "demo/alpaca"


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "ledger.sqlite")


def forecasts_that_rise(ledger, closes):
    """Record that each close was said to rise, with a confidence of 0.9."""
    with ledger.transaction(NAME, BTC) as writer:
        for made in hourly_forecasts(closes, confidence=0.9):
            writer.record_forecast(made)


def test_an_alarm_is_told_once_and_not_again_after_a_restart(ledger):
    watch = RecordWatch(ledger, NAME)
    watch.begin()
    assert watch.new() == ()
    rising = [100.0 + hour for hour in range(8)]
    forecasts_that_rise(ledger, rising)
    assert watch.new() == ()
    forecasts_that_rise(ledger, [*rising, *(107.0 - hour for hour in range(1, 12))])
    (alarm,) = watch.new()
    assert (alarm.series, alarm.at > AT) == (NAME, True)
    assert "no longer comes true" in alarm.text
    assert watch.new() == ()
    again = RecordWatch(ledger, NAME)
    again.begin()
    assert again.new() == ()


@pytest.fixture
def world(tmp_path, fits):
    with PassingHours({BTC: alpaca_bars(BTC)}, tmp_path) as running:
        running.start(int(alpaca_bars(BTC).closed[1400]), seconds=30.0)
        yield running


def test_the_loop_announces_an_alarm_and_outlives_a_record_that_cannot_be_read(world, monkeypatch):
    answers = iter([BrokerError("gone", expected="a ledger.", remedy="wait."), "alarm", None])

    def new(_):
        answer = next(answers)
        if isinstance(answer, BrokerError):
            raise answer
        return () if answer is None else (RecordAlarm(series=NAME, at=AT, text="found"),)

    monkeypatch.setattr(RecordWatch, "new", new)
    hours = []
    loop = world.loop(after_hour=lambda: hours.append(world.now))
    loop.run(3)
    assert [(kind, text) for kind, _, text in world.announced if kind == "alarm"] == [("alarm", "found")]
    assert world.announced_details["alarm"] == {"found_at": to_iso(AT)}
    assert len(hours) == 3
