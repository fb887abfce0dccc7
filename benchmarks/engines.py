"""The backtest engine, with trade log and metrics, compared with vectorbt and backtesting.py.

    python benchmarks/engines.py [--repeats 7]

2,160 and 43,800 bars, the target changes on 5 % of them, fee 0.1 %.  Each engine computes an equity curve, a trade
log and metrics.  vectorbt gets orders as arrays (value, trades and figures of returns, without `stats()`, which costs
more).  Final balances must agree.  The first call is timed as a whole process, start and imports included, on the
same bars, which each process simulates.
"""

from __future__ import annotations

import sys
import warnings

import numpy as np
from harness import LONG, Row, arguments, long_bars, median_seconds, print_rows, process, processes

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.backtest.metrics import compute_metrics as metrics
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules

SIZES = (2_160, LONG)
FEE, CASH = 0.001, 1e12
GOALS = {2_160: (10, 50), LONG: (1, 15)}


def flipping_plan(count: int) -> SignalPlan:
    """Return targets that change on 5 % of the bars; backtesting.py sees neither the first nor fills the last."""
    rng = np.random.default_rng(5)
    changes = rng.random(count) < 0.05
    changes[:2] = changes[-3:] = False
    latest = np.maximum.accumulate(np.where(changes, np.arange(count), 0))
    signal = rng.choice(np.array([-1, 0, 1]), count)
    signal[0] = 0
    signal = signal[latest].astype(np.int8)
    always = np.ones(count, dtype=bool)
    return SignalPlan(signal=signal, forecast_side=signal, exceeds_cost=always, decidable=always)


def by_this_tool(bars, plan):
    run = simulate(bars, plan, ExecutionRules(fee=FEE), initial_balance=CASH)
    return metrics(run.equity, run.sides[1:] != 0, run.trades, run.fills, hours=len(bars) - 1).final_balance


def by_vectorbt(bars, plan):
    import vectorbt

    kinds = vectorbt.portfolio.enums.SizeType
    shifted = np.concatenate([[0], plan.signal[:-1]])
    changed = np.diff(shifted, prepend=0) != 0
    portfolio = vectorbt.Portfolio.from_orders(
        close=bars.close,
        price=bars.open,
        size=np.where(changed, np.array([0.0, np.inf, -np.inf])[shifted], np.nan),
        size_type=np.where(shifted != 0, kinds.Amount, kinds.TargetAmount),
        fees=FEE,
        init_cash=CASH,
        freq="1h",
    )
    value, trades = portfolio.value(), portfolio.trades
    trades.win_rate(), trades.profit_factor(), trades.expectancy(), trades.records_arr
    (
        portfolio.sharpe_ratio(),
        portfolio.sortino_ratio(),
        portfolio.max_drawdown(),
        portfolio.annualized_volatility(),
    )
    return float(value.iloc[-1])


def backtesting_py(bars, plan):
    """Return a job that runs backtesting.py on bars that were handed over before."""
    import backtesting
    import pandas as pd

    signal = plan.signal

    class Follow(backtesting.Strategy):
        def init(self):
            self.side = 0

        def next(self):
            target = int(signal[len(self.data) - 1])
            if target == self.side:
                return
            self.position.close()
            if target:
                (self.buy if target > 0 else self.sell)()
            self.side = target

    frame = pd.DataFrame(
        {name.title(): getattr(bars, name) for name in ("open", "high", "low", "close", "volume")},
        index=pd.to_datetime(bars.opened * 3600, unit="s"),
    )
    test = backtesting.Backtest(frame, Follow, cash=CASH, commission=FEE)
    return lambda: float(test.run()["Equity Final [$]"])


def measure(repeats: int) -> list[Row]:
    warnings.simplefilter("ignore")

    rows: list[Row] = []
    for count in SIZES:
        bars, plan = long_bars(count), flipping_plan(count)
        jobs = {
            "this tool": lambda bars=bars, plan=plan: by_this_tool(bars, plan),
            "vectorbt": lambda bars=bars, plan=plan: by_vectorbt(bars, plan),
            "backtesting.py": backtesting_py(bars, plan),
        }
        finals = {name: job() for name, job in jobs.items()}
        for name, final in finals.items():
            if abs(final / finals["this tool"] - 1) > 1e-6:
                raise SystemExit(f"{name} ends with {final}, this tool with {finals['this tool']}")
        seconds = median_seconds(jobs, repeats)
        job = f"backtest of {count:,} bars, 5 % flips, trades and metrics"
        rows += [
            Row(job=job, ours=seconds["this tool"], against=f"{name}, warm", theirs=seconds[name], goal=goal)
            for name, goal in zip(("vectorbt", "backtesting.py"), GOALS[count], strict=True)
        ]
    medians = processes({name: lambda name=name: process([__file__, "--first", name]) for name in FIRST}, 3)
    rows.append(
        Row(
            job=f"first call, {SIZES[0]:,} bars, whole process",
            ours=medians["this tool"].seconds,
            against="vectorbt, its compiled code cached on disk where it can be",
            theirs=medians["vectorbt"].seconds,
        )
    )
    return rows


FIRST = {"this tool": by_this_tool, "vectorbt": by_vectorbt}


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "--first":
        FIRST[sys.argv[2]](long_bars(SIZES[0]), flipping_plan(SIZES[0]))
        return
    options = arguments(__doc__, bars=False, repeats=7)
    print_rows(measure(options.repeats), as_json=options.json)


if __name__ == "__main__":
    main()
