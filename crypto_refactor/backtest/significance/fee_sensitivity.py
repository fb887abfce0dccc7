"""The return of the same trades at another fee, and the fee at which it is 0.

Both run the engine again.  The entries of the run are kept, because ``--strict`` and the drawdown halt would
enter elsewhere at another fee, and the question is what these trades can bear.  Exits follow prices and signals
alone, so they do not change.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.backtest.engine import Simulation, simulate
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.bars import Bars

FEE_FACTORS = (0.0, 0.5, 1.0, 2.0, 5.0)
MAX_FEE = 0.999
_TOLERANCE = 1e-10
_MAX_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakEven:
    """The fee at which the run's total return is 0, a fraction of the notional, or the reason why there is none."""

    fee: float | None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPoint:
    """The run's trades at one fee; `total_return` is None if the fee would be 100 % or more."""

    factor: float
    fee: float
    total_return: float | None


ReturnByFee = Callable[[float], float]


def return_by_fee(run: Simulation, window: Bars, plan: SignalPlan, rules: ExecutionRules) -> ReturnByFee:
    """Return the function from a fee to the total return of the entries of `run`, which had the other arguments."""
    # An entry is decided at the close at whose hour it fills.
    entry_hours = sorted({fill.at for fill in run.fills if fill.reason == "entry"})
    same_entries = replace(plan, exceeds_cost=np.isin(window.closed, entry_hours))
    balance = float(run.equity[0])

    def total_return(fee: float) -> float:
        changed = replace(rules, fee=fee, strict=True, max_drawdown=None)
        return (
            float(simulate(window, same_entries, changed, initial_balance=balance).equity[-1]) / balance - 1
        )

    return total_return


def cost_sweep(total_return: ReturnByFee, fee: float) -> tuple[CostPoint, ...]:
    """Return the total return at 0, 0.5, 1, 2 and 5 times `fee`."""
    return tuple(
        CostPoint(factor=factor, fee=cost, total_return=total_return(cost) if cost < 1 else None)
        for factor in FEE_FACTORS
        for cost in [factor * fee]
    )


def break_even_fee(total_return: ReturnByFee, fills: int) -> BreakEven:
    """Return the fee at which `fills` fills leave a total return of 0.

    The logarithm of a run's growth falls with every fill by about log((1 + fee) / (1 - fee)) / 2.  It is nearly
    linear in that number, so regula falsi (with the Illinois rule of M. Dowell and P. Jarratt, BIT 11 (1971))
    converges in a few steps.
    """
    if not fills:
        return BreakEven(fee=None, reason="nothing was traded")

    def excess(cost: float) -> float:
        return math.log(max(1 + total_return(math.tanh(cost)), 1e-300))

    low, high = 0.0, math.atanh(MAX_FEE)
    at_low = excess(low)
    if at_low <= 0:
        return BreakEven(fee=None, reason="it loses before fees" if at_low < 0 else "it earns 0 before fees")
    # The first guess: every fill costs the same.
    guess = min(at_low / fills, high)
    at_guess = excess(guess)
    while at_guess > 0:
        if guess >= high:
            return BreakEven(fee=None, reason="it gains at any fee")
        low, at_low = guess, at_guess
        guess = min(2 * guess, high)
        at_guess = excess(guess)
    return BreakEven(fee=math.tanh(_root(excess, low, at_low, guess, at_guess)))


def _root(excess: Callable[[float], float], low: float, at_low: float, high: float, at_high: float) -> float:
    """Return the root of `excess`, which is above 0 at `low` and not at `high`."""
    middle, at_middle, last_side = high, at_high, 0
    for _ in range(_MAX_STEPS):
        if abs(at_middle) < _TOLERANCE or high - low < _TOLERANCE * high:
            break
        middle = (at_low * high - at_high * low) / (at_low - at_high)
        at_middle = excess(middle)
        # An end that stays twice gets half its weight, or convergence would be slow.
        if at_middle > 0:
            low, at_low = middle, at_middle
            at_high /= 2 if last_side > 0 else 1
            last_side = 1
        else:
            high, at_high = middle, at_middle
            at_low /= 2 if last_side < 0 else 1
            last_side = -1
    return middle
