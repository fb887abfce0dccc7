from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

import pytest
from support.ledgers import open_sub_account
from support.strategies import cases, holds_for

from crypto_refactor.errors import BrokerError
from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.stepper import BarSignal, SubAccountState, first_decision, new_state, step_bar
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.schema import state_from_json, state_to_json

BTC = Ticker("BTC", "USD")
ETH = Ticker("ETH", "USD")
NOW = "2024-05-01T00:00:00Z"


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "state" / "ledger.sqlite")


def said(case, row):
    plan = case.plan
    return BarSignal(
        signal=int(plan.signal[row]),
        forecast_side=int(plan.forecast_side[row]),
        exceeds_cost=bool(plan.exceeds_cost[row]),
        decidable=bool(plan.decidable[row]),
    )


def walk(ledger, case, name="replay/x"):
    """Walk a case, with nothing but the ledger to remember from one bar to the next."""
    bars = case.bars
    start = new_state(case.balance, int(bars.closed[0]))
    if not bars.synthetic[0]:
        start, _ = first_decision(start, float(bars.close[0]), said(case, 0), case.rules)
    ledger.open_account(name, NOW)
    open_sub_account(ledger, name, BTC, start)
    for row in range(1, len(bars)):
        done = step_bar(ledger.state(name, BTC), bars, row, said(case, row), case.rules)
        with ledger.transaction(name, BTC) as writer:
            writer.record_bar(done)
            writer.record_decision(int(bars.closed[row]), done.target, {"reason": "test"})


@pytest.mark.slow
@holds_for(cases(max_bars=30), examples=15)
def test_a_ledger_remembers_a_walk_to_the_last_bit(tmp_path_factory, case):
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")
    walk(ledger, case)
    run = case.run()
    assert ledger.fills("replay/x", BTC) == run.fills
    assert ledger.trades("replay/x", BTC) == tuple(trade for trade in run.trades if trade.closed)
    assert [value for _, value in ledger.equity("replay/x", BTC)] == run.equity.tolist()
    assert ledger.state("replay/x", BTC).account == run.account
    assert ledger.state("replay/x", BTC).pending == run.pending


def test_accounts_and_tickers_are_kept_apart(ledger):
    for name, ticker, cash in (("demo/sample", BTC, 1.0), ("demo/sample", ETH, 2.0), ("paper/1", BTC, 3.0)):
        ledger.open_account(name, NOW)
        open_sub_account(ledger, name, ticker, new_state(cash, 100))
    assert ledger.state("demo/sample", ETH).account.cash == 2.0
    assert ledger.state("paper/1", BTC).account.cash == 3.0
    assert ledger.state("paper/1", ETH) is None
    assert ledger.opening("paper/1", BTC).balance == 3.0


def test_an_open_sub_account_keeps_its_balance(ledger):
    open_sub_account(ledger, "demo/sample", BTC, new_state(10.0, 100))
    with pytest.raises(BrokerError):
        open_sub_account(ledger, "demo/sample", BTC, new_state(99.0, 200))
    assert ledger.state("demo/sample", BTC) == new_state(10.0, 100)


def test_pending_decisions_survive(ledger):
    pending = (Exit("stop_loss"), Enter(-1, 0.5))
    holding = SubAccountState(account=new_state(0.1 + 0.2, 5).account, pending=pending, processed_through=7)
    open_sub_account(ledger, "demo/sample", BTC, new_state(0.1 + 0.2, 5))
    with ledger.transaction("demo/sample", BTC) as writer:
        writer.save_state(holding)
    assert ledger.state("demo/sample", BTC) == holding


def test_a_bar_is_acted_on_once(ledger):
    open_sub_account(ledger, "demo/sample", BTC, new_state(10.0, 100))
    with ledger.transaction("demo/sample", BTC) as writer:
        writer.record_decision(101, 1, {"reason": "first"})
    assert ledger.has_decision("demo/sample", BTC, 101)
    assert not ledger.has_decision("demo/sample", BTC, 102)
    with pytest.raises(BrokerError), ledger.transaction("demo/sample", BTC) as writer:
        writer.record_decision(101, -1, {"reason": "again"})
    assert [row["reason"] for row in ledger.decisions("demo/sample", BTC)] == ["first"]


