"""Trading as time passes: one sub-account, the bar that has just closed, orders that fill at once.

The demo account and the Alpaca account share everything here but how an order is carried out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol, cast

from crypto_refactor.errors import BrokerError, CryptoRefactorError
from crypto_refactor.execution.decisions import Decision, Exit
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.hours import floor_hour, to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.decider import ModelDecision
from crypto_refactor.trading.explanations import explain, ledger_record
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.order_record import OrderRecord
from crypto_refactor.trading.ledger.transaction import LedgerTransaction
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.outcomes import TickerOutcome
from crypto_refactor.trading.stepper import (
    Step,
    SubAccountState,
    bar_signal,
    first_decision,
    new_state,
    step_through,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlan:
    """What is to be carried out at one bar.

    Attributes
    ----------
    ticker : Ticker
        Of the sub-account.
    hour : int
        Close of the bar.
    close : float
        Its price.
    holding : SubAccountState
        After the bar; what was decided is not in it.
    decisions : tuple of Decision
        What was decided.
    rules : ExecutionRules
        The execution rules.
    write : callable
        Writes the bar and the decision; called once, in the transaction that commits whatever must not be
        forgotten before an order is carried out.
    """

    ticker: Ticker
    hour: int
    close: float
    holding: SubAccountState
    decisions: tuple[Decision, ...]
    rules: ExecutionRules
    write: Callable[[LedgerTransaction], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionResult:
    """What was carried out, and what a person should know of it."""

    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()
    orders: tuple[OrderRecord, ...] = ()
    notes: tuple[str, ...] = ()

    def __add__(self, later: ExecutionResult) -> ExecutionResult:
        return ExecutionResult(
            fills=self.fills + later.fills,
            trades=self.trades + later.trades,
            orders=self.orders + later.orders,
            notes=self.notes + later.notes,
        )


class Executor(Protocol):
    """Carries orders out.  Both methods are called while the sub-account is locked."""

    def recover(
        self, ticker: Ticker, hour: int, price: float, rules: ExecutionRules, *, entries: bool
    ) -> ExecutionResult:
        """Settle what an earlier process left open, and make ledger and account agree.

        Parameters
        ----------
        ticker : Ticker
            Of the sub-account.
        hour : int
            Close of the latest bar.
        price : float
            Its close.
        rules : ExecutionRules
            The execution rules.
        entries : bool
            Whether an entry that never left may still leave.
        """
        ...

    def execute(self, planned: OrderPlan) -> ExecutionResult:
        """Commit and carry out what was decided."""
        ...


class RealtimeTrader:
    """Acts on a sub-account at the bar that closed last, at most once a bar.

    Parameters
    ----------
    ledger : Ledger
        Where the sub-account lives.
    account : str
        Its account.
    state : Path
        The state folder, for locks.
    balance : float
        What it is opened with, where it is not open yet.
    rules : ExecutionRules
        The execution rules.
    confirmations : int
        How many of nine a signal needs; for the words only.
    executor : Executor
        Carries orders out.
    clock : callable
        Returns the aware local time.
    on_settled : callable
        Told what was settled of earlier orders where nothing more can be done in this attempt.
    """

    def __init__(
        self,
        ledger: Ledger,
        account: str,
        *,
        state: Path,
        balance: float,
        rules: ExecutionRules,
        confirmations: int,
        executor: Executor,
        clock: Callable[[], datetime],
        on_settled: Callable[[TickerOutcome], None] = lambda _: None,
    ) -> None:
        self._on_settled = on_settled
        self._ledger = ledger
        self._account = account
        self._state = state
        self._balance = balance
        self._rules = rules
        self._confirmations = confirmations
        self._executor = executor
        self._clock = clock

    def act(
        self, known: Bars, decide: Callable[[], ModelDecision], *, blocked: str | None, late: bool
    ) -> TickerOutcome:
        """Carry out what is decided at the close of the last of `known`.

        Parameters
        ----------
        known : Bars
            Real bars; the last one closed at the latest full hour.
        decide : callable
            Returns what the model says at that close; called only where nobody has acted on it yet.
        blocked : str or None
            Why no position may be entered now.
        late : bool
            Whether more than ten minutes have passed since the close.

        Raises
        ------
        DataError, ModelError
            If it cannot be decided.
        BrokerError
            If the broker, the account or the ledger does not allow it.
        """
        ticker, hour = known.ticker, int(known.closed[-1])
        price = float(known.close[-1])
        _require_real(f"{ticker} bars are", simulated=known.simulated)
        with locked(self._state, self._account, ticker):
            self._require_latest(ticker, hour)
            done = self._executor.recover(ticker, hour, price, self._rules, entries=blocked is None)
            if self._ledger.has_decision(self._account, ticker, hour):
                settled = (
                    "an order that was left open has been settled" if done.orders else "nothing was done"
                )
                return self._entry(known, done, reason=f"this bar was already acted on; {settled}")
            try:
                return self._decided(known, decide, done, blocked=blocked, late=late)
            except CryptoRefactorError:
                if done.orders:  # or nobody would ever be told
                    self._on_settled(self._entry(known, done, reason="an order left open has been settled"))
                raise

    def _decided(
        self,
        known: Bars,
        decide: Callable[[], ModelDecision],
        done: ExecutionResult,
        *,
        blocked: str | None,
        late: bool,
    ) -> TickerOutcome:
        ticker, hour = known.ticker, int(known.closed[-1])
        decided = decide()
        _require_real(f"{ticker} model is", simulated=decided.model.card.simulated)
        self._require_latest(ticker, hour)  # deciding may have taken long
        before = self._held(ticker)
        planned, target, why = self._plan(known, decided, blocked)
        if before is None and blocked is not None:
            # A sub-account is not opened with money that it may not use.
            return self._entry(known, done, decided=decided, target=target, reason=why)
        halts = planned.holding.account.halted and not (before is not None and before.halted)
        done += self._executor.execute(planned)
        return self._entry(
            known,
            done,
            decided=decided,
            target=target,
            acted=True,
            late=late,
            newly_halted=halts,
            reason=why,
        )

    def _require_latest(self, ticker: Ticker, hour: int) -> None:
        if floor_hour(self._clock()) != hour:
            raise BrokerError(
                f"The last {ticker} bar closed at {to_iso(hour)}, and that is not the latest full hour.",
                expected="the bar that has just closed; no order leaves on an older one.",
                remedy="wait for the next bar.",
            )

    def _plan(self, known: Bars, decided: ModelDecision, blocked: str | None) -> tuple[OrderPlan, int, str]:
        ticker, hour = known.ticker, int(known.closed[-1])
        holding = self._ledger.state(self._account, ticker)
        fresh, steps = holding is None, cast("tuple[Step, ...]", ())
        verdict = bar_signal(decided.made, self._rules)
        if holding is None:
            holding = new_state(self._balance, hour)
            before = holding.account
            holding, target = first_decision(holding, float(known.close[-1]), verdict, self._rules)
        else:
            _require_later(ticker, hour, holding)
            steps = step_through(holding, fill_gaps(known), verdict, self._rules)
            before, target, holding = steps[-1].before, steps[-1].target, steps[-1].holding
        decisions = holding.pending
        why = explain(decided, target, before, decisions, self._rules, self._confirmations)
        exits = tuple(decision for decision in decisions if isinstance(decision, Exit))
        if blocked is not None and (fresh or exits != decisions):
            decisions, why = exits, f"{why}, not done: {blocked}"
        at_rest = replace(holding, pending=())

        def write(writer: LedgerTransaction) -> None:
            _write(writer, at_rest, steps, fresh=fresh)
            writer.record_decision(hour, target, ledger_record(decided, why))
            if decided.chosen.key is not None and not decided.chosen.late:
                writer.record_model(decided.cutoff, decided.chosen.key)

        planned = OrderPlan(
            ticker=ticker,
            hour=hour,
            close=float(known.close[-1]),
            holding=at_rest,
            decisions=decisions,
            rules=self._rules,
            write=write,
        )
        return planned, target, why

    def _entry(
        self,
        known: Bars,
        done: ExecutionResult,
        *,
        reason: str,
        decided: ModelDecision | None = None,
        target: int | None = None,
        acted: bool = False,
        late: bool = False,
        newly_halted: bool = False,
    ) -> TickerOutcome:
        return TickerOutcome(
            ticker=known.ticker,
            simulated=known.simulated,
            account=self._account,
            bar=int(known.closed[-1]),
            decided=decided,
            target=target,
            orders=done.orders,
            fills=done.fills,
            trades=done.trades,
            holding=self._held(known.ticker),
            price=float(known.close[-1]),
            acted=acted,
            late=late,
            newly_halted=newly_halted,
            reason=reason,
            notes=done.notes,
        )

    def _held(self, ticker: Ticker) -> SubAccount | None:
        holding = self._ledger.state(self._account, ticker)
        return None if holding is None else holding.account


def _require_real(what: str, *, simulated: bool) -> None:
    if simulated:
        raise BrokerError(
            f"The {what} simulated.",
            expected="real bars, and a model that has learnt from such: no order leaves on a simulation.",
            remedy="trade the simulation in the demo account, with --source sample --demo.",
        )


def _require_later(ticker: Ticker, hour: int, holding: SubAccountState) -> None:
    if hour <= holding.walked_to:
        raise BrokerError(
            f"The {ticker} sub-account has been led to {to_iso(holding.walked_to)}, which is later than this bar.",
            expected=f"a bar that closed after that, not at {to_iso(hour)}.",
            remedy="check this machine's clock; nothing is traded before a later bar has closed.",
        )


def _write(
    writer: LedgerTransaction, at_rest: SubAccountState, steps: tuple[Step, ...], *, fresh: bool
) -> None:
    if fresh:
        writer.open(at_rest)
    for step in steps:
        writer.record_bar(step)
    writer.save_state(at_rest)
