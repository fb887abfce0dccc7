"""Trading bars that have passed: decisions at a close, fills at the next open, one commit for each visit.

A replay visits every bar; a one-pass command visits the last one, and what it decided is filled at the next
bar's open by whoever comes next.  Each visit is committed as a whole, so that a process may end at any time.
"""

from __future__ import annotations

from dataclasses import dataclass

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.trading.decider import Decider, ModelDecision
from crypto_refactor.trading.explanations import describe_decision, explain, ledger_record, unfilled_entry
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.transaction import LedgerTransaction
from crypto_refactor.trading.outcomes import TickerOutcome
from crypto_refactor.trading.stepper import (
    BarSignal,
    Step,
    SubAccountState,
    bar_signal,
    first_decision,
    new_state,
    step_through,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _BarResult:
    """What came of one bar, before it is written down."""

    holding: SubAccountState
    steps: tuple[Step, ...]
    target: int
    fresh: bool


class HistoricalTrader:
    """Trades one sub-account on bars that have passed.

    Parameters
    ----------
    ledger : Ledger
        Where the sub-account lives.
    account : str
        Its account.
    balance : float
        What it is opened with, where it is not open yet.
    decider : Decider
        Decides at real closes.
    rules : ExecutionRules
        The execution rules.
    confirmations : int
        How many of nine a signal needs; for the words only.
    """

    def __init__(
        self,
        ledger: Ledger,
        account: str,
        *,
        balance: float,
        decider: Decider,
        rules: ExecutionRules,
        confirmations: int,
    ) -> None:
        self._ledger = ledger
        self._account = account
        self._balance = balance
        self._decider = decider
        self._rules = rules
        self._confirmations = confirmations

    def visit(self, bars: Bars, hour: int) -> TickerOutcome:
        """Walk the sub-account to `hour` and decide at that close, where a real bar closed then.

        Parameters
        ----------
        bars : Bars
            Real bars with the history that decisions need; those after `hour` are not looked at.
        hour : int
            Now.

        Raises
        ------
        UsageError
            If the sub-account has been walked beyond `hour`.
        DataError, ModelError, BrokerError
            If it cannot be decided or written down; nothing has happened then.
        """
        ticker, known = bars.ticker, bars.between(0, hour)
        holding = self._ledger.state(self._account, ticker)
        if holding is not None and holding.walked_to >= hour:
            return self._visited(known, holding, hour)
        real = bool(len(known)) and int(known.closed[-1]) == hour
        decided = self._decider.decide(known, hour) if real else None
        verdict = None if decided is None else bar_signal(decided.made, self._rules)
        visit = self._walked(holding, fill_gaps(known), hour, verdict)
        before = visit.steps[-1].before if visit.steps else visit.holding.account
        why = "no bar closed at this hour"
        if decided is not None:
            why = explain(
                decided, visit.target, before, visit.holding.pending, self._rules, self._confirmations
            )
        with self._ledger.transaction(self._account, ticker) as writer:
            _write(writer, visit)
            if decided is not None:
                writer.record_decision(hour, visit.target, ledger_record(decided, why))
        return self._entry(known, hour, decided, visit, why, holding)

    def _walked(
        self, holding: SubAccountState | None, carried: Bars, hour: int, verdict: BarSignal | None
    ) -> _BarResult:
        if holding is None:
            holding, target = new_state(self._balance, hour), 0
            if verdict is not None:
                holding, target = first_decision(holding, float(carried.close[-1]), verdict, self._rules)
            return _BarResult(holding=holding, steps=(), target=target, fresh=True)
        steps = step_through(holding, carried, verdict, self._rules)
        target = steps[-1].target if steps else 0
        return _BarResult(
            holding=steps[-1].holding if steps else holding, steps=steps, target=target, fresh=False
        )

    def _visited(self, known: Bars, holding: SubAccountState, hour: int) -> TickerOutcome:
        if holding.walked_to > hour:
            raise UsageError(
                f"The account {self._account} has traded {known.ticker} up to {to_iso(holding.walked_to)}, "
                f"and {to_iso(hour)} is earlier.",
                expected="a time that has not been traded yet.",
                remedy="leave --end out, or use another --state-dir.",
            )
        return TickerOutcome(
            ticker=known.ticker,
            simulated=known.simulated,
            account=self._account,
            bar=hour,
            decided=None,
            target=None,
            holding=holding.account,
            pending=tuple(map(describe_decision, holding.pending)),
            price=float(known.close[-1]),
            acted=False,
            reason="this bar was already acted on; nothing was done",
        )

    def _entry(
        self,
        known: Bars,
        hour: int,
        decided: ModelDecision | None,
        visit: _BarResult,
        why: str,
        earlier: SubAccountState | None,
    ) -> TickerOutcome:
        pending, halted_before = ((), False) if earlier is None else (earlier.pending, earlier.account.halted)
        fills = tuple(fill for step in visit.steps for fill in step.fills)
        return TickerOutcome(
            ticker=known.ticker,
            simulated=known.simulated,
            account=self._account,
            bar=hour,
            decided=decided,
            target=None if decided is None else visit.target,
            fills=fills,
            trades=tuple(trade for step in visit.steps for trade in step.trades),
            holding=visit.holding.account,
            pending=tuple(map(describe_decision, visit.holding.pending)),
            price=float(known.close[-1]),
            acted=decided is not None,
            newly_halted=visit.holding.account.halted and not halted_before,
            reason=why,
            notes=unfilled_entry(pending, fills) if visit.steps else (),
        )


def _write(writer: LedgerTransaction, visit: _BarResult) -> None:
    if visit.fresh:
        writer.open(visit.holding)
    for step in visit.steps:
        writer.record_bar(step)
