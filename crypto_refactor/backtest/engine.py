"""The engine: decisions at each close, fills at the next open.

What happens at a bar is `_Run.visit`, made of the very functions that trading walks through bar by bar.  On
most bars a position and its target agree and nothing happens, so the engine goes straight to the next bar on
which something can (`_Run.next_visit`); visiting every bar gives the same result, only later.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray, SideArray
from crypto_refactor.execution.bar_steps import BarOutcome, carry_over_exits, fill_at_open, settle_at_close
from crypto_refactor.execution.decisions import (
    Decision,
    SignalPlan,
    close_without_data,
    decide,
    stop_levels,
    target_by_side,
    update_drawdown,
)
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade, mark_open
from crypto_refactor.market.bars import Bars

_NEVER = float("inf")
_NEARLY = 1 - 1e-9
_LOOK_AHEAD = 256


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
    account : SubAccount
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
    account: SubAccount


def simulate(bars: Bars, plan: SignalPlan, rules: ExecutionRules, *, initial_balance: float) -> Simulation:
    """Trade `plan` on `bars`.

    Parameters
    ----------
    bars : Bars
        n + 1 carried bars: the first is the bar whose close makes the first decision.
    plan : SignalPlan
        Shape (n + 1,); what its arrays say about a synthetic bar is never looked at.
    rules : ExecutionRules
        The execution rules.
    initial_balance : float
        Quote currency.

    Returns
    -------
    Simulation
        Over the n bars after the first.
    """
    run = _Simulator(bars, plan, rules, initial_balance)
    i = 0
    while i < len(bars):
        run.visit(i)
        i = run.next_visit(i)
    return run.result()


class _Simulator:
    """The account on its way through the bars, and the record of where it changed."""

    def __init__(self, bars: Bars, plan: SignalPlan, rules: ExecutionRules, initial_balance: float) -> None:
        self.bars = bars
        self.plan = plan
        self.rules = rules
        self.wanted = target_by_side(plan, rules)
        self.account = SubAccount.open(initial_balance)
        self.pending: tuple[Decision, ...] = ()
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.halted_at: int | None = None
        self.lower, self.upper = stop_levels(self.account, rules)
        self._marks: list[tuple[int, float, float, int]] = [(0, initial_balance, 0.0, 0)]
        self._turns = {side: self._turns_while(side) for side in (-1, 0, 1)}

    def _turns_while(self, side: int) -> list[int]:
        """Return the bars on which a decision may be made while `side` is held, whatever the price."""
        turns = self.wanted[side] != side
        # A bar that cannot be decided on ends a position and leaves a flat account alone.
        turns = turns & self.plan.decidable if side == 0 else turns | ~self.plan.decidable
        return np.flatnonzero(turns & ~self.bars.synthetic).tolist()

    def visit(self, i: int) -> None:
        """Let everything happen that happens at bar `i`."""
        bars, close = self.bars, self.bars.close.item(i)
        real = not bars.synthetic.item(i)
        if self.pending:
            self.fill_pending(i, bars.open.item(i), real=real)
        if self.account.side < 0 and i:
            outcome = settle_at_close(self.account, close, bars.opened.item(i) + 1, self.rules)
            if outcome.account is not self.account:
                self._record(i, outcome)
        if real:
            self._decide(i, close)

    def fill_pending(self, i: int, price: float, *, real: bool) -> None:
        """Execute what was decided before at `price`, the open of bar `i`."""
        if not real:
            self.pending = carry_over_exits(self.pending)
            return
        hour = self.bars.opened.item(i)
        adjacent = hour - self.bars.opened.item(i - 1) == 1
        self._record(
            i, fill_at_open(self.account, self.pending, price, hour, adjacent=adjacent, rules=self.rules)
        )
        self.pending = ()

    def _decide(self, i: int, close: float) -> None:
        account = update_drawdown(self.account, close, self.rules)
        if account.halted and not self.account.halted:
            self.halted_at = self.bars.opened.item(i) + 1
        self.account = account
        if not self.plan.decidable.item(i):
            self.pending = close_without_data(account)
            return
        target = self.wanted[account.side].item(i)
        # Nothing to think about on most bars of a fill: what was wanted is held, and no price asks for more.
        if target == account.side and not account.blocked_side and self.lower < close < self.upper:
            return
        self.account, self.pending = decide(
            account,
            close,
            signal=self.plan.signal.item(i),
            target=target,
            exceeds_cost=self.plan.exceeds_cost.item(i),
            rules=self.rules,
        )

    def _record(self, i: int, outcome: BarOutcome) -> None:
        self.account = account = outcome.account
        self.lower, self.upper = stop_levels(account, self.rules)
        self._marks.append((i, account.cash, account.quantity, account.side))
        self.fills += outcome.fills
        self.trades += outcome.trades

    def next_visit(self, i: int) -> int:
        """Return the next bar on which something can happen, ``len(bars)`` if none."""
        account, rules = self.account, self.rules
        side, following = account.side, i + 1
        # What is pending, a stop that is remembered, borrow, and a drawdown that prices move (dust is enough)
        # ask for every bar.
        if self.pending or account.blocked_side or (side < 0 and rules.borrow):
            return following
        # A carried bar is not watched on, so what a short has lost there to borrow shows on the next real one.
        if rules.max_drawdown is not None and (account.quantity or self.bars.synthetic.item(i)):
            return following
        turns = self._turns[side]
        position = bisect_right(turns, i)
        turn = turns[position] if position < len(turns) else len(self.bars)
        return turn if side == 0 else self._price_visit(following, turn)

    def _price_visit(self, start: int, stop: int) -> int:
        """Return the first bar from `start` whose close may end the position held, `stop` if none before it."""
        lower, upper = self.lower, self.upper
        if self.account.side < 0:
            # The close at which nothing is left, or just before it: the visit itself decides exactly.
            upper = min(upper, _NEARLY * self.account.cash / -self.account.quantity)
        if lower <= 0 and upper == _NEVER:
            return stop
        # Block by block: where prices soon reach a bound, looking at everything up to the next turn would not end.
        size = _LOOK_AHEAD
        while start < stop:
            closes = self.bars.close[start : min(start + size, stop)]
            beyond = (closes <= lower) | (closes >= upper)
            first = int(beyond.argmax())
            if beyond[first]:
                return start + first
            start, size = start + size, 2 * size
        return stop

    def result(self) -> Simulation:
        """Return what came of it."""
        bars, count = self.bars, len(self.bars)
        rows, cash, quantity, held = (np.array(column) for column in zip(*self._marks, strict=True))
        last = np.searchsorted(rows, np.arange(count), side="right") - 1
        cash, quantity, sides = cash[last], quantity[last], held[last].astype(np.int8)
        still_held = mark_open(self.account, float(bars.close[-1]), int(bars.closed[-1]))
        if still_held is not None:
            self.trades.append(still_held)
        wanted = np.select([sides > 0, sides < 0], [self.wanted.long, self.wanted.short], self.wanted.flat)
        return Simulation(
            equity=cash + quantity * bars.close,
            cash=cash,
            quantity=quantity,
            target=np.where(self.plan.decidable & ~bars.synthetic, wanted, 0).astype(np.int8),
            sides=sides,
            trades=tuple(self.trades),
            fills=tuple(self.fills),
            pending=self.pending,
            halted_at=self.halted_at,
            account=self.account,
        )
