"""What the ledger keeps for a reconciliation: settings, bars as they were known, events, and when fills were booked."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest
from support.ledgers import open_sub_account
from support.stub_models import BTC, remade, sample_bars

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.stepper import new_state
from crypto_refactor.execution.sub_account import Fill
from crypto_refactor.trading.ledger.history import LedgerEvent
from crypto_refactor.trading.ledger.ledger import Ledger

NOW = "2024-05-01T00:00:00Z"
NAME = "demo/x"
RULES = {"fee": 0.001, "venue": None}
FILL = Fill(at=105, side=1, quantity=2.0, price=10.0, fee=0.02, reason="entry")


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.sqlite")
    made.open_account(NAME, NOW, {"source": "files"})
    open_sub_account(made, NAME, BTC, new_state(1000.0, 100))
    return made


def at(ledger, hour):
    """Let the sub-account have processed the bar that closed at `hour`."""
    state = ledger.state(NAME, BTC)
    with ledger.transaction(NAME, BTC) as writer:
        writer.save_state(replace(state, processed_through=hour))


def settings(ledger, bar, rules=RULES):
    with ledger.transaction(NAME, BTC) as writer:
        writer.record_settings(bar, rules, new_state(900.0 + bar, bar))


def test_settings_are_kept_from_the_decision_on_at_which_they_change(ledger):
    settings(ledger, 101)
    settings(ledger, 102)
    settings(ledger, 103, RULES | {"fee": 0.002})
    settings(ledger, 104, RULES | {"fee": 0.002})
    ledger.open_account(NAME, NOW, {"source": "sample"})
    settings(ledger, 105, RULES | {"fee": 0.002})
    kept = ledger.settings(NAME, BTC)
    assert [(row.bar, row.rules["fee"], row.about["source"]) for row in kept] == [
        (101, 0.001, "files"),
        (103, 0.002, "files"),
        (105, 0.002, "sample"),
    ]
    assert kept[1].before.account.cash == 1003.0


def test_a_bar_stays_as_it_was_known_first(ledger):
    bars = sample_bars(20)
    with ledger.transaction(NAME, BTC) as writer:
        writer.record_known_bars(bars.rows(0, 10))
        writer.record_known_bars(remade(bars, high=bars.high * 2))
    kept = ledger.known_bars(NAME, BTC)
    assert [row["bar"] for row in kept] == bars.closed.tolist()
    assert [row["high"] for row in kept] == [*bars.high[:10].tolist(), *(bars.high[10:] * 2).tolist()]
    assert [row["protection"] for row in kept] == bars.close.tolist()


def test_fills_and_events_know_after_which_close_and_in_which_order_they_came(ledger):
    at(ledger, 105)
    with ledger.transaction(NAME, BTC) as writer:
        writer.record_fills([FILL], [])
        writer.record_event(LedgerEvent.COINS_LESS, 0.5)
    at(ledger, 107)
    with ledger.transaction(NAME, BTC) as writer:
        writer.record_event(LedgerEvent.RESUMED, 900.0)
        writer.record_fills([FILL._replace(at=106)], [])
    assert [(booked.fill.at, booked.after) for booked in ledger.booked_fills(NAME, BTC)] == [
        (105, 105),
        (106, 107),
    ]
    assert [(row.kind, row.after, row.fills, row.amount) for row in ledger.events(NAME, BTC)] == [
        ("coins_less", 105, 1, 0.5),
        ("resumed", 107, 1, 900.0),
    ]


def test_a_ledger_of_schema_2_is_converted_and_keeps_its_fills(ledger, tmp_path):
    with ledger.transaction(NAME, BTC) as writer:
        writer.record_fills([FILL], [])
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.executescript(
        "DROP TABLE settings; DROP TABLE known_bars; DROP TABLE events; DROP TABLE forecasts; ALTER TABLE fills DROP COLUMN after;"
        "PRAGMA user_version = 2;"
    )
    connection.close()
    converted = Ledger(tmp_path / "ledger.sqlite")
    (booked,) = converted.booked_fills(NAME, BTC)
    assert (booked.fill, booked.after) == (FILL, FILL.at)
    assert converted.settings(NAME, BTC) == ()
    assert converted.known_bars(NAME, BTC) == []


@pytest.mark.parametrize(
    ("statement", "read"),
    [
        ("UPDATE settings SET rules = '[]'", "settings"),
        ("UPDATE settings SET state = '{}'", "settings"),
        ("UPDATE known_bars SET close = -1", "known_bars"),
        ("UPDATE events SET amount = 'x'", "events"),
        ("UPDATE fills SET after = -3", "booked_fills"),
    ],
)
def test_a_value_that_may_not_stand_there_is_damage(ledger, tmp_path, statement, read):
    settings(ledger, 101)
    with ledger.transaction(NAME, BTC) as writer:
        writer.record_known_bars(sample_bars(1))
        writer.record_event(LedgerEvent.CLOSE_ORDERED)
        writer.record_fills([FILL], [])
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()
    with pytest.raises(BrokerError, match="cannot be read"):
        getattr(ledger, read)(NAME, BTC)


@pytest.mark.parametrize("plan", [[], {"signal": 1}, {"signal": 7, "forecast_side": 0}])
def test_a_plan_that_is_none_is_damage(ledger, plan):
    with ledger.transaction(NAME, BTC) as writer:
        writer.record_decision(101, 0, {"reason": "up", "plan": plan})
    with pytest.raises(BrokerError, match="cannot be read"):
        ledger.decisions(NAME, BTC)
