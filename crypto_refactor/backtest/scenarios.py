"""The three account runs of every result: the request, the same at Alpaca, buy and hold."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crypto_refactor.arguments import is_number, is_whole
from crypto_refactor.backtest.engine import Simulation, simulate
from crypto_refactor.backtest.metrics import compute_metrics
from crypto_refactor.backtest.result import AccountRun, Scenarios, plan_of_sides
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.execution.venues import ALPACA_FEE, alpaca_rules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker


def run_scenarios(
    window: Bars,
    plan_of: Callable[[ExecutionRules], SignalPlan],
    options: ExecutionOptions,
    *,
    hours: int,
    initial_balance: float,
) -> Scenarios:
    """Trade a plan by the requested rules, by Alpaca's, and by buying and holding.

    `plan_of` returns the plan for given rules, because whether a move exceeds its cost depends on them.  `window` holds the
    n + 1 bars of `RunResult`; `hours` is its length, gaps included.

    Raises
    ------
    UsageError
        If a rule is out of range, or the venue does not trade the ticker.
    """

    def trade(plan: SignalPlan, rules: ExecutionRules) -> AccountRun:
        run = simulate(window, plan, rules, initial_balance=initial_balance)
        return account_run(run, window, rules, hours=hours)

    requested = options.resolve(window.ticker)
    alpaca = rules_at_alpaca(options, window.ticker)
    long = plan_of_sides(np.ones(len(window), dtype=np.int8))
    return Scenarios(
        requested=trade(plan_of(requested), requested),
        alpaca=None if alpaca is None else trade(plan_of(alpaca), alpaca),
        buy_and_hold=trade(long, ExecutionRules(fee=requested.fee, slippage_bps=requested.slippage_bps)),
    )


def account_run(run: Simulation, window: Bars, rules: ExecutionRules, *, hours: int) -> AccountRun:
    """Return `run` of an account over the `hours` of `window`, with its metrics."""
    exposed = run.sides[1:] != 0
    metrics = compute_metrics(run.equity, exposed, run.trades, run.fills, closed=window.closed, hours=hours)
    return AccountRun(rules=rules, simulation=run, metrics=metrics)


def rules_at_alpaca(options: ExecutionOptions, ticker: Ticker) -> ExecutionRules | None:
    """Return the rules with ``--venue alpaca --fee 0.0025``; None if Alpaca does not trade the ticker."""
    if alpaca_rules(ticker) is None:
        return None
    return replace(options, venue="alpaca", fee=ALPACA_FEE).resolve(ticker)


def check_request(hours: int, initial_balance: float) -> None:
    """Raise UsageError unless the window has an hour or more and the balance is positive."""
    if not is_whole(hours) or hours < 1:
        # As a program wrote it: a float such as 24.0 is refused although it reads as a whole number.
        raise UsageError(
            f"--hours is {hours!r}.",
            expected="a whole number, 1 or more.",
            remedy="write --hours 720, for example.",
        )
    if not is_number(initial_balance) or not 0 < initial_balance < float("inf"):
        raise UsageError.invalid("--initial-balance", initial_balance, "an amount above 0", example="10000")
