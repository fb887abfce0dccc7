from __future__ import annotations

import numpy as np
import pytest
from support.strategies import cases, holds_for

from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import BarSignal, SubAccountState, first_decision, new_state, step_bar


def bar_signals(case):
    plan = case.plan
    rows = zip(
        plan.signal.tolist(),
        plan.forecast_side.tolist(),
        plan.exceeds_cost.tolist(),
        plan.decidable.tolist(),
        strict=True,
    )
    return [
        BarSignal(signal=signal, forecast_side=side, exceeds_cost=worth, decidable=can)
        for signal, side, worth, can in rows
    ]


def step_by_step(case):
    """Step the case's account bar by bar, as a process does that is restarted before every bar."""
    bars, rules, signals = case.bars, case.rules, bar_signals(case)
    state = new_state(case.balance, int(bars.closed[0]))
    targets, equity, fills, trades = [0], [case.balance], [], []
    if not bars.synthetic[0]:
        state, targets[0] = first_decision(state, float(bars.close[0]), signals[0], rules)
    for row in range(1, len(bars)):
        step = step_bar(state, bars.prefix(row + 1), row, signals[row], rules)
        state = step.state
        targets.append(step.target)
        equity.append(step.equity)
        fills += step.fills
        trades += step.trades
    return state, targets, equity, fills, trades


@holds_for(cases(), examples=300)
def test_stepping_bar_by_bar_is_the_backtest_to_the_last_bit(case):
    run = case.run()
    state, targets, equity, fills, trades = step_by_step(case)
    assert tuple(fills) == run.fills
    assert tuple(trades) == tuple(trade for trade in run.trades if trade.closed)
    assert np.array_equal(equity, run.equity)
    assert targets == run.target.tolist()
    assert state.pending == run.pending
    assert state.account == run.account


def test_a_bar_without_a_decision_only_fills_and_marks(random_bars):
    bars = random_bars(3)
    start = new_state(1000.0, int(bars.closed[0]))
    state = SubAccountState(
        account=start.account, pending=(Enter(1, 1.0),), processed_through=start.processed_through
    )
    step = step_bar(state, bars, 1, None, ExecutionRules())
    assert [fill.price for fill in step.fills] == [bars.open[1]]
    assert step.state.pending == ()
    assert step.equity == pytest.approx(step.state.account.equity(bars.close[1]))
