"""Trade as time passes: one sub-account, the bar that has just closed, orders that fill at once.

The demo account and an account at a broker differ only in their executor.
"""

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from crypto_refactor.errors import BrokerError, CryptoRefactorError
from crypto_refactor.execution.decisions import protect
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import floor_hour, to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import price_text
from crypto_refactor.trading.bar_processor import BarProcessor, ProcessedBar
from crypto_refactor.trading.decider import ModelDecision
from crypto_refactor.trading.explanations import missed_hours_note
from crypto_refactor.trading.ledger import Ledger, LedgerEvent, LedgerTransaction
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.orders.executor import ExecutionResult, Executor, OrderPlan
from crypto_refactor.trading.outcomes import TickerOutcome

_log = logging.getLogger(__name__)


class RealtimeTrader:
    """Acts on a sub-account at the bar that closed last, at most once per bar.

    `admit` returns why the account as a whole does not allow an entry now, None where it does.
    `on_recovered` receives what an earlier process had left open, where nothing more can be done in this attempt.
    """

    def __init__(
        self,
        ledger: Ledger,
        account: str,
        *,
        state_dir: Path,
        processor: BarProcessor,
        executor: Executor,
        clock: Callable[[], datetime],
        admit: Callable[[Ticker], str | None] = lambda _: None,
        on_recovered: Callable[[TickerOutcome], None] = lambda _: None,
    ) -> None:
        self._ledger = ledger
        self._account = account
        self._state_dir = state_dir
        self._processor = processor
        self._executor = executor
        self._clock = clock
        self._admit = admit
        self._on_recovered = on_recovered

    def act(
        self, bars: Bars, decide: Callable[[], ModelDecision], *, blocked: str | None, late: bool
    ) -> TickerOutcome:
        """Decide at the close of the last of `bars`, and execute.

        Parameters
        ----------
        bars : Bars
            Real bars; the last one closed at the latest full hour.
        decide : callable
            Returns what the model says at that close; called only if no process has decided at it yet.
        blocked : str or None
            Why entries are blocked now.
        late : bool
            Whether more than ten minutes have passed since the close.

        Raises
        ------
        DataError, ModelError
            If it cannot be decided.
        BrokerError
            If the broker, the account or the ledger does not allow it.
        """
        ticker, hour = bars.ticker, int(bars.closed[-1])
        _require_real(f"{ticker} bars are", simulated=bars.simulated)
        with locked(self._state_dir, self._account, ticker):
            self._require_latest(ticker, hour)
            recovered = self._executor.recover(
                ticker, hour, float(bars.close[-1]), self._processor.rules, entries=blocked is None
            )
            if self._ledger.has_decision(self._account, ticker, hour):
                recovery = "an order left open was resolved" if recovered.orders else "nothing was done"
                reason = f"this bar was already acted on; {recovery}"
                return self._outcome(self._unchanged(bars, reason), recovered)
            try:
                return self._decide_and_execute(bars, decide, recovered, blocked=blocked, late=late)
            except CryptoRefactorError:
                if recovered.orders:  # otherwise they would never be reported
                    unchanged = self._unchanged(bars, "an order left open was resolved")
                    self._on_recovered(self._outcome(unchanged, recovered))
                raise

    def protect(self, ticker: Ticker, hour: int, price: float) -> TickerOutcome | None:
        """Look at stop-loss, take-profit and drawdown at `price`, where nothing could be decided at `hour`.

        Returns None where there is nothing to protect or `price` triggers nothing.

        Raises
        ------
        BrokerError
            If the broker, the account or the ledger does not allow the exit.
        """
        with locked(self._state_dir, self._account, ticker):
            state = self._ledger.state(self._account, ticker)
            if (
                state is None
                or not state.account.side
                or self._ledger.has_decision(self._account, ticker, hour)
            ):
                return None
            self._require_latest(ticker, hour)
            account, reason = protect(state.account, price, self._processor.rules)
            newly_halted = account.halted and not state.account.halted
            if account != state.account:
                self._save_protected(ticker, replace(state, account=account), newly_halted=newly_halted)
            result = ExecutionResult()
            if reason is not None:
                result = self._executor.protect(ticker, hour, price, reason, self._processor.rules)
            elif not newly_halted:
                return None
            outcome = TickerOutcome(
                ticker=ticker,
                simulated=False,
                account=self._account,
                bar=hour,
                price=price,
                newly_halted=newly_halted,
                reason=f"{reason or 'drawdown'} at {price_text(price)}, the newest price: the bar or its model is missing",
            )
            return self._outcome(outcome, result)

    def _save_protected(self, ticker: Ticker, state: SubAccountState, *, newly_halted: bool) -> None:
        try:
            with self._ledger.transaction(self._account, ticker) as transaction:
                if newly_halted:
                    transaction.record_event(LedgerEvent.HALTED_BETWEEN)
                transaction.save_state(state)
        except BrokerError as error:  # the next look does it again; an exit does not wait for it
            _log.info("%s", error.what)

    def _decide_and_execute(
        self,
        bars: Bars,
        decide: Callable[[], ModelDecision],
        recovered: ExecutionResult,
        *,
        blocked: str | None,
        late: bool,
    ) -> TickerOutcome:
        ticker, hour = bars.ticker, int(bars.closed[-1])
        decision = decide()
        _require_real(f"{ticker} model is", simulated=decision.model.card.simulated)
        self._require_latest(ticker, hour)  # deciding may have taken long
        previous = self._ledger.state(self._account, ticker)
        _require_later(ticker, hour, previous)
        bar = self._processor.process(previous, bars, hour, decision)
        decided_at = self._clock().astimezone(UTC).isoformat(timespec="seconds")
        bar = replace(bar, details={"decided_at": decided_at, "late": late})
        if blocked is None and bar.enters:
            blocked = self._admit(ticker)
        if blocked is not None:
            bar = bar.without_entries(blocked)
        outcome = bar.outcome(bars, hour, self._account)
        if previous is None and blocked is not None:
            # A sub-account is not opened with money that it may not use.
            self._keep_forecast(ticker, bar)
            return self._outcome(outcome, recovered)
        missed = ExecutionResult(notes=missed_hours_note(previous, bars, hour))
        result = recovered + missed + self._executor.execute(self._plan(bars, bar, decision))
        outcome = replace(outcome, acted=True, late=late, newly_halted=bar.newly_halted)
        return self._outcome(outcome, result)

    def _keep_forecast(self, ticker: Ticker, bar: ProcessedBar) -> None:
        """Record a forecast without the sub-account, which is not opened; the pass does not depend on it."""
        try:
            if bar.forecast is not None:
                self._ledger.record_forecast(self._account, ticker, bar.forecast)
        except BrokerError as error:
            _log.info("%s", error.what)

    def _plan(self, bars: Bars, bar: ProcessedBar, decision: ModelDecision) -> OrderPlan:
        state = replace(bar.state, pending=())

        def record(transaction: LedgerTransaction) -> None:
            bar.record(transaction, state)
            if decision.chosen.key is not None and not decision.chosen.late:
                transaction.record_model(decision.cutoff, decision.chosen.key)

        return OrderPlan(
            ticker=bars.ticker,
            hour=state.processed_through,
            close=_price_decided_on(bars),
            state=state,
            decisions=bar.state.pending,
            rules=self._processor.rules,
            record=record,
        )

    def _unchanged(self, bars: Bars, reason: str) -> TickerOutcome:
        return TickerOutcome.at_bar(bars, int(bars.closed[-1]), self._account, reason)

    def _outcome(self, outcome: TickerOutcome, result: ExecutionResult) -> TickerOutcome:
        """Complete an outcome with what was executed, and with the sub-account after it."""
        state = self._ledger.state(self._account, outcome.ticker)
        return replace(
            outcome,
            orders=result.orders,
            fills=result.fills,
            trades=result.trades,
            sub_account=None if state is None else state.account,
            notes=result.notes,
        )

    def _require_latest(self, ticker: Ticker, hour: int) -> None:
        if floor_hour(self._clock()) != hour:
            raise BrokerError(
                f"The last {ticker} bar closed at {to_iso(hour)}, which is not the latest full hour.",
                expected="the bar that has just closed; no order is sent on an older one.",
                remedy="wait for the next bar.",
            )


def _price_decided_on(bars: Bars) -> float:
    """Return the close of the last bar; where it jumps, the price that protections act on if they do."""
    price = float(bars.protection_price[-1])
    return float(bars.close[-1]) if math.isnan(price) else price


def _require_real(subject: str, *, simulated: bool) -> None:
    if simulated:
        raise BrokerError(
            f"The {subject} simulated.",
            expected="real bars, and a model trained on real bars; no order is sent on a simulation.",
            remedy="trade the simulation in the demo account, with --source sample --demo.",
        )


def _require_later(ticker: Ticker, hour: int, previous: SubAccountState | None) -> None:
    if previous is not None and hour <= previous.processed_through:
        raise BrokerError(
            f"The {ticker} sub-account has already been processed through {to_iso(previous.processed_through)}.",
            expected=f"a bar that closed later than that, not at {to_iso(hour)}.",
            remedy="check this machine's clock; nothing is traded before a later bar has closed.",
        )
