"""The engine beside two independent backtesting libraries, where their semantics coincide.

vectorbt fills an order in the row it stands in, so the target of a close stands one row later, with the
opens as its prices.  What is compared is all-in trading with fees, longs, shorts and flips; a fraction of
the cash, close-checked stops and gaps have no counterpart there and are left to the closed form.

backtesting.py trades whole units, which 1e12 in cash and unit prices near 100 make small; it cannot trade
on its first bar and books the fee of an order in the bar that fills it, as this engine does.
"""

from __future__ import annotations

import numpy as np
import pytest

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules

pytestmark = pytest.mark.oracle

BARS = 800
FEES = (0.0, 0.001, 0.0025)
SEEDS = (0, 1, 2, 3)


def random_plan(count, seed, sides=(-1, 0, 1)):
    """Keep a random side for about ten bars; the first two and the last three bars change nothing."""
    rng = np.random.default_rng(seed)
    signal = rng.choice(sides, count)
    changes = rng.random(count) < 0.1
    changes[-3:] = False
    changes[:2] = False
    latest = np.maximum.accumulate(np.where(changes, np.arange(count), 0))
    signal[0] = 0
    signal = signal[latest].astype(np.int8)
    return SignalPlan(
        signal=signal,
        forecast_side=signal,
        exceeds_cost=np.ones(count, dtype=bool),
        decidable=np.ones(count, dtype=bool),
    )


def compare_trades(result, expected):
    got = np.array(
        [[t.direction, t.entry_price, t.exit_price, t.quantity] for t in result.trades if t.closed]
    )
    assert got.shape == expected.shape
    assert len(got) > 20
    np.testing.assert_allclose(got, expected, rtol=1e-9)


@pytest.mark.slow  # numba compiles for some 15 s where its cache is cold
@pytest.mark.parametrize("sides", [(-1, 0, 1), (0, 1), (-1, 1)], ids=["all", "long-only", "always in"])
def test_vectorbt_agrees_on_every_bar(random_bars, sides):
    vectorbt = pytest.importorskip("vectorbt")
    kinds = vectorbt.portfolio.enums.SizeType
    # One column per case, so that numba compiles and starts once.
    columns = [(seed, fee) for seed in SEEDS for fee in FEES]
    bars = [random_bars(BARS, seed=seed) for seed, _ in columns]
    plans = [random_plan(BARS, seed, sides) for seed, _ in columns]
    shifted = np.stack([np.concatenate([[0], plan.signal[:-1]]) for plan in plans], axis=1)
    changed = np.diff(shifted, axis=0, prepend=0) != 0
    portfolio = vectorbt.Portfolio.from_orders(
        close=np.stack([part.close for part in bars], axis=1),
        price=np.stack([part.open for part in bars], axis=1),
        # All the cash either way, which flips in one order; back to flat: no units.
        size=np.where(changed, np.array([0.0, np.inf, -np.inf])[shifted], np.nan),
        size_type=np.where(shifted != 0, kinds.Amount, kinds.TargetAmount),
        fees=np.array([[fee for _, fee in columns]]),
        init_cash=10_000.0,
    )
    value = portfolio.value().to_numpy()
    for column, (seed, fee) in enumerate(columns):
        result = simulate(bars[column], plans[column], ExecutionRules(fee=fee), initial_balance=10_000.0)
        np.testing.assert_allclose(
            result.equity, value[:, column], rtol=1e-9, err_msg=f"seed {seed} fee {fee}"
        )
        orders = portfolio.orders.records_arr
        mine = sum(fill.fee for fill in result.fills)
        assert mine == pytest.approx(float(orders["fees"][orders["col"] == column].sum()), rel=1e-9)


@pytest.mark.filterwarnings("ignore:Some trades remain open", "ignore:DatetimeIndex.dayofweek is deprecated")
@pytest.mark.parametrize("fee", FEES)
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_backtesting_py_agrees_on_every_bar_and_trade(random_bars, seed, fee):
    backtesting = pytest.importorskip("backtesting")
    pandas = pytest.importorskip("pandas")
    bars, plan = random_bars(BARS, seed=seed), random_plan(BARS, seed)
    signal = plan.signal

    class Follow(backtesting.Strategy):
        def init(self):
            self.side = 0

        def next(self):
            wanted = int(signal[len(self.data) - 1])
            if wanted == self.side:
                return
            self.position.close()
            if wanted:
                (self.buy if wanted > 0 else self.sell)()
            self.side = wanted

    frame = pandas.DataFrame(
        {name.title(): getattr(bars, name) for name in ("open", "high", "low", "close", "volume")},
        index=pandas.to_datetime(bars.opened * 3600, unit="s"),
    )
    run = backtesting.Backtest(frame, Follow, cash=1e12, commission=fee).run()
    result = simulate(bars, plan, ExecutionRules(fee=fee), initial_balance=1e12)
    np.testing.assert_allclose(result.equity, run["_equity_curve"]["Equity"].to_numpy(), rtol=1e-9)
    trades = run["_trades"]
    expected = np.stack(
        [np.sign(trades["Size"]), trades["EntryPrice"], trades["ExitPrice"], trades["Size"].abs()], axis=1
    )
    compare_trades(result, expected)
    closed = [trade.net_pnl for trade in result.trades if trade.closed]
    assert sum(closed) == pytest.approx(float(trades["PnL"].sum()), rel=1e-7)
