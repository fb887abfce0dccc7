from __future__ import annotations

import numpy as np
import pytest
from support.strategies import cases, holds_for

from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import BarSignal, SubAccountState, first_decision, new_state, step_bar


def verdicts(case):
    plan = case.plan
    rows = zip(
        plan.signal.tolist(),
        plan.forecast_side.tolist(),
        plan.worthwhile.tolist(),
        plan.decidable.tolist(),
        strict=True,
    )
    return [
        BarSignal(signal=signal, forecast_side=side, worthwhile=worth, decidable=can)
        for signal, side, worth, can in rows
    ]


def walked(case):
    """Walk the case's account bar by bar, as a process would that is restarted before every bar."""
    bars, rules, said = case.bars, case.rules, verdicts(case)
    holding = new_state(case.balance, int(bars.closed[0]))
    targets, equity, fills, trades = [0], [case.balance], [], []
    if not bars.synthetic[0]:
        holding, targets[0] = first_decision(holding, float(bars.close[0]), said[0], rules)
    for row in range(1, len(bars)):
        done = step_bar(holding, bars.prefix(row + 1), row, said[row], rules)
        holding = done.state
        targets.append(done.target)
        equity.append(done.equity)
        fills += done.fills
        trades += done.trades
    return holding, targets, equity, fills, trades


@holds_for(cases(), examples=300)
def test_a_walk_bar_by_bar_is_the_backtest_to_the_last_bit(case):
    run = case.run()
    holding, targets, equity, fills, trades = walked(case)
    assert tuple(fills) == run.fills
    assert tuple(trades) == tuple(trade for trade in run.trades if trade.closed)
    assert np.array_equal(equity, run.equity)
    assert targets == run.target.tolist()
    assert holding.pending == run.pending
    assert holding.account == run.account


def test_a_bar_nobody_decides_at_only_fills_and_marks(random_bars):
    bars = random_bars(3)
    start = new_state(1000.0, int(bars.closed[0]))
    holding = SubAccountState(
        account=start.account, pending=(Enter(1, 1.0),), processed_through=start.processed_through
    )
    done = step_bar(holding, bars, 1, None, ExecutionRules())
    assert [fill.price for fill in done.fills] == [bars.open[1]]
    assert done.state.pending == ()
    assert done.equity == pytest.approx(done.state.account.equity(bars.close[1]))
