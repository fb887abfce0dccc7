"""Nothing is entered for less than a cent, by the account that backtest, replay, demo and broker share."""

from __future__ import annotations

import numpy as np
import pytest
from support.strategies import FINE
from support.stub_models import sample_bars

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.backtest.result import plan_of_sides
from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.fills import fill_at_open
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import SubAccount, open_position
from crypto_refactor.trading.orders.sizing import purchase

AT = 400_000
RULES = ExecutionRules(fee=0.0)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(
    ("cash", "fraction", "entered"),
    [(0.01, 1.0, True), (0.0099, 1.0, False), (0.02, 0.5, True), (0.018, 0.5, False), (0.0, 1.0, False)],
)
def test_a_cent_is_entered_and_less_is_not(side, cash, fraction, entered):
    account = SubAccount.open(cash)
    after, fill = open_position(account, side, fraction, 100.0, AT, RULES)
    assert (fill is not None) == entered
    assert entered or after is account


def test_a_limit_below_a_cent_enters_nothing():
    rules = ExecutionRules(fee=0.0, max_notional=0.009)
    assert open_position(SubAccount.open(1e5), 1, 1.0, 100.0, AT, rules)[1] is None


@pytest.mark.parametrize("side", [1, -1])
def test_a_quantity_of_nothing_is_not_entered(side):
    # The price overflows, so that any money buys 0.
    rules = ExecutionRules(fee=0.0, slippage_bps=9_999.0)
    account = SubAccount.open(1.0)
    after, fill = open_position(account, side, 1.0, 1.7e308, AT, rules)
    assert side < 0 or (after is account and fill is None)
    assert np.isfinite(after.equity(1.0))


def test_the_open_of_an_account_enters_nothing_below_a_cent():
    outcome = fill_at_open(SubAccount.open(0.005), (Enter(1, 1.0),), 100.0, AT, adjacent=True, rules=RULES)
    assert outcome.fills == ()
    assert outcome.account.cash == 0.005


def test_a_broker_is_sent_nothing_below_a_cent():
    rules = ExecutionRules(fee=0.0, venue=FINE, long_only=True)
    assert purchase(SubAccount.open(0.009), 0.009, 100.0, AT, rules) == ()


@pytest.mark.parametrize("fee", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("balance", [1e-9, 0.01, 1.0, 1e5])
@pytest.mark.parametrize("borrow", [0.0, 5.0])
def test_whatever_the_fee_an_account_is_spent_and_stays_where_it_is(fee, balance, borrow):
    bars = sample_bars(900)
    sides = np.where(np.arange(900) % 2, 1, -1).astype(np.int8)
    run = simulate(
        bars, plan_of_sides(sides), ExecutionRules(fee=fee, borrow=borrow), initial_balance=balance
    )
    assert np.isfinite(run.equity).all()
    assert all(fill.quantity > 0 for fill in run.fills)
    assert all(fill.notional * (1 + fee) > 0.0099 for fill in run.fills if fill.reason == "entry")
    if fee >= 0.1:
        assert 0 <= run.equity[-1] < 0.01 or balance < 0.01
