from __future__ import annotations

import numpy as np
import pytest
from hypothesis import strategies as st
from support.strategies import cases, holds_for

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.backtest.significance.fee_sensitivity import (
    FEE_FACTORS,
    MAX_FEE,
    break_even_fee,
    cost_sweep,
    return_by_fee,
)
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker

FIRST = 400_000


def bars_of(opens):
    opens = np.asarray(opens, dtype=float)
    return Bars(
        ticker=Ticker("BTC", "USD"),
        source="files",
        opened=FIRST + np.arange(len(opens)),
        open=opens,
        high=opens,
        low=opens,
        close=opens,
        volume=np.ones(len(opens)),
    )


def plan_of(signal, exceeds_cost=None):
    side = np.array(signal, dtype=np.int8)
    yes = np.ones(len(side), dtype=bool)
    return SignalPlan(
        signal=side,
        forecast_side=side,
        exceeds_cost=yes if exceeds_cost is None else np.array(exceeds_cost, dtype=bool),
        decidable=yes,
    )


def earning(opens, signal, **rules):
    window, plan, asked = bars_of(opens), plan_of(signal), ExecutionRules(**rules)
    run = simulate(window, plan, asked, initial_balance=1000.0)
    return return_by_fee(run, window, plan, asked), len(run.fills), run


class TestByHand:
    def test_one_long(self):
        # Bought at 100, sold at 121: (1 - fee) / (1 + fee) * 1.21 = 1.
        earns, fills, _ = earning([100, 100, 121], [1, 0, 0])
        assert earns(0.0) == pytest.approx(0.21)
        assert earns(0.01) == pytest.approx(1.21 * 0.99 / 1.01 - 1)
        found = break_even_fee(earns, fills)
        assert found.fee == pytest.approx(0.21 / 2.21)
        assert found.reason is None

    def test_one_short(self):
        # Sold at 100, bought back at 80; per unit of money (1 - fee) / (1 + fee) = 0.8.
        earns, fills, _ = earning([100, 100, 80], [-1, 0, 0])
        assert break_even_fee(earns, fills).fee == pytest.approx(0.2 / 1.8)

    def test_what_is_held_at_the_end_has_paid_one_fee(self):
        earns, fills, _ = earning([100, 100, 105], [1, 1, 1])
        assert break_even_fee(earns, fills).fee == pytest.approx(0.05)

    def test_the_sweep(self):
        earns, _, run = earning([100, 100, 121], [1, 0, 0], fee=0.01)
        points = cost_sweep(earns, 0.01)
        assert tuple(point.factor for point in points) == FEE_FACTORS == (0.0, 0.5, 1.0, 2.0, 5.0)
        for point in points:
            assert point.fee == point.factor * 0.01
            assert point.total_return == pytest.approx(1.21 * (1 - point.fee) / (1 + point.fee) - 1)
        assert points[2].total_return == run.equity[-1] / 1000 - 1

    def test_a_fee_of_everything_is_no_point(self):
        earns, _, _ = earning([100, 100, 121], [1, 0, 0], fee=0.3)
        assert [point.total_return is None for point in cost_sweep(earns, 0.3)] == [False] * 4 + [True]


class TestWithoutABreakEven:
    @pytest.mark.parametrize(
        ("opens", "signal", "rules", "reason"),
        [
            ([100, 100, 90], [1, 0, 0], {}, "it loses before fees"),
            ([100, 100, 100], [1, 0, 0], {}, "it earns 0 before fees"),
            ([100, 100, 90], [0, 0, 0], {}, "nothing was traded"),
            ([100, 100, 300], [1, 1, 1], {}, "it gains at any fee"),
            # Slippage stays: it is what loses here.
            ([100, 100, 101], [1, 0, 0], {"slippage_bps": 100.0}, "it loses before fees"),
        ],
    )
    def test_the_reason_is_given(self, opens, signal, rules, reason):
        earns, fills, _ = earning(opens, signal, **rules)
        found = break_even_fee(earns, fills)
        assert (found.fee, found.reason) == (None, reason)

    def test_a_ruined_run_loses(self):
        earns, fills, _ = earning([100, 100, 250, 250], [-1, -1, -1, 0])
        assert earns(0.0) == -1.0
        assert break_even_fee(earns, fills).reason == "it loses before fees"


