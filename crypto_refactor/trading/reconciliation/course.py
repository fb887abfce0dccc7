"""The course of a life with what happened swapped in for what should have: a pure run, bar by bar.

With no cause swapped in it is the backtest; with all of them it is the account.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from crypto_refactor.execution.decisions import Decision, Enter, Exit, protective_exit, update_drawdown
from crypto_refactor.execution.fills import carry_over_exits, fill_at_open, settle_at_close
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import UNDECIDABLE, BarSignal, SubAccountState, first_decision
from crypto_refactor.execution.sub_account import Fill, SubAccount, book_buy, book_sell
from crypto_refactor.trading.ledger import EventRow, LedgerEvent
from crypto_refactor.trading.orders.account_review import ADOPTED, FEE_TOLERANCE
from crypto_refactor.trading.orders.reconciliation import reduced
from crypto_refactor.trading.reconciliation.causes import Cause
from crypto_refactor.trading.reconciliation.due import DueDecisions
from crypto_refactor.trading.reconciliation.life import BY_HAND, Happening, Life

_ROUNDING = 1e-9
"""Share of a position below which it is a rounding error."""
_PROTECTED = frozenset({"stop_loss", "take_profit"})


@dataclass(slots=True, kw_only=True)
class Course:
    """A run of a life.

    Attributes
    ----------
    equity : dict of int to float
        At each close after the first, before what was decided there is filled.
    before : dict of int to SubAccount
        At each decision, before it.
    targets, sides : dict of int to int
        The target at each decision, and the side held before it.
    fills : dict of (int, str) to tuple of Fill
        What each decision led to, by its hour and ``enter`` or ``exit``.
    """

    equity: dict[int, float] = field(default_factory=dict)
    before: dict[int, SubAccount] = field(default_factory=dict)
    targets: dict[int, int] = field(default_factory=dict)
    sides: dict[int, int] = field(default_factory=dict)
    fills: dict[tuple[int, str], tuple[Fill, ...]] = field(default_factory=dict)


def run_course(life: Life, due: DueDecisions, causes: Collection[Cause]) -> Course:
    """Run `life` with `causes` swapped in."""
    runner = _Runner(life, due, frozenset(causes))
    runner.run()
    return runner.course


class _Runner:
    """The sub-account on its way through the bars."""

    def __init__(self, life: Life, due: DueDecisions, causes: frozenset[Cause]) -> None:
        self.life, self.due, self.causes = life, due, causes
        self.bars = life.bars if Cause.BARS in causes else due.bars
        self.course = Course()
        self.account = life.start
        self.pending: tuple[Decision, ...] = ()
        self.hour = life.first  # the last close
        self.close = 0.0
        self._happenings = list(life.happenings)

    def run(self) -> None:
        """Decide at the first close, then go through every later bar."""
        bars = self.bars
        start = int(np.searchsorted(bars.closed, self.life.first, side="right"))
        known = bars if start and int(bars.closed[start - 1]) == self.life.first else self.life.bars
        row = int(np.searchsorted(known.closed, self.life.first))
        self.close = float(known.close[row])
        self._decide(protection=float(known.protection_price[row]))
        for row in range(start, len(bars)):
            opened, closed = int(bars.opened[row]), int(bars.closed[row])
            happenings = list(self._until(closed))
            if Cause.MANUAL in self.causes:
                self._order_close(happenings)
            self._execute(float(bars.open[row]), opened, real=not bars.synthetic[row])
            for happening in happenings:
                self._happen(happening)
            self.close = float(bars.close[row])
            rules = self.life.rules(self.hour)
            self.account = settle_at_close(self.account, self.close, closed, rules).account
            self.course.equity[closed] = self.account.equity(self.close)
            self.hour = closed
            if not bars.synthetic[row]:
                self._decide(protection=float(bars.protection_price[row]))

    def _until(self, closed: int) -> Iterator[Happening]:
        while self._happenings and self._happenings[0].after < closed:
            yield self._happenings.pop(0)

    def _signal(self) -> BarSignal | None:
        """Return what decides at this close; None where nothing does."""
        row, due = self.life.decisions.get(self.hour), self.due.by_hour.get(self.hour)
        if row is None:
            missed = Cause.MISSED in self.causes
            return None if missed else (UNDECIDABLE if due is None else due.signal)
        if Cause.BARS in self.causes and (due is None or row["bars"] != due.bars):
            return self.life.signal(self.hour)
        if due is None:
            return UNDECIDABLE
        if Cause.MODEL in self.causes and row["model"] != due.model:
            used = self.due.by_used_model.get(self.hour)
            return self.life.signal(self.hour) if used is None else used
        return due.signal

    def _decide(self, *, protection: float) -> None:
        hour, rules, signal = self.hour, self.life.rules(self.hour), self._signal()
        if signal is None:
            return
        if protection != self.close:
            self.course.before[hour] = self.account
            self.account, self.pending = protective_exit(self.account, protection, rules)
            target = 0
        else:
            before = update_drawdown(self.account, self.close, rules)
            self.course.before[hour] = before
            state = SubAccountState(account=before, processed_through=hour)
            state, target = first_decision(state, self.close, signal, rules)
            self.account, self.pending = state.account, state.pending
        self.course.targets[hour], self.course.sides[hour] = target, self.account.side
        if Cause.HALTS in self.causes and "blocked" in self.life.decisions.get(hour, {}):
            self.pending = carry_over_exits(self.pending)

    def _execute(self, price: float, opened: int, *, real: bool) -> None:
        """Execute what is pending, at the open of the next real bar or as it was executed."""
        if not self.pending:
            return
        executed = self._priced and any(
            (self.hour, kind) in self.life.executions for kind in ("enter", "exit")
        )
        if not real and not executed:
            self.pending = carry_over_exits(self.pending)
            return
        adjacent = opened == self.hour or executed
        for decision in self.pending:
            self._execute_one(decision, price, opened, adjacent=adjacent)
        self.pending = ()

    @property
    def _priced(self) -> bool:
        """Whether decisions of this hour are filled as they were, and not at the open."""
        late = bool(self.life.decisions.get(self.hour, {}).get("late"))
        return self.life.realtime and (Cause.FILLS in self.causes or (Cause.LATE in self.causes and late))

    def _execute_one(self, decision: Decision, price: float, at: int, *, adjacent: bool) -> None:
        kind = "enter" if isinstance(decision, Enter) else "exit"
        key = self.hour, kind
        rules, own = self.life.rules(self.hour), self.life.executions.get(key, ())
        if Cause.SIZES in self.causes and self.life.at_broker and self.life.decided(*key):
            self._book(key, own, rules)
            return
        outcome = self.life.outcomes.get(key) if Cause.ORDERS in self.causes else None
        fraction = 1.0 if outcome is None else outcome.fraction
        if own and self._priced:
            price, rules = average_price(own), replace(rules, slippage_bps=0.0)
        if fraction == 1:
            result = fill_at_open(self.account, (decision,), price, at, adjacent=adjacent, rules=rules)
            self.account = result.account
            self.course.fills[key] = result.fills
        elif fraction:
            self._execute_part(decision, fraction, price, at, rules)

    def _execute_part(
        self, decision: Decision, fraction: float, price: float, at: int, rules: ExecutionRules
    ) -> None:
        venue = rules.venue
        assert venue is not None, "orders, which may be filled in part, go to a venue"
        if isinstance(decision, Exit) and self.account.side:
            sold = venue.round_down(self.account.quantity * fraction)
            self.account, fill, _ = book_sell(
                self.account, sold, price * (1 - rules.slippage), at, decision.reason, rules
            )
            self.course.fills[self.hour, "exit"] = (fill,)
        elif isinstance(decision, Enter) and not self.account.side:
            price *= 1 + rules.slippage
            money = decision.fraction * self.account.cash
            money = money if rules.max_notional is None else min(money, rules.max_notional)
            self.account, fill = book_buy(
                self.account, venue.round_down(money * fraction / price), price, at, rules
            )
            self.course.fills[self.hour, "enter"] = (fill,)

    def _book(self, key: tuple[int, str], fills: tuple[Fill, ...], rules: ExecutionRules) -> None:
        """Book fills as the ledger has booked them."""
        for fill in fills:
            if fill.side > 0:
                self.account, _ = book_buy(self.account, fill.quantity, fill.price, fill.at, rules)
            else:
                self.account, _, _ = book_sell(
                    self.account, fill.quantity, fill.price, fill.at, fill.reason, rules
                )
        self.course.fills[key] = fills

    def _order_close(self, happenings: list[Happening]) -> None:
        """Do what `close` does in a demo account of past bars: nothing but an exit is left pending."""
        if not any(_is(happening.event, LedgerEvent.CLOSE_ORDERED) for happening in happenings):
            return
        entry = next((decision.side for decision in self.pending if isinstance(decision, Enter)), 0)
        blocked = self.account.side or entry or self.account.blocked_side
        self.account, self.pending = self.account._replace(blocked_side=blocked), ()

    def _happen(self, happening: Happening) -> None:
        event, fill = happening.event, happening.fill
        if fill is not None:
            by_hand = fill.reason in BY_HAND
            if (Cause.MANUAL if by_hand else Cause.PROTECTIONS) not in self.causes:
                return
            if fill.reason == ADOPTED:
                self._adopt(fill)
            else:
                self._sell(fill, happening.held, block=by_hand or fill.reason in _PROTECTED)
        elif _is(event, LedgerEvent.RESUMED) and Cause.MANUAL in self.causes:
            peak = event.amount if Cause.SIZES in self.causes and event else self.account.equity(self.close)
            self.account = self.account._replace(halted=False, peak_equity=peak)
        elif _is(event, LedgerEvent.HALTED_BETWEEN) and Cause.PROTECTIONS in self.causes:
            self.account = self.account._replace(halted=True)
        elif _is(event, LedgerEvent.COINS_LESS) and Cause.FEES in self.causes and event is not None:
            before = happening.held + event.amount
            share = happening.held / before if before else 0.0
            left = self.account.quantity * share
            if Cause.SIZES in self.causes:
                left = self.account.quantity - event.amount
            # What is left of an exact subtraction may be a rounding error.
            self.account = reduced(self.account, left if share > _ROUNDING else 0.0)

    def _sell(self, fill: Fill, held: float, *, block: bool) -> None:
        account = self.account
        if not account.side or not account.quantity:
            return
        rules = replace(
            self.life.rules(self.hour),
            slippage_bps=0.0,
            fee=fill.fee / fill.notional if fill.notional else 0.0,
        )
        share = min(fill.quantity / abs(held), 1.0) if held else 1.0
        if Cause.FEES not in self.causes and share >= 1 - FEE_TOLERANCE:
            share = 1.0  # all of it: what is left went as fees
        if rules.venue is None and share == 1:
            result = fill_at_open(
                account, (Exit(fill.reason),), fill.price, fill.at, adjacent=True, rules=rules
            )
            self.account = result.account
        else:
            sold = fill.quantity if Cause.SIZES in self.causes else account.quantity * share
            self.account, _, _ = book_sell(account, sold, fill.price, fill.at, fill.reason, rules)
        if block:
            self.account = self.account._replace(blocked_side=account.side)

    def _adopt(self, fill: Fill) -> None:
        account = self.account
        total = account.quantity + fill.quantity
        self.account = account._replace(
            cash=max(account.cash - fill.notional, 0.0),
            side=1,
            quantity=total,
            average_price=(account.quantity * account.average_price + fill.notional) / total,
            entry_hour=account.entry_hour if account.side else fill.at,
        )


def _is(event: EventRow | None, kind: LedgerEvent) -> bool:
    return event is not None and event.kind == kind


def average_price(fills: Collection[Fill]) -> float:
    """Return the average price of fills, weighed by quantity."""
    return sum(fill.notional for fill in fills) / sum(fill.quantity for fill in fills)
