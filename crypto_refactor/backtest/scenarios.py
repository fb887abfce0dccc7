"""The three columns every result is read beside: this run, the same at Alpaca, buying and holding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.backtest.engine import Simulation, simulate
from crypto_refactor.backtest.metrics import Metrics, compute_metrics
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.execution.venues import ALPACA_FEE, alpaca_rules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scenarios:
    """One plan, traded three ways.

    Attributes
    ----------
    rules : ExecutionRules
        What `run` went by.
    alpaca_rules : ExecutionRules or None
        What `at_alpaca` went by; None where Alpaca does not trade the ticker.
    run, hold : Simulation
        This run, and buying at the first open.
    at_alpaca : Simulation or None
        The same options with ``--venue alpaca --fee 0.0025``.
    metrics, hold_metrics, alpaca_metrics : Metrics or None
        Of each.
    """

    rules: ExecutionRules
    alpaca_rules: ExecutionRules | None
    run: Simulation
    hold: Simulation
    at_alpaca: Simulation | None
    metrics: Metrics
    hold_metrics: Metrics
    alpaca_metrics: Metrics | None


def run_scenarios(
    window: Bars,
    plan_of: Callable[[ExecutionRules], SignalPlan],
    options: ExecutionOptions,
    *,
    hours: int,
    initial_balance: float,
) -> Scenarios:
    """Trade a plan by the rules asked for, by Alpaca's, and not at all.

    Parameters
    ----------
    window : Bars
        n + 1 carried bars: the one that makes the first decision, then the n of the window.
    plan_of : callable
        Returns what is known at each close, shape (n + 1,), for given rules: what is worth its cost
        depends on them.
    options : ExecutionOptions
        The rules as asked for.
    hours : int
        Length of the window, holes included.
    initial_balance : float
        Quote currency.

    Raises
    ------
    UsageError
        If a rule is out of range, or the venue does not trade the ticker.
    """
    rules, there = options.resolve(window.ticker), rules_at_alpaca(options, window.ticker)
    run = simulate(window, plan_of(rules), rules, initial_balance=initial_balance)
    hold = _hold(window, rules, initial_balance)
    at_alpaca = None
    if there is not None:
        at_alpaca = simulate(window, plan_of(there), there, initial_balance=initial_balance)
    return Scenarios(
        rules=rules,
        alpaca_rules=there,
        run=run,
        hold=hold,
        at_alpaca=at_alpaca,
        metrics=_measure(run, hours),
        hold_metrics=_measure(hold, hours),
        alpaca_metrics=None if at_alpaca is None else _measure(at_alpaca, hours),
    )


def rules_at_alpaca(options: ExecutionOptions, ticker: Ticker) -> ExecutionRules | None:
    """Return the rules of the same command with ``--venue alpaca --fee 0.0025``; None where it has none."""
    if alpaca_rules(ticker) is None:
        return None
    return replace(options, venue="alpaca", fee=ALPACA_FEE).resolve(ticker)


def check_request(hours: int, initial_balance: float) -> None:
    """Insist on a window and on money.

    Raises
    ------
    UsageError
        If there is none.
    """
    if hours < 1:
        raise UsageError(f"--hours is {hours}.", expected="1 or more.", remedy="correct --hours.")
    if not 0 < initial_balance < float("inf"):
        raise UsageError(
            f"--initial-balance is {initial_balance}.",
            expected="an amount above 0.",
            remedy="correct --initial-balance.",
        )


def _hold(window: Bars, rules: ExecutionRules, initial_balance: float) -> Simulation:
    """Buy at the first open with everything, pay the fee, and hold."""
    always = np.ones(len(window), dtype=np.bool_)
    plan = SignalPlan(
        signal=always.astype(np.int8),
        forecast_side=always.astype(np.int8),
        worthwhile=always,
        decidable=always,
    )
    plain = ExecutionRules(fee=rules.fee, slippage_bps=rules.slippage_bps)
    return simulate(window, plan, plain, initial_balance=initial_balance)


def _measure(run: Simulation, hours: int) -> Metrics:
    return compute_metrics(run.equity, run.sides[1:] != 0, run.trades, run.fills, hours=hours)
