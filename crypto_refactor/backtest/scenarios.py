"""The three account runs of every result: the request, the same at Alpaca, buy and hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.backtest.metrics import compute_metrics
from crypto_refactor.backtest.result import AccountRun, Scenarios
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

    Parameters
    ----------
    window : Bars
        n + 1 forward-filled bars: the one that makes the first decision, then the n of the window.
    plan_of : callable
        Returns what is known at each close, shape (n + 1,), for given rules: what is worth its cost
        depends on them.
    options : ExecutionOptions
        The requested options.
    hours : int
        Length of the window, gaps included.
    initial_balance : float
        Quote currency.

    Raises
    ------
    UsageError
        If a rule is out of range, or the venue does not trade the ticker.
    """
    requested = _trade(window, plan_of, options.resolve(window.ticker), hours, initial_balance)
    alpaca = rules_at_alpaca(options, window.ticker)
    return Scenarios(
        requested=requested,
        alpaca=None if alpaca is None else _trade(window, plan_of, alpaca, hours, initial_balance),
        buy_and_hold=_buy_and_hold(window, requested.rules, hours, initial_balance),
    )


def _trade(
    window: Bars,
    plan_of: Callable[[ExecutionRules], SignalPlan],
    rules: ExecutionRules,
    hours: int,
    initial_balance: float,
) -> AccountRun:
    run = simulate(window, plan_of(rules), rules, initial_balance=initial_balance)
    metrics = compute_metrics(run.equity, run.sides[1:] != 0, run.trades, run.fills, hours=hours)
    return AccountRun(rules=rules, simulation=run, metrics=metrics)


def rules_at_alpaca(options: ExecutionOptions, ticker: Ticker) -> ExecutionRules | None:
    """Return the rules of the same command with ``--venue alpaca --fee 0.0025``; None where it has none."""
    if alpaca_rules(ticker) is None:
        return None
    return replace(options, venue="alpaca", fee=ALPACA_FEE).resolve(ticker)


def check_request(hours: int, initial_balance: float) -> None:
    """Require a window of at least an hour and a positive balance.

    Raises
    ------
    UsageError
        If either is missing.
    """
    if hours < 1:
        raise UsageError(f"--hours is {hours}.", expected="1 or more.", remedy="correct --hours.")
    if not 0 < initial_balance < float("inf"):
        raise UsageError(
            f"--initial-balance is {initial_balance}.",
            expected="an amount above 0.",
            remedy="correct --initial-balance.",
        )


def _buy_and_hold(window: Bars, rules: ExecutionRules, hours: int, initial_balance: float) -> AccountRun:
    always = np.ones(len(window), dtype=np.bool_)
    sides = always.astype(np.int8)
    plan = SignalPlan(signal=sides, forecast_side=sides, exceeds_cost=always, decidable=always)
    plain = ExecutionRules(fee=rules.fee, slippage_bps=rules.slippage_bps)
    return _trade(window, lambda _: plan, plain, hours, initial_balance)
