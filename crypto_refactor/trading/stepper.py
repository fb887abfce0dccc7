"""The trader: one sub-account, bar by bar, without clock, network or files.

A backtest walks a whole window at once; here the same account is walked through the same halves of a bar
(`execution.steps`) with the same decisions, one bar at a time and across restarts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.execution.bar_steps import carry_over_exits, fill_at_open, settle_at_close
from crypto_refactor.execution.decisions import (
    Decision,
    SignalPlan,
    close_without_data,
    decide,
    target_by_side,
    update_drawdown,
)
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.bars import Bars
from crypto_refactor.signals.conditions import SignalFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class BarSignal:
    """What the model says at one close; all zeros and False where the bar cannot be decided on.

    Attributes
    ----------
    signal, forecast_side : int
        1, 0 or -1.
    worthwhile : bool
        Whether there is evidence and the expected move exceeds the round trip.
    decidable : bool
        Whether the bar's own bars allow a decision.
    """

    signal: int
    forecast_side: int
    worthwhile: bool
    decidable: bool


UNDECIDABLE = BarSignal(signal=0, forecast_side=0, worthwhile=False, decidable=False)


def bar_signal(made: SignalFrame, rules: ExecutionRules) -> BarSignal:
    """Return the verdict of the last row of `made`; `UNDECIDABLE` where it has none."""
    if not len(made):
        return UNDECIDABLE
    return BarSignal(
        signal=int(made.signal[-1]),
        forecast_side=int(made.forecast_side[-1]),
        worthwhile=bool(made.supported[-1] and made.expected_move[-1] > rules.round_trip_cost),
        decidable=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SubAccountState:
    """A sub-account between two bars.

    Attributes
    ----------
    account : SubAccount
        Cash, position and memory.
    pending : tuple of Decision
        Decided at the last close and not yet executed.
    walked_to : int
        Close of the last bar that was walked through.
    """

    account: SubAccount
    pending: tuple[Decision, ...] = ()
    walked_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one bar brought.

    Attributes
    ----------
    holding : SubAccountState
        After the bar.
    before : SubAccount
        At its close, before anything was decided.
    fills, trades : tuple
        Executed in it.
    equity : float
        At its close.
    target : int
        The side wanted at its close; 0 where nothing was decided.
    """

    holding: SubAccountState
    before: SubAccount
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    equity: float
    target: int


def step_bar(
    holding: SubAccountState, bars: Bars, row: int, verdict: BarSignal | None, rules: ExecutionRules
) -> Step:
    """Walk through the bar at `row`: fill at its open, live through its close, decide.

    Parameters
    ----------
    holding : SubAccountState
        Before the bar.
    bars : Bars
        Carried bars.
    row : int
        The bar; nothing after it is looked at.
    verdict : BarSignal or None
        What the model says at its close; None where nobody decides at it.
    rules : ExecutionRules
        The execution rules.
    """
    opened, closed = int(bars.opened[row]), int(bars.closed[row])
    close, real = float(bars.close[row]), not bars.synthetic[row]
    account, pending = holding.account, holding.pending
    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()
    if pending and real:
        adjacent = opened == holding.walked_to
        done = fill_at_open(account, pending, float(bars.open[row]), opened, adjacent=adjacent, rules=rules)
        account, fills, trades, pending = done.account, done.fills, done.trades, ()
    elif pending:
        pending = carry_over_exits(pending)
    lived = settle_at_close(account, close, closed, rules)
    account, target = lived.account, 0
    before = account
    if real and verdict is not None:
        before = update_drawdown(account, close, rules)
        account, pending, target = _decide(before, close, verdict, rules)
    return Step(
        holding=SubAccountState(account=account, pending=pending, walked_to=closed),
        before=before,
        fills=fills + lived.fills,
        trades=trades + lived.trades,
        equity=account.equity(close),
        target=target,
    )


def _decide(
    account: SubAccount, close: float, verdict: BarSignal, rules: ExecutionRules
) -> tuple[SubAccount, tuple[Decision, ...], int]:
    if not verdict.decidable:
        return account, close_without_data(account), 0
    target = target_side(account.side, verdict, rules)
    account, decisions = decide(
        account, close, signal=verdict.signal, target=target, worthwhile=verdict.worthwhile, rules=rules
    )
    return account, decisions, target


def target_side(side: int, verdict: BarSignal, rules: ExecutionRules) -> int:
    """Return the side wanted while `side` is held."""
    plan = SignalPlan(
        signal=np.array([verdict.signal], dtype=np.int8),
        forecast_side=np.array([verdict.forecast_side], dtype=np.int8),
        worthwhile=np.array([verdict.worthwhile]),
        decidable=np.array([verdict.decidable]),
    )
    return int(target_by_side(plan, rules)[side][0])


def new_state(balance: float, walked_to: int) -> SubAccountState:
    """Return a fresh sub-account whose first decision is at the close `walked_to`."""
    return SubAccountState(account=SubAccount.opened_with(balance), walked_to=walked_to)


def first_decision(
    holding: SubAccountState, close: float, verdict: BarSignal, rules: ExecutionRules
) -> tuple[SubAccountState, int]:
    """Decide at the close a sub-account was opened at, before it has walked through any bar."""
    account = update_drawdown(holding.account, close, rules)
    account, pending, target = _decide(account, close, verdict, rules)
    return replace(holding, account=account, pending=pending), target


def step_through(
    holding: SubAccountState, bars: Bars, verdict: BarSignal | None, rules: ExecutionRules
) -> tuple[Step, ...]:
    """Walk through every bar after the last one walked through, deciding only at the last of `bars`.

    Parameters
    ----------
    holding : SubAccountState
        Before the first of these bars.
    bars : Bars
        Carried bars up to now.
    verdict : BarSignal or None
        What the model says at the close of the last one.
    rules : ExecutionRules
        The execution rules.
    """
    steps: list[Step] = []
    first = int(np.searchsorted(bars.closed, holding.walked_to, side="right"))
    for row in range(first, len(bars)):
        said = verdict if row == len(bars) - 1 else None
        steps.append(step_bar(holding, bars, row, said, rules))
        holding = steps[-1].holding
    return tuple(steps)
