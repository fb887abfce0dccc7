"""The engine: decisions at each close, fills at the next open.

`_Simulator.process_bar` is made of the functions that trading runs bar by bar.  On most bars a position and its target
agree and nothing happens, so the engine skips to the next bar on which something can (`_Simulator.next_bar`).
Processing every bar gives the same result, but takes longer.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray, SideArray
from crypto_refactor.execution.decisions import (
    Decision,
    SignalPlan,
    close_without_data,
    decide,
    protective_exit,
    stop_levels,
    target_by_side,
    update_drawdown,
)
from crypto_refactor.execution.fills import BarOutcome, carry_over_exits, fill_at_open, settle_at_close
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
        Quote currency, and base currency for the quantity.  Point zero is the initial balance, point i the close of bar i.
    target, sides : ndarray of int8, shape (n + 1,)
        Target at each close (0 where nothing could be decided), and the side held there: 1 long, -1 short, 0 flat.
    trades : tuple of Trade
        In order of exit; a position still open at the end comes last, marked to the last close.
    fills : tuple of Fill
        In order of execution.
    pending : tuple of Decision
        Decided at the last close, to be filled after it.
    halted_at : int or None
        Hour of the close that triggered the drawdown halt.
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
        n + 1 bars, gaps filled; the close of the first makes the first decision.
    plan : SignalPlan
        Shape (n + 1,); its values on synthetic bars are never used.
    rules : ExecutionRules
        The execution rules.
    initial_balance : float
        Quote currency.

    Returns
    -------
    Simulation
        Over the n bars after the first.
    """
    simulator = _Simulator(bars, plan, rules, initial_balance)
    i = 0
    while i < len(bars):
        simulator.process_bar(i)
        i = simulator.next_bar(i)
    return simulator.result()


class _Simulator:
    """The account on its way through the bars, and the bars at which it changed."""

    def __init__(self, bars: Bars, plan: SignalPlan, rules: ExecutionRules, initial_balance: float) -> None:
        self.bars = bars
        self.plan = plan
        self.rules = rules
        self.targets = target_by_side(plan, rules)
        self._held = bars.held
        self.account = SubAccount.open(initial_balance)
        self.pending: tuple[Decision, ...] = ()
        self.trades: list[Trade] = []
        self.fills: list[Fill] = []
        self.halted_at: int | None = None
        self.lower, self.upper = stop_levels(self.account, rules)
        self._changes: list[tuple[int, float, float, int]] = [(0, initial_balance, 0.0, 0)]
        self._decision_bars = {side: self._decision_bars_of(side) for side in (-1, 0, 1)}

    def _decision_bars_of(self, side: int) -> list[int]:
        """Return the bars on which an account on `side` may decide something, whatever the price."""
        differs = self.targets[side] != side
        # An undecidable bar ends a position, and does nothing to a flat account.
        differs = differs & self.plan.decidable if side == 0 else differs | ~self.plan.decidable
        # On a held bar nothing is decided, but what was pending is filled, and protections may act.
        differs = differs & ~self._held if side == 0 else differs | self._held
        return np.flatnonzero(differs & ~self.bars.synthetic).tolist()

    def process_bar(self, i: int) -> None:
        """Fill at the open of bar `i` what is pending, charge borrow at its close, and decide."""
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
        """Execute the pending decisions at `price`, the open of bar `i`."""
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
        if self._held.item(i):
            price = self.bars.protection_price.item(i)
            account, self.pending = protective_exit(self.account, price, self.rules)
            self._note_halt(i, account)
            return
        account = update_drawdown(self.account, close, self.rules)
        self._note_halt(i, account)
        if not self.plan.decidable.item(i):
            self.pending = close_without_data(account)
            return
        target = self.targets[account.side].item(i)
        # On most bars the position has the side of its target, and no price ends it.
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

    def _note_halt(self, i: int, account: SubAccount) -> None:
        if account.halted and not self.account.halted:
            self.halted_at = self.bars.opened.item(i) + 1
        self.account = account

    def _record(self, i: int, outcome: BarOutcome) -> None:
        self.account = account = outcome.account
        self.lower, self.upper = stop_levels(account, self.rules)
        self._changes.append((i, account.cash, account.quantity, account.side))
        self.fills += outcome.fills
        self.trades += outcome.trades

    def next_bar(self, i: int) -> int:
        """Return the next bar on which something can happen, ``len(bars)`` if none."""
        account, rules = self.account, self.rules
        side, following = account.side, i + 1
        # Every bar counts while decisions are pending, a stop blocks a side, or borrow accrues, and for a drawdown that
        # prices move (dust is enough).
        if self.pending or account.blocked_side or (side < 0 and rules.borrow):
            return following
        # Nor is the drawdown measured on a synthetic or held bar: what was paid or gained there shows on the next one.
        measured = not self.bars.synthetic.item(i) and not self._held.item(i)
        if rules.max_drawdown is not None and (account.quantity or not measured):
            return following
        decisions = self._decision_bars[side]
        position = bisect_right(decisions, i)
        decision = decisions[position] if position < len(decisions) else len(self.bars)
        return decision if side == 0 else self._next_price_exit(following, decision)

    def _next_price_exit(self, start: int, stop: int) -> int:
        """Return the first bar from `start` whose close may end the position, `stop` if there is none before it."""
        lower, upper = self.lower, self.upper
        if self.account.side < 0:
            # Just before the close at which no equity is left: processing the bar decides exactly.
            upper = min(upper, _NEARLY * self.account.cash / -self.account.quantity)
        if lower <= 0 and upper == _NEVER:
            return stop
        # In growing blocks: if prices soon reach a bound, scanning up to the next decision each time would take quadratic time.
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
        """Return the run, with the account at every bar from its changes."""
        bars, count = self.bars, len(self.bars)
        rows, cash, quantity, sides = (np.array(column) for column in zip(*self._changes, strict=True))
        last = np.searchsorted(rows, np.arange(count), side="right") - 1
        cash, quantity, sides = cash[last], quantity[last], sides[last].astype(np.int8)
        open_trade = mark_open(self.account, float(bars.close[-1]), int(bars.closed[-1]))
        if open_trade is not None:
            self.trades.append(open_trade)
        target = np.select([sides > 0, sides < 0], [self.targets.long, self.targets.short], self.targets.flat)
        return Simulation(
            equity=cash + quantity * bars.close,
            cash=cash,
            quantity=quantity,
            target=np.where(self.plan.decidable & ~bars.synthetic & ~self._held, target, 0).astype(np.int8),
            sides=sides,
            trades=tuple(self.trades),
            fills=tuple(self.fills),
            pending=self.pending,
            halted_at=self.halted_at,
            account=self.account,
        )
