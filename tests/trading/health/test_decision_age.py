from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from support.ledgers import open_sub_account

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.stepper import new_state
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_status import account_status
from crypto_refactor.trading.health.decision_age import decision_age, length_text, parse_length
from crypto_refactor.trading.ledger.ledger import Ledger

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
BAR = 480_000
TRADED = datetime(2026, 1, 1, 12, 30, tzinfo=UTC)
TWO_HOURS = timedelta(hours=2)


@pytest.fixture
def status(tmp_path):
    """Return the status of an account whose tickers decided last at these bars."""

    def make(name, **decided):
        ledger = Ledger(tmp_path / "state" / "ledger.sqlite", clock=lambda: TRADED)
        ledger.open_account(name, TRADED.isoformat())
        for ticker in (BTC, ETH):
            open_sub_account(ledger, name, ticker, new_state(1000.0, BAR - 5))
            for bar in decided.get(ticker.base, ()):
                with ledger.transaction(name, ticker) as writer:
                    writer.record_decision(bar, 0, {"reason": "x"})
        (row,) = ledger.accounts()
        return account_status(ledger, tmp_path / "state", row, [row])

    return make


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("2h", 7200), ("1d", 86_400), ("1.5 H", 5400), ("30s", 30)]
)
def test_a_length_has_a_number_and_a_unit(text, seconds):
    assert parse_length("--max-age", text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "2", "h", "2x", "-1h", "0h", "1h30m", "9" * 400 + "d", "nanh"])
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="--max-age"):
        parse_length("--max-age", text)


@pytest.mark.parametrize("name", ["demo/alpaca", "paper/x", "live/x"])
def test_in_real_time_a_decision_is_as_old_as_the_close_it_was_made_at(status, name):
    found = decision_age(status(name, BTC=[BAR - 3, BAR], ETH=[BAR - 1]), to_datetime(BAR + 1), TWO_HOURS)
    assert found.age == timedelta(hours=1)
    assert found.is_recent


def test_two_hours_without_a_decision_are_too_long(status):
    account = status("demo/alpaca", BTC=[BAR])
    assert decision_age(account, to_datetime(BAR + 2), TWO_HOURS).is_recent
    assert not decision_age(account, to_datetime(BAR + 2) + timedelta(seconds=1), TWO_HOURS).is_recent


def test_over_past_bars_it_is_as_old_as_the_run_that_made_it(status):
    found = decision_age(status("demo/sample", BTC=[BAR]), TRADED + timedelta(minutes=5), TWO_HOURS)
    assert found.age == timedelta(minutes=5)


def test_an_account_that_never_decided_is_never_recent(status):
    assert not decision_age(status("demo/alpaca"), TRADED, TWO_HOURS).is_recent
    assert not decision_age(None, TRADED, TWO_HOURS).is_recent


def test_a_decision_of_the_future_proves_nothing(status):
    account = status("demo/alpaca", BTC=[BAR])
    assert decision_age(account, to_datetime(BAR) - timedelta(minutes=1), TWO_HOURS).is_recent
    assert not decision_age(account, to_datetime(BAR) - timedelta(minutes=3), TWO_HOURS).is_recent


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(), "0 s"),
        (timedelta(seconds=59), "59 s"),
        (timedelta(hours=2), "2 h"),
        (timedelta(hours=3, minutes=12, seconds=9), "3 h 12 min"),
        (timedelta(days=2, minutes=5), "2 d"),
    ],
)
def test_lengths_are_read_in_two_units(length, text):
    assert length_text(length) == text