def test_a_bar_is_written_whole_or_not_at_all(ledger, random_bars):
    bars = random_bars(3)
    start = SubAccountState(
        account=new_state(10.0, 0).account, pending=(Enter(1, 1.0),), processed_through=int(bars.closed[0])
    )
    open_sub_account(ledger, "demo/sample", BTC, start)
    from crypto_refactor.execution.rules import ExecutionRules

    done = step_bar(start, bars, 1, None, ExecutionRules())
    with pytest.raises(ZeroDivisionError), ledger.transaction("demo/sample", BTC) as writer:  # noqa: PT012 - the crash midway is the point
        writer.record_bar(done)
        raise ZeroDivisionError
    assert ledger.fills("demo/sample", BTC) == ()
    assert ledger.state("demo/sample", BTC) == start
    assert len(ledger.equity("demo/sample", BTC)) == 1


def test_a_finished_replay_starts_afresh_and_an_unfinished_one_stays(ledger):
    ledger.open_account("replay/x", NOW)
    open_sub_account(ledger, "replay/x", BTC, new_state(10.0, 100))
    assert not ledger.reset_if_finished("replay/x")
    assert ledger.state("replay/x", BTC) is not None
    ledger.mark_finished("replay/x")
    assert ledger.reset_if_finished("replay/x")
    assert ledger.state("replay/x", BTC) is None
    assert ledger.equity("replay/x", BTC) == []
    assert not ledger.reset_if_finished("replay/x")


def test_the_account_traded_last_is_found(tmp_path):
    now = datetime(2024, 5, 1, tzinfo=UTC)
    ledger = Ledger(tmp_path / "ledger.sqlite", lambda: now)
    assert ledger.accounts() == ()
    for hour, name in enumerate(("demo/sample", "demo/alpaca")):
        ledger.open_account(name, f"2024-05-01T0{hour}:00:00+00:00")
        open_sub_account(ledger, name, BTC, new_state(10.0, 100))
    assert [account.name for account in ledger.accounts()] == ["demo/alpaca", "demo/sample"]
    # Being started is not being traded; a decision is.
    now = datetime(2024, 5, 1, 2, tzinfo=UTC)
    ledger.open_account("demo/sample", now.isoformat(), {"source": "sample"})
    assert [account.name for account in ledger.accounts()] == ["demo/alpaca", "demo/sample"]
    with ledger.transaction("demo/sample", BTC) as writer:
        writer.record_decision(101, 1, {"reason": "first"})
    (last, _) = ledger.accounts()
    assert (last.name, last.traded_at, last.about) == ("demo/sample", now.isoformat(), {"source": "sample"})


def test_a_damaged_or_newer_ledger_is_refused_with_the_remedy(tmp_path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 50)
    with pytest.raises(BrokerError, match=r"ledger .* is damaged") as caught:
        Ledger(path).accounts()
    assert caught.value.exit_code == 5
    assert "look at the broker first" in caught.value.remedy
    path.unlink()
    Ledger(path).accounts()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(BrokerError, match="version 99"):
        Ledger(path).accounts()


STORED = (
    '{"account": {"cash": 1.5, "peak_equity": 2.0, "side": 1, "quantity": 3.0, "average_price": 4.0,'
    ' "open_fees": 0.5, "entered": 7, "stopped_side": -1, "halted": false, "ruined": false},'
    ' "pending": [{"reason": "neutral"}, {"side": -1, "fraction": 1.0}], "walked_to": 9}'
)


def test_states_are_stored_as_every_version_has_stored_them():
    account = SubAccount(
        cash=1.5,
        peak_equity=2.0,
        side=1,
        quantity=3.0,
        average_price=4.0,
        open_fees=0.5,
        entry_hour=7,
        blocked_side=-1,
    )
    state = SubAccountState(account=account, pending=(Exit("neutral"), Enter(-1, 1.0)), processed_through=9)
    assert state_to_json(state) == STORED
    assert state_from_json(STORED) == state


def test_a_prepared_account_begins_with_its_first_transaction(ledger):
    ledger.prepare_account("demo/x", NOW, {"source": "alpaca"})
    assert ledger.accounts() == ()
    assert ledger.state("demo/x", BTC) is None
    with pytest.raises(ZeroDivisionError), ledger.transaction("demo/x", BTC):
        1 / 0  # noqa: B018 - a transaction that fails
    assert ledger.accounts() == ()
    open_sub_account(ledger, "demo/x", BTC, new_state(1000.0, 100))
    (row,) = ledger.accounts()
    assert (row.name, row.opened_at, row.about) == ("demo/x", NOW, {"source": "alpaca"})
