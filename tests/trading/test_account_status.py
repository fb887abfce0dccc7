from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import assume
from support.ledgers import open_sub_account
from support.strategies import cases, holds_for

from crypto_refactor.errors import BrokerError, UsageError
from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.execution.stepper import (
    BarSignal,
    Step,
    SubAccountState,
    first_decision,
    new_state,
    step_bar,
)
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_status import account_status, accounts_of, select_account, trades_of
from crypto_refactor.trading.kill_switch import halt
from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger
from crypto_refactor.trading.ledger.order_record import OrderRecord

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
ABOUT = {"source": "alpaca", "options": asdict(ExecutionOptions())}
NOW = "2024-06-01T00:00:00+00:00"
DEMO = "demo/alpaca"


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def ledger(state):
    return Ledger(state / "ledger.sqlite")


def look(ledger, name=DEMO):
    rows = ledger.accounts()
    return account_status(ledger, ledger.path.parent, select_account(rows, name=name), rows)


def put(ledger, account, *, ticker=BTC, name=DEMO, at=100, equity=None, pending=(), decision=None, fills=()):
    """Open a sub-account at 1000, and lead it through one bar to `account`."""
    ledger.open_account(name, NOW, ABOUT)
    open_sub_account(ledger, name, ticker, new_state(1000.0, at))
    state = SubAccountState(account=account, pending=pending, processed_through=at + 1)
    with ledger.transaction(name, ticker) as writer:
        step = Step(state=state, before=account, fills=(), trades=(), equity=equity or account.cash, target=0)
        writer.record_bar(step)
        writer.record_fills(fills, ())
        if decision is not None:
            writer.record_decision(at + 1, 1, decision)


def walk(ledger, case, name="replay/x"):
    """Walk a case bar by bar, decisions recorded at real bars."""
    bars, plan = case.bars, case.plan

    def said(row):
        return BarSignal(
            signal=int(plan.signal[row]),
            forecast_side=int(plan.forecast_side[row]),
            exceeds_cost=bool(plan.exceeds_cost[row]),
            decidable=bool(plan.decidable[row]),
        )

    holding = new_state(case.balance, int(bars.closed[0]))
    if not bars.synthetic[0]:
        holding, _ = first_decision(holding, float(bars.close[0]), said(0), case.rules)
    ledger.open_account(name, NOW, ABOUT)
    open_sub_account(ledger, name, BTC, holding)
    for row in range(1, len(bars)):
        done = step_bar(holding, bars, row, said(row), case.rules)
        with ledger.transaction(name, BTC) as writer:
            writer.record_bar(done)
            if not bars.synthetic[row]:
                writer.record_decision(int(bars.closed[row]), done.target, {"close": float(bars.close[row])})
        holding = done.state


@pytest.mark.slow
@holds_for(cases(max_bars=25), examples=20)
def test_the_rows_of_an_account_add_up_to_its_equity_and_are_the_backtests(tmp_path_factory, case):
    assume(not case.bars.synthetic[-1])  # a hole at the end of the data is never carried
    ledger = Ledger(tmp_path_factory.mktemp("ledger") / "ledger.sqlite")
    walk(ledger, case)
    seen, run = look(ledger, "replay/x"), case.run()
    rows = [trade for _, trade in trades_of(seen, ledger)]
    assert seen.equity == run.equity[-1]
    assert seen.opened_with == case.balance
    assert case.balance + sum(trade.net_pnl for trade in rows) == pytest.approx(seen.equity, abs=1e-6)
    assert rows == list(run.trades)


def test_a_position_of_this_hour_is_marked_at_the_close_it_was_decided_at(ledger):
    # 1000 buys 9.9 at 101 after the close at 100, and fees are gone at once.
    account = SubAccount(
        cash=0.0, side=1, quantity=9.89, average_price=101.0, peak_equity=1000.0, entry_hour=101
    )
    fill = Fill(at=101, side=1, quantity=9.89, price=101.0, fee=1.1, reason="entry")
    put(ledger, account, equity=1000.0, decision={"close": 100.0, "reason": "up"}, fills=(fill,))
    (part,) = look(ledger).tickers
    assert (part.marked_at, part.price) == (101, 100.0)
    assert part.equity == pytest.approx(989.0)
    assert part.open_trade.exit_reason == "open"


def test_without_a_close_the_last_fill_tells_the_price_of_what_it_left(ledger):
    account = SubAccount(cash=999.0, quantity=0.01, average_price=101.0, peak_equity=1000.0)
    fill = Fill(at=105, side=-1, quantity=9.0, price=99.0, fee=1.0, reason="close")
    put(ledger, account, equity=1000.0, decision={"reason": "too many bars are missing"}, fills=(fill,))
    (part,) = look(ledger).tickers
    assert part.price == 99.0
    assert part.open_trade == Trade(
        direction=1,
        entry_hour=0,
        entry_price=101.0,
        exit_hour=101,
        exit_price=99.0,
        quantity=0.01,
        fees=0.0,
        exit_reason="dust",
    )


