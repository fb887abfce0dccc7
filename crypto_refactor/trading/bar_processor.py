"""Process one bar of a sub-account, past or present: catch up, decide, explain, record.

The traders differ only in when a decision is filled: at the next bar's open (`historical`) or at once (`realtime`).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from crypto_refactor.execution.decisions import Enter
from crypto_refactor.execution.fills import carry_over_exits
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import (
    BarSignal,
    Step,
    SubAccountState,
    bar_signal,
    first_decision,
    new_state,
    step_through,
)
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.trading.decider import ModelDecision
from crypto_refactor.trading.explanations import explain, forecast_record, ledger_record
from crypto_refactor.trading.ledger import ForecastRecord, LedgerTransaction
from crypto_refactor.trading.outcomes import TickerOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessedBar:
    """A sub-account after one bar, not committed yet.

    `previous` is the state before (None where the sub-account is new), `steps` are the bars since, and `state` is the
    state after, with what was decided pending.  `decision` is None where no bar closed at this hour, `forecast` also
    where that bar cannot be forecast from.
    """

    previous: SubAccountState | None
    state: SubAccountState
    steps: tuple[Step, ...]
    decision: ModelDecision | None
    target: int
    reason: str
    before: SubAccount  # at the close, before the decision
    signal: BarSignal | None
    bars: Bars  # those since `previous`, as they were known, gaps filled
    rules: ExecutionRules
    forecast: ForecastRecord | None = None
    details: Mapping[str, Any] = field(default_factory=dict)  # what the ledger keeps beside the decision

    @property
    def newly_halted(self) -> bool:
        """Whether the drawdown halted entries meanwhile."""
        was_halted = self.previous is not None and self.previous.account.halted
        return self.state.account.halted and not was_halted

    @property
    def enters(self) -> bool:
        """Whether an entry was decided."""
        return any(isinstance(decision, Enter) for decision in self.state.pending)

    def without_entries(self, why: str) -> Self:
        """Return the same with its exits alone."""
        exits = carry_over_exits(self.state.pending)
        if self.previous is not None and exits == self.state.pending:
            return self
        state, details = replace(self.state, pending=exits), dict(self.details)
        if exits != self.state.pending:
            details["blocked"] = why
        return replace(self, state=state, reason=f"{self.reason}, not done: {why}", details=details)

    def record(self, transaction: LedgerTransaction, state: SubAccountState) -> None:
        """Write the bars and the decision, and leave the sub-account in `state`."""
        if self.previous is None:
            transaction.open(state)
        for step in self.steps:
            transaction.record_bar(step)
        transaction.record_known_bars(self.bars)
        if self.steps and self.steps[-1].state != state:
            transaction.save_state(state)
        if self.decision is not None:
            hour = state.processed_through
            undecided = replace(self.state, account=self.before, pending=())
            transaction.record_settings(hour, _as_json(self.rules), undecided)
            transaction.record_decision(hour, self.target, self._entry(self.decision))
        if self.forecast is not None:
            transaction.record_forecast(self.forecast)

    def _entry(self, decision: ModelDecision) -> dict[str, Any]:
        """Return what the ledger keeps of the decision beside its target."""
        return {
            **ledger_record(decision, self.reason),
            "plan": None if self.signal is None else asdict(self.signal),
            "decided": ["enter" if isinstance(each, Enter) else "exit" for each in self.state.pending],
            **self.details,
        }

    def outcome(self, bars: Bars, hour: int, account: str | None) -> TickerOutcome:
        """Return what was decided and why; what was executed is the caller's to add."""
        return replace(
            TickerOutcome.at_bar(bars, hour, account, self.reason),
            decision=self.decision,
            target=None if self.decision is None else self.target,
        )


def _as_json(rules: ExecutionRules) -> dict[str, Any]:
    """Return rules as JSON holds them: a venue without a largest order has None there."""
    values = asdict(rules)
    if rules.venue is not None and math.isinf(rules.venue.max_notional):
        values["venue"]["max_notional"] = None
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class BarProcessor:
    """Steps a sub-account through its bars and decides at the last one.

    `balance` opens a new sub-account; `confirmations` is how many a signal needs and only appears in reasons.
    """

    balance: float
    rules: ExecutionRules
    confirmations: int

    def process(
        self, previous: SubAccountState | None, bars: Bars, hour: int, decision: ModelDecision | None
    ) -> ProcessedBar:
        """Process the bars after `previous` up to `hour`; nothing is committed.

        Parameters
        ----------
        previous : SubAccountState or None
            The sub-account; None to open it at `hour`.
        bars : Bars
            Real bars known at `hour`, trusted (see `market.plausibility`).
        hour : int
            Now.
        decision : ModelDecision or None
            What the model says at `hour`; None where no bar closed then.
        """
        signal = None if decision is None else bar_signal(decision.signals, self.rules)
        steps: tuple[Step, ...] = ()
        state, target = previous or new_state(self.balance, hour), 0
        account, filled = state.account, fill_gaps(bars)
        since = hour if previous is None else previous.processed_through + 1
        if previous is not None:
            steps = step_through(previous, filled, signal, self.rules)
        elif signal is not None:
            state, target = first_decision(state, float(bars.close[-1]), signal, self.rules)
        if steps:
            state, account, target = steps[-1].state, steps[-1].before, steps[-1].target
        reason = "no bar closed at this hour"
        if decision is not None:
            jumps = bool(bars.held[-1])
            reason = explain(
                decision, target, account, state.pending, self.rules, self.confirmations, jumps=jumps
            )
        return ProcessedBar(
            previous=previous,
            state=state,
            steps=steps,
            decision=decision,
            target=target,
            reason=reason,
            forecast=forecast_record(decision, bars),
            before=account,
            signal=signal,
            bars=filled.between(since - 1, hour),
            rules=self.rules,
        )
