"""Step one sub-account bar by bar: fill what is pending at the open, settle at the close, decide.

A backtest runs a whole window at once; this runs the same functions (`fills`, `decisions`) one bar at a time
and across restarts, so that both agree to the last bit.
"""

from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.execution.decisions import (
    Decision,
    SignalPlan,
    close_without_data,
    decide,
    protective_exit,
    target_by_side,
    update_drawdown,
)
from crypto_refactor.execution.fills import carry_over_exits, fill_at_open, settle_at_close
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.bars import Bars
from crypto_refactor.signals.conditions import SignalFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSignal:
    """One row of `SignalPlan`: the model's answer at one close, all zeros and False where there is none."""

    signal: int
    forecast_side: int
    exceeds_cost: bool
    decidable: bool
    keep: tuple[bool, bool] | None = None


UNDECIDABLE = BarSignal(signal=0, forecast_side=0, exceeds_cost=False, decidable=False)


def bar_signal(signals: SignalFrame, rules: ExecutionRules) -> BarSignal:
    """Return the last row of `signals`; `UNDECIDABLE` where there is none."""
    if not len(signals):
        return UNDECIDABLE
    return BarSignal(
        signal=int(signals.signal[-1]),
        forecast_side=int(signals.forecast_side[-1]),
        exceeds_cost=bool(signals.supported[-1] and signals.expected_move[-1] > rules.round_trip_cost),
        decidable=True,
        keep=None if rules.exit not in signals.keeps else tuple(signals.keeps[rules.exit][-1].tolist()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubAccountState:
    """A sub-account between two bars.

    `pending` was decided at the last close and is not executed yet; `processed_through` is the close of the last bar.
    """

    account: SubAccount
    pending: tuple[Decision, ...] = ()
    processed_through: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one bar brought.

    `before` is the account at the close, before the decision; `target` is the target side then, 0 where nothing was
    decided.
    """

    state: SubAccountState
    before: SubAccount
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    equity: float
    target: int


def step_bar(
    state: SubAccountState, bars: Bars, row: int, signal: BarSignal | None, rules: ExecutionRules
) -> Step:
    """Fill at the open of one bar, settle at its close, and decide there.

    Parameters
    ----------
    state : SubAccountState
        Before the bar.
    bars : Bars
        With gaps filled.
    row : int
        The bar; no later row is read.
    signal : BarSignal or None
        The model's answer at its close; None where nothing is decided.
    rules : ExecutionRules
        Costs, protections and order rules.
    """
    opened, closed = int(bars.opened[row]), int(bars.closed[row])
    close, real = float(bars.close[row]), not bars.synthetic[row]
    account, pending = state.account, state.pending
    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()
    if pending and real:
        adjacent = opened == state.processed_through
        outcome = fill_at_open(
            account, pending, float(bars.open[row]), opened, adjacent=adjacent, rules=rules
        )
        account, fills, trades, pending = outcome.account, outcome.fills, outcome.trades, ()
    elif pending:
        pending = carry_over_exits(pending)
    settlement = settle_at_close(account, close, closed, rules)
    account, target = settlement.account, 0
    before = account
    if real and signal is not None and bars.held[row]:
        account, pending = protective_exit(account, float(bars.protection_price[row]), rules)
    elif real and signal is not None:
        before = update_drawdown(account, close, rules)
        account, pending, target = _decide(before, close, signal, rules)
    return Step(
        state=SubAccountState(account=account, pending=pending, processed_through=closed),
        before=before,
        fills=fills + settlement.fills,
        trades=trades + settlement.trades,
        equity=account.equity(close),
        target=target,
    )


def _decide(
    account: SubAccount, close: float, signal: BarSignal, rules: ExecutionRules
) -> tuple[SubAccount, tuple[Decision, ...], int]:
    if not signal.decidable:
        return account, close_without_data(account), 0
    target = target_side(account.side, signal, rules)
    account, decisions = decide(
        account, close, signal=signal.signal, target=target, exceeds_cost=signal.exceeds_cost, rules=rules
    )
    return account, decisions, target


def target_side(side: int, signal: BarSignal, rules: ExecutionRules) -> int:
    """Return the target side for a sub-account that is on `side`."""
    plan = SignalPlan(
        signal=np.array([signal.signal], dtype=np.int8),
        forecast_side=np.array([signal.forecast_side], dtype=np.int8),
        exceeds_cost=np.array([signal.exceeds_cost]),
        decidable=np.array([signal.decidable]),
        keep=None if signal.keep is None else np.array([signal.keep]),
    )
    return int(target_by_side(plan, rules)[side][0])


def new_state(balance: float, hour: int) -> SubAccountState:
    """Return a new sub-account whose first decision is at the close `hour`."""
    return SubAccountState(account=SubAccount.open(balance), processed_through=hour)


def first_decision(
    state: SubAccountState, close: float, signal: BarSignal, rules: ExecutionRules
) -> tuple[SubAccountState, int]:
    """Decide at the close a sub-account is opened at; return its state and the target side."""
    account = update_drawdown(state.account, close, rules)
    account, pending, target = _decide(account, close, signal, rules)
    return replace(state, account=account, pending=pending), target


def step_through(
    state: SubAccountState, bars: Bars, signal: BarSignal | None, rules: ExecutionRules
) -> tuple[Step, ...]:
    """Step through every bar after the last processed one; `signal` is the model's answer at the last bar."""
    steps: list[Step] = []
    first = int(np.searchsorted(bars.closed, state.processed_through, side="right"))
    for row in range(first, len(bars)):
        steps.append(step_bar(state, bars, row, signal if row == len(bars) - 1 else None, rules))
        state = steps[-1].state
    return tuple(steps)
