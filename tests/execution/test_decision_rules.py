"""Signal and position to decision, without an engine around it."""

from __future__ import annotations

import numpy as np
import pytest

from crypto_refactor.execution.decisions import (
    Enter,
    Exit,
    SignalPlan,
    close_without_data,
    decide,
    target_by_side,
    update_drawdown,
)
from crypto_refactor.execution.rules import ExecutionRules, ExitRule
from crypto_refactor.execution.sub_account import SubAccount

FLAT = SubAccount.open(1000.0)
LONG = FLAT._replace(cash=0.0, side=1, quantity=10.0, average_price=100.0)
SHORT = FLAT._replace(cash=2000.0, side=-1, quantity=-10.0, average_price=100.0)

# signal and side of the forecast, as they can occur together
SIGNAL_FORECAST = [(1, 1), (-1, -1), (0, 1), (0, -1), (0, 0)]


def wanted(side, **rules):
    count = len(SIGNAL_FORECAST)
    signal, forecast = np.array(SIGNAL_FORECAST, dtype=np.int8).T
    plan = SignalPlan(
        signal=signal,
        forecast_side=forecast,
        exceeds_cost=np.ones(count, dtype=bool),
        decidable=np.ones(count, dtype=bool),
    )
    return target_by_side(plan, ExecutionRules(**rules))[side].tolist()


@pytest.mark.parametrize(
    ("rule", "long_only", "from_flat", "from_long", "from_short"),
    [
        ("neutral", False, [1, -1, 0, 0, 0], [1, -1, 0, 0, 0], [1, -1, 0, 0, 0]),
        ("opposite", False, [1, -1, 0, 0, 0], [1, -1, 1, 1, 1], [1, -1, -1, -1, -1]),
        ("fade", False, [1, -1, 0, 0, 0], [1, -1, 1, 0, 1], [1, -1, 0, -1, -1]),
        ("neutral", True, [1, 0, 0, 0, 0], [1, 0, 0, 0, 0], None),
        ("opposite", True, [1, 0, 0, 0, 0], [1, 0, 1, 1, 1], None),
        ("fade", True, [1, 0, 0, 0, 0], [1, 0, 1, 0, 1], None),
    ],
)
def test_the_wanted_side_depends_on_the_side_held(rule, long_only, from_flat, from_long, from_short):
    rules = {"exit": ExitRule(rule), "long_only": long_only}
    assert wanted(0, **rules) == from_flat
    assert wanted(1, **rules) == from_long
    if from_short is not None:
        assert wanted(-1, **rules) == from_short


def decided(account, close, *, signal, target=None, exceeds_cost=True, **rules):
    target = signal if target is None else target
    return decide(
        account, close, signal=signal, target=target, exceeds_cost=exceeds_cost, rules=ExecutionRules(**rules)
    )


@pytest.mark.parametrize("blocker", ["strict", "halted", "ruined", "stopped"])
def test_what_blocks_an_entry_never_blocks_the_exit_half_of_a_flip(blocker):
    account = (
        LONG
        if blocker == "strict"
        else LONG._replace(**{blocker: True} if blocker != "stopped" else {"blocked_side": -1})
    )
    _, decisions = decided(
        account, 100.0, signal=-1, exceeds_cost=blocker != "strict", strict=blocker == "strict"
    )
    assert decisions == (Exit("opposite"),)


def test_a_flip_is_an_exit_and_then_an_entry_with_the_position_size():
    _, decisions = decided(SHORT, 100.0, signal=1, position_size=0.25)
    assert decisions == (Exit("opposite"), Enter(1, 0.25))


def test_nothing_is_decided_while_position_and_target_agree():
    assert decided(LONG, 100.0, signal=1) == (LONG, ())
    assert decided(FLAT, 100.0, signal=0) == (FLAT, ())


def test_a_stop_is_remembered_until_the_target_changes():
    stopped, decisions = decided(LONG, 94.0, signal=1, stop_loss=0.05)
    assert decisions == (Exit("stop_loss"),)
    assert stopped.blocked_side == 1
    flat = stopped._replace(side=0, quantity=0.0)
    assert decided(flat, 94.0, signal=1) == (flat, ())
    released, decisions = decided(flat, 94.0, signal=0)
    assert decisions == ()
    assert released.blocked_side == 0
    assert decided(released, 94.0, signal=1)[1] == (Enter(1, 1.0),)


@pytest.mark.parametrize(
    ("account", "close", "reason"),
    [
        (LONG, 87.5, "stop_loss"),
        (LONG, 112.5, "take_profit"),
        (SHORT, 112.5, "stop_loss"),
        (SHORT, 87.5, "take_profit"),
    ],
)
def test_a_close_exactly_at_the_level_stops(account, close, reason):
    side = account.side
    _, decisions = decided(account, close, signal=side, stop_loss=0.125, take_profit=0.125)
    assert decisions == (Exit(reason),)
    inside = 100.0 + 0.999 * (close - 100.0)
    assert decided(account, inside, signal=side, stop_loss=0.125, take_profit=0.125)[1] == ()


def test_without_data_a_position_is_left_and_nothing_entered():
    assert close_without_data(LONG) == (Exit("no_data"),)
    assert close_without_data(SHORT) == (Exit("no_data"),)
    assert close_without_data(FLAT) == ()


def test_the_drawdown_halt_stays_when_equity_recovers():
    rules = ExecutionRules(max_drawdown=0.25)
    higher = update_drawdown(LONG, 120.0, rules)
    assert (higher.peak_equity, higher.halted) == (1200.0, False)
    assert not update_drawdown(higher, 90.1, rules).halted
    halted = update_drawdown(higher, 90.0, rules)
    assert halted.halted
    assert update_drawdown(halted, 150.0, rules).halted


def test_without_the_rule_the_drawdown_is_not_watched():
    assert update_drawdown(LONG, 1.0, ExecutionRules()) is LONG
