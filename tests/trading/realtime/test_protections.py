"""Stop-loss, take-profit and drawdown where no bar or model allows a decision."""

from __future__ import annotations

import pytest
from support.fake_clock_loop import ACCOUNT, PassingHours, alpaca_bars
from support.stub_models import BTC

from crypto_refactor.errors import ModelError
from crypto_refactor.execution.decisions import protect
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules, ExitRule
from crypto_refactor.execution.sub_account import SubAccount

FIRST = int(alpaca_bars(BTC).closed[1533])
OPTIONS = ExecutionOptions(exit=ExitRule.OPPOSITE, long_only=True, stop_loss=0.05, take_profit=0.2)


@pytest.fixture
def world(tmp_path, fits):
    with PassingHours({BTC: alpaca_bars(BTC)}, tmp_path) as running:
        running.start(FIRST, seconds=30.0)
        yield running


def holding(world):
    """Run until a position is held; return the entry price and the hour of the latest decision."""
    loop = world.loop(options=OPTIONS)
    for _ in range(60):
        loop.run(1)
        state = world.ledger.state(ACCOUNT, BTC)
        if state.account.side:
            return state.account.average_price, state.processed_through
        world.sleep(3600)
    raise AssertionError("nothing was ever bought")


@pytest.mark.parametrize(
    ("move", "reason"), [(0.94, "stop_loss"), (1.3, "take_profit"), (0.96, None), (1.1, None)]
)
def test_a_late_bar_does_not_keep_a_protection_from_acting(world, move, reason):
    entry, hour = holding(world)
    world.late[BTC, hour + 1] = None
    world.traded[BTC] = entry * move
    world.sleep(3600)
    world.loop(options=OPTIONS).run(1)
    trades = world.ledger.trades(ACCOUNT, BTC)
    assert [trade.exit_reason for trade in trades[-1:]] == [reason] * (reason is not None)
    if reason is not None:
        assert trades[-1].exit_price == pytest.approx(entry * move)
        assert world.ledger.state(ACCOUNT, BTC).account.side == 0
        assert any("the newest price" in row.reason for _, row in world.rows if hasattr(row, "reason"))


@pytest.mark.parametrize(("moves", "sold"), [((0.5, 1.0), False), ((0.5, 0.5), True), ((0.1, 0.1), False)])
def test_a_newest_price_that_jumps_is_looked_at_twice(world, moves, sold):
    entry, hour = holding(world)
    world.late[BTC, hour + 1] = None
    world.traded[BTC] = entry * moves[0]
    world.after(3600 + 1, lambda: world.traded.__setitem__(BTC, entry * moves[1]))
    world.sleep(3600)
    world.loop(options=OPTIONS).run(1)
    trades = world.ledger.trades(ACCOUNT, BTC)
    assert any(trade.exit_reason == "stop_loss" for trade in trades) == sold


def test_a_missing_model_does_not_keep_a_protection_from_acting_and_it_acts_once(world, monkeypatch):
    entry, _ = holding(world)
    world.traded[BTC] = entry * 0.9

    def unreadable(*_args, **_options):
        raise ModelError("The model folder cannot be read.", expected="a folder.", remedy="mend it.")

    monkeypatch.setattr("crypto_refactor.trading.decider.Decider.decide", unreadable)
    monkeypatch.setattr("crypto_refactor.trading.decider.Decider.missing", unreadable)
    for _ in range(3):
        world.sleep(3600)
        world.loop(options=OPTIONS).run(1)
    assert [trade.exit_reason for trade in world.ledger.trades(ACCOUNT, BTC)][-1] == "stop_loss"
    assert len([fill for fill in world.ledger.fills(ACCOUNT, BTC) if fill.reason == "stop_loss"]) == 1
    assert world.ledger.state(ACCOUNT, BTC).account.blocked_side == 1


LONG = SubAccount(cash=0.0, peak_equity=1000.0, side=1, quantity=10.0, average_price=100.0)


@pytest.mark.parametrize(
    ("price", "reason"), [(95.0, "stop_loss"), (95.1, None), (109.9, None), (110.1, "take_profit")]
)
def test_a_protection_triggers_at_the_level_of_a_close(price, reason):
    rules = ExecutionRules(stop_loss=0.05, take_profit=0.1)
    account, why = protect(LONG, price, rules)
    assert (why, account.blocked_side) == (reason, 1 if reason else 0)


def test_the_drawdown_halts_entries_and_raises_no_peak():
    rules = ExecutionRules(max_drawdown=0.2)
    assert protect(LONG, 80.0, rules) == (LONG._replace(halted=True), None)
    assert protect(LONG, 150.0, rules) == (LONG, None)


def test_a_flat_account_has_nothing_to_protect():
    flat = SubAccount.open(1000.0)
    assert protect(flat, 1.0, ExecutionRules(stop_loss=0.05)) == (flat, None)
