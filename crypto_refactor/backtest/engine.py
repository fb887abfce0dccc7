"""The engine: decisions at each close, fills at the next open.

The plain loop below is the definition of a backtest.  It walks bar by bar but stops to think only where
something can happen: a position and its target agree on most bars, and then nothing does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crypto_refactor.execution.account import Account, Fill, Trade, mark_open
from crypto_refactor.execution.decisions import (
    Decision,
    Plan,
    SideArray,
    close_without_data,
    decide,
    protected_range,
    wanted_sides,
    watch_drawdown,
)
from crypto_refactor.execution.rules import Rules
from crypto_refactor.execution.steps import Outcome, at_close, at_open, waiting
from crypto_refactor.market.bars import Bars, FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulation:
    """What happened to one account over n bars.

    Attributes
    ----------
    equity, cash, quantity : ndarray of float64, shape (n + 1,)
        Point zero is the initial balance, point i the close of bar i.
    target : ndarray of int8, shape (n + 1,)
        The side wanted at each close (0 where nothing could be decided).
    sides : ndarray of int8, shape (n + 1,)
        The side held at each close.
    trades : tuple of Trade
        In order of exit; what is still held at the end comes last, marked.
    fills : tuple of Fill
        In order of execution.
    pending : tuple of Decision
        Decided at the last close, to be filled after it.
    halted_at : int or None
        Hour of the close at which the drawdown halt struck.
    account : Account
        The final state.
    """

    equity: FloatArray
    cash: FloatArray
    quantity: FloatArray
    target: SideArray
    sides: SideArray
    trades: tuple[Trade, ...]
    fills: tuple[Fill, ...]
    pending: tuple[Decision, ...]
    halted_at: int | None
    account: Account


def simulate(bars: Bars, plan: Plan, rules: Rules, *, initial_balance: float) -> Simulation:
    """Trade `plan` on `bars`.

    Parameters
    ----------
    bars : Bars
        n + 1 carried bars: the first is the bar whose close makes the first decision.
    plan : Plan
        Shape (n + 1,); what its arrays say about a synthetic bar is never looked at.
    rules : Rules
        The execution rules.
    initial_balance : float
        Quote currency.

    Returns
    -------
    Simulation
        Over the n bars after the first.
    """
    run = _Run(bars, rules, initial_balance)
    wanted = wanted_sides(plan, rules)
    targets = {side: wanted[side].tolist() for side in (-1, 0, 1)}
    signals, worthwhile = plan.signal.tolist(), plan.worthwhile.tolist()
    decidable, synthetic = plan.decidable.tolist(), bars.synthetic.tolist()
    closes, opens, hours = bars.close.tolist(), bars.open.tolist(), bars.opened.tolist()
    watches = rules.max_drawdown is not None
    target: list[int] = []
    for i, close in enumerate(closes):
        if run.pending:
            run.fill_pending(i, opens[i], hours, real=not synthetic[i])
        if run.account.side < 0 and i:
            run.keep_short(i, close, hours[i] + 1)
        if synthetic[i]:
            target.append(0)
            continue
        account = run.watch(close, hours[i] + 1) if watches else run.account
        if not decidable[i]:
            target.append(0)
            run.pending = close_without_data(account)
            continue
        side = account.side
        aim = targets[side][i]
        target.append(aim)
        if aim == side and aim != 0 and run.lower < close < run.upper and not account.stopped_side:
            continue
        if aim == 0 and side == 0 and not account.stopped_side:
            continue
        run.account, run.pending = decide(
            account, close, signal=signals[i], target=aim, worthwhile=worthwhile[i], rules=rules
        )
    return run.result(np.array(target, dtype=np.int8))


class _Run:
    """The account on its way through the bars, and the record of where it changed."""

    def __init__(self, bars: Bars, rules: Rules, initial_balance: float) -> None:
        self.bars = bars
        self.rules = rules
        self.account = Account.opened_with(initial_balance)
        self.pending: tuple[Decision, ...] = ()
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.halted_at: int | None = None
        self.lower, self.upper = protected_range(self.account, rules)
        self._marks: list[tuple[int, float, float, int]] = [(0, initial_balance, 0.0, 0)]

    def fill_pending(self, i: int, price: float, hours: list[int], *, real: bool) -> None:
        """Execute what was decided before, at the open of bar `i`."""
        if not real:
            self.pending = waiting(self.pending)
            return
        adjacent = hours[i] - hours[i - 1] == 1
        self._record(
            i, at_open(self.account, self.pending, price, hours[i], adjacent=adjacent, rules=self.rules)
        )
        self.pending = ()

    def keep_short(self, i: int, close: float, at: int) -> None:
        """Let a short live through the close of bar `i`, or not."""
        # Most closes change nothing, and asking first is what keeps the loop fast.
        if self.rules.borrow or self.account.equity(close) <= 0:
            self._record(i, at_close(self.account, close, at, self.rules))

    def watch(self, close: float, at: int) -> Account:
        """Follow the drawdown and remember when it halted entries."""
        account = watch_drawdown(self.account, close, self.rules)
        if account.halted and not self.account.halted:
            self.halted_at = at
        self.account = account
        return account

    def _record(self, i: int, outcome: Outcome) -> None:
        self.account = account = outcome.account
        self.lower, self.upper = protected_range(account, self.rules)
        self._marks.append((i, account.cash, account.quantity, account.side))
        self.fills += outcome.fills
        self.trades += outcome.trades

    def result(self, target: SideArray) -> Simulation:
        bars, count = self.bars, len(self.bars)
        rows = np.array([mark[0] for mark in self._marks])
        last = np.searchsorted(rows, np.arange(count), side="right") - 1
        cash = np.array([mark[1] for mark in self._marks])[last]
        quantity = np.array([mark[2] for mark in self._marks])[last]
        sides = np.array([mark[3] for mark in self._marks], dtype=np.int8)[last]
        still_held = mark_open(self.account, float(bars.close[-1]), int(bars.closed[-1]))
        if still_held is not None:
            self.trades.append(still_held)
        return Simulation(
            equity=cash + quantity * bars.close,
            cash=cash,
            quantity=quantity,
            target=target,
            sides=sides,
            trades=tuple(self.trades),
            fills=tuple(self.fills),
            pending=self.pending,
            halted_at=self.halted_at,
            account=self.account,
        )