class TestEntriesAreKept:
    def test_those_that_strict_let_in_at_the_runs_own_fee(self):
        window = bars_of([100, 100, 110, 110, 121, 121])
        plan = plan_of([1, 0, 1, 0, 0, 0], exceeds_cost=[True, True, False, True, True, True])
        rules = ExecutionRules(strict=True)
        run = simulate(window, plan, rules, initial_balance=1000.0)
        assert len(run.trades) == 1
        earns = return_by_fee(run, window, plan, rules)
        assert earns(0.0) == pytest.approx(0.1)

    def test_those_before_the_drawdown_halt(self):
        # Down 20 % and halted; what comes after is not entered at any fee.
        window = bars_of([100, 100, 80, 80, 160, 160])
        plan, rules = plan_of([1, 0, 1, 0, 0, 0]), ExecutionRules(max_drawdown=0.1, fee=0.0)
        run = simulate(window, plan, rules, initial_balance=1000.0)
        assert run.halted_at is not None
        earns = return_by_fee(run, window, plan, rules)
        assert earns(0.0) == pytest.approx(-0.2)

    def test_and_a_higher_fee_halts_nothing(self):
        window = bars_of([100, 100, 110, 110, 121, 121])
        plan, rules = plan_of([1, 0, 1, 0, 0, 0]), ExecutionRules(max_drawdown=0.05, fee=0.0)
        earns = return_by_fee(simulate(window, plan, rules, initial_balance=1000.0), window, plan, rules)
        assert earns(0.1) == pytest.approx((1.1 * 0.9 / 1.1) ** 2 - 1)


@holds_for(cases(min_bars=20), examples=150)
def test_at_the_runs_own_fee_it_earns_what_it_earned(case):
    run = case.run()
    earns = return_by_fee(run, case.bars, case.plan, case.rules)
    assert earns(case.rules.fee) == run.equity[-1] / case.balance - 1


@holds_for(cases(min_bars=20, venue=None), st.floats(0, 0.02), st.floats(0, 0.02), examples=100)
def test_a_higher_fee_never_earns_more(case, one, other):
    run = case.run()
    earns = return_by_fee(run, case.bars, case.plan, case.rules)
    low, high = sorted((one, other))
    assert earns(high) <= earns(low) + 1e-9


@holds_for(cases(min_bars=20, venue=None), examples=100)
def test_at_the_break_even_fee_nothing_is_left(case):
    run = case.run()
    calls = []
    plain = return_by_fee(run, case.bars, case.plan, case.rules)

    def earns(fee):
        calls.append(fee)
        return plain(fee)

    found = break_even_fee(earns, len(run.fills))
    assert len(calls) < 40
    if found.fee is not None:
        assert 0 < found.fee < MAX_FEE + 1e-9
        assert plain(found.fee) == pytest.approx(0, abs=1e-6)
    elif found.reason == "it gains at any fee":
        assert plain(MAX_FEE) > 0
    else:
        assert plain(0.0) <= 0


def test_it_is_found_in_a_few_runs_of_the_engine(random_bars):
    window = random_bars(2000)
    # Ten hours ahead, and right six times in ten.
    ahead = np.sign(np.roll(window.open, -11) - np.roll(window.open, -1))[::10]
    right = np.random.default_rng(0).random(200) < 0.6
    plan, rules = plan_of(np.repeat(np.where(right, ahead, -ahead), 10)), ExecutionRules()
    run = simulate(window, plan, rules, initial_balance=1000.0)
    calls = []
    plain = return_by_fee(run, window, plan, rules)
    found = break_even_fee(lambda fee: calls.append(fee) or plain(fee), len(run.fills))
    assert found.fee == pytest.approx(0.001, rel=0.9)
    assert len(calls) <= 8