def test_without_either_equity_tells_the_price(ledger):
    put(
        ledger,
        SubAccount(cash=1600.0, side=-1, quantity=-6.0, average_price=100.0, peak_equity=1000.0),
        equity=1060.0,
    )
    (part,) = look(ledger).tickers
    assert (part.price, part.equity, part.open_trade.net_pnl) == (90.0, 1060.0, 60.0)


def test_everything_to_be_known_of_a_sub_account_is_there(ledger, state):
    account = SubAccount(
        cash=400.0, side=1, quantity=6.0, average_price=100.0, peak_equity=1200.0, halted=True
    )
    put(
        ledger, account, equity=1000.0, pending=(Exit("opposite"), Enter(-1, 1.0)), decision={"reason": "why"}
    )
    waiting = OrderRecord(
        client_order_id="cr-1",
        ticker=BTC,
        bar=101,
        leg="exit",
        side=-1,
        notional=None,
        quantity=6.0,
        reason="neutral",
        sent_at=NOW,
    )
    with ledger.transaction(DEMO, BTC) as writer:
        writer.add_intent(waiting)
    put(ledger, SubAccount.open(500.0), ticker=ETH)
    ledger.open_account("demo/sample", NOW)
    halt(state, at=NOW, why="elections")
    seen = look(ledger)
    first, second = seen.tickers
    assert (first.ticker, second.ticker) == (BTC, ETH)
    assert (first.opening.balance, first.opening.at, first.price) == (1000.0, 100, 100.0)
    assert first.pending == ("exit (opposite)", "enter short")
    assert first.unsettled == (waiting,)
    assert first.decision["reason"] == "why"
    assert first.account.halted
    assert second.decision is None
    assert second.open_trade is None
    assert (seen.cash, seen.equity, seen.opened_with) == (900.0, 1500.0, 2000.0)
    assert seen.others == ("demo/sample",)
    assert "elections" in seen.halt
    assert not seen.simulated


def test_trades_come_in_the_order_of_their_exits_and_what_is_held_last(ledger):
    held = SubAccount(cash=0.0, side=1, quantity=10.0, average_price=100.0, peak_equity=1000.0, entry_hour=50)

    def trade(exited):
        return Trade(
            direction=1,
            entry_hour=40,
            entry_price=100.0,
            exit_hour=exited,
            exit_price=100.0,
            quantity=1.0,
            fees=0.0,
            exit_reason="neutral",
        )

    for ticker, exits in ((ETH, (60, 300)), (BTC, (70, 80))):
        put(ledger, held, ticker=ticker, equity=1000.0)
        with ledger.transaction(DEMO, ticker) as writer:
            writer.record_fills((), [trade(at) for at in exits])
    rows = [(str(ticker), row.exit_hour, row.exit_reason) for ticker, row in trades_of(look(ledger), ledger)]
    assert rows == [
        ("ETH/USD", 60, "neutral"),
        ("BTC/USD", 70, "neutral"),
        ("BTC/USD", 80, "neutral"),
        ("ETH/USD", 300, "neutral"),
        ("BTC/USD", 101, "open"),
        ("ETH/USD", 101, "open"),
    ]


# Which account


def account(name, source):
    return AccountRow(name=name, opened_at=NOW, traded_at=NOW, about={"source": source})


ROWS = (
    account("replay/1", "sample"),
    account("demo/files/bars", "files"),
    account("paper/7", "alpaca"),
    account("live/8", "alpaca"),
    account("live/9", "alpaca"),
)


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({}, "demo/files/bars"),
        ({"source": "sample"}, "replay/1"),
        ({"name": "replay/1"}, "replay/1"),
        ({"source": "alpaca"}, "paper/7"),
        ({"source": "files"}, "demo/files/bars"),
        ({"live": True}, "live/8"),
        ({"live": True, "name": "live/9"}, "live/9"),
        ({"name": "paper/7"}, "paper/7"),
    ],
)
def test_of_the_accounts_asked_for_the_one_traded_last_is_meant_and_a_replay_only_for_want_of_others(
    asked, name
):
    assert select_account(ROWS, **asked).name == name


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "demo/sample"},
        {"name": "paper"},
        {"name": "demo"},
        {"name": "PAPER/7"},
        {"source": "nowhere"},
    ],
)
def test_an_account_that_is_not_there_is_refused_and_the_others_are_named(asked):
    with pytest.raises(BrokerError, match=r"has no account") as caught:
        select_account(ROWS, **asked)
    assert all(row.name in caught.value.expected for row in ROWS)
    assert "replay/1 (SIMULATED)" in caught.value.expected
    assert caught.value.expected.count("SIMULATED") == 1


def test_live_is_never_said_of_another_account():
    with pytest.raises(UsageError, match="paper/7 is no live account"):
        select_account(ROWS, name="paper/7", live=True)


def test_looking_makes_no_ledger(state, ledger):
    assert accounts_of(state, ledger) == ()
    assert not state.exists()
