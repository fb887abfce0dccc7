"""Values that nothing has written are refused where they are read, with the way back."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from support.forecasts import forecast

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.stepper import new_state
from crypto_refactor.execution.sub_account import Fill, Trade
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import Ledger, OrderRecord

BTC, AT, NAME = Ticker("BTC", "USD"), 477_000, "demo/sample"
NOW = "2024-06-01T00:00:00+00:00"
ORDER = OrderRecord(
    client_order_id="cr-1",
    ticker=BTC,
    bar=AT,
    leg="enter",
    side=1,
    notional=10.0,
    quantity=None,
    reason="entry",
    sent_at=NOW,
)


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "ledger.sqlite")
    made.open_account(NAME, NOW, {"source": "sample"})
    with made.transaction(NAME, BTC) as writer:
        writer.open(new_state(1000.0, AT))
        writer.record_decision(AT + 1, 1, {"close": 100.0, "reason": "up", "cutoff": AT - 5})
        writer.record_forecast(forecast(AT + 1))
        writer.record_model(AT, "abc")
        writer.add_intent(ORDER)
        writer.record_fills(
            [Fill(at=AT, side=1, quantity=1.0, price=100.0, fee=0.1, reason="entry")],
            [Trade(1, AT, 100.0, AT + 1, 101.0, 1.0, 0.2, "neutral")],
        )
    assert all(read(made) for read in READS.values())
    return made


READS = {
    "accounts": lambda ledger: ledger.accounts(),
    "states": lambda ledger: ledger.states(NAME),
    "opening": lambda ledger: ledger.opening(NAME, BTC),
    "decisions": lambda ledger: ledger.decisions(NAME, BTC),
    "last decision": lambda ledger: ledger.last_decision(NAME, BTC),
    "forecasts": lambda ledger: ledger.forecasts(NAME),
    "models": lambda ledger: ledger.models(NAME, BTC),
    "orders": lambda ledger: ledger.orders(NAME, BTC),
    "fills": lambda ledger: ledger.fills(NAME, BTC),
    "trades": lambda ledger: ledger.trades(NAME, BTC),
    "equity": lambda ledger: ledger.equity(NAME, BTC),
}


def change(ledger, statement, *values):
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute(statement, values)
        connection.commit()


def refused(ledger, part):
    with pytest.raises(BrokerError, match="is damaged") as caught:
        READS[part](ledger)
    assert caught.value.exit_code == 5
    assert caught.value.expected
    assert caught.value.remedy


INFINITE = float("inf")


@pytest.mark.parametrize(
    ("part", "table", "column", "value"),
    [
        ("accounts", "accounts", "name", b"\xff"),
        ("accounts", "accounts", "opened_at", "yesterday"),
        ("accounts", "accounts", "traded_at", 7),
        ("accounts", "accounts", "about", "[]"),
        ("accounts", "accounts", "about", '{"source": []}'),
        ("accounts", "accounts", "about", '{"a": NaN}'),
        ("accounts", "accounts", "about", '{"a": 1e999}'),
        ("accounts", "accounts", "about", '{"a": "\\ud800"}'),
        ("accounts", "accounts", "about", "[" * 200_000),
        ("states", "holdings", "ticker", "BTC"),
        ("states", "holdings", "ticker", "btc/usd"),
        ("states", "holdings", "state", "x"),
        ("opening", "holdings", "opened_with", INFINITE),
        ("opening", "holdings", "opened_with", "much"),
        ("opening", "holdings", "opened_at", -1),
        ("opening", "holdings", "opened_at", 2**62),
        ("decisions", "decisions", "bar", 1.5),
        ("decisions", "decisions", "target", 2),
        ("last decision", "decisions", "entry", '{"bar": "x"}'),
        ("last decision", "decisions", "entry", '{"close": 0}'),
        ("last decision", "decisions", "entry", '{"cutoff": 1e12}'),
        ("models", "models", "key", "../../elsewhere"),
        ("forecasts", "forecasts", "ticker", "BTC"),
        ("forecasts", "forecasts", "bar", -1),
        ("forecasts", "forecasts", "close", 0.0),
        ("forecasts", "forecasts", "predicted", INFINITE),
        ("forecasts", "forecasts", "low", "x"),
        ("forecasts", "forecasts", "confidence", 0.4),
        ("forecasts", "forecasts", "confidence", 1.1),
        ("forecasts", "forecasts", "made_at", "soon"),
        ("orders", "orders", "side", 0),
        ("orders", "orders", "notional", INFINITE),
        ("orders", "orders", "notional", None),
        ("orders", "orders", "quantity", 1.0),
        ("orders", "orders", "stage", "perhaps"),
        ("orders", "orders", "filled_quantity", -1.0),
        ("orders", "orders", "average_price", "x"),
        ("orders", "orders", "sent_at", "soon"),
        ("fills", "fills", "quantity", INFINITE),
        ("fills", "fills", "price", -1.0),
        ("fills", "fills", "at", 10**9),
        ("trades", "trades", "entry_price", 0.0),
        ("trades", "trades", "quantity", 1e-320),
        ("trades", "trades", "direction", "long"),
        ("equity", "equity", "equity", -INFINITE),
        ("equity", "equity", "bar", "x"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(ledger, part, table, column, value):
    change(ledger, f"UPDATE {table} SET {column} = ?", value)
    refused(ledger, part)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cash", "1.0"),
        ("cash", 1e300),
        ("side", True),
        ("side", 2),
        ("side", 1),  # of no coins
        ("quantity", None),
        ("entered", 1.5),
        ("halted", 1),
        ("stopped_side", "long"),
    ],
)
def test_a_state_that_makes_no_sense_is_refused(ledger, name, value):
    with closing(sqlite3.connect(ledger.path)) as connection:
        (text,) = connection.execute("SELECT state FROM holdings").fetchone()
    state = json.loads(text)
    state["account"][name] = value
    change(ledger, "UPDATE holdings SET state = ?", json.dumps(state))
    refused(ledger, "states")


@pytest.mark.parametrize(
    "pending", [[{"side": 0, "fraction": 1.0}], [{"reason": 5}], [5], {"reason": 1}, "x"]
)
def test_a_pending_decision_that_makes_no_sense_is_refused(ledger, pending):
    with closing(sqlite3.connect(ledger.path)) as connection:
        (text,) = connection.execute("SELECT state FROM holdings").fetchone()
    change(ledger, "UPDATE holdings SET state = ?", json.dumps(json.loads(text) | {"pending": pending}))
    refused(ledger, "states")


def test_a_text_that_is_not_utf8_is_damage(ledger):
    change(ledger, "UPDATE decisions SET entry = CAST(x'7bff7d' AS TEXT)")
    refused(ledger, "decisions")


def test_what_is_refused_is_refused_with_the_newest_good_backup(ledger):
    ledger.open_account("demo/other", NOW)  # this ledger was opened before, so a copy is made of it
    change(ledger, "UPDATE holdings SET state = '{}'")
    with pytest.raises(BrokerError) as caught:
        ledger.states(NAME)
    (copy,) = (ledger.path.parent / "backups").iterdir()
    assert str(copy) in caught.value.remedy
