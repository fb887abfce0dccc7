"""Trade bars of the past: decide at a close, fill at the next open, and commit each bar as a whole.

A replay processes every bar; a one-pass command processes the last one, and the next run fills its decision at the
next bar's open.  A process may end at any time.
"""

from dataclasses import replace

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.trading.bar_processor import BarProcessor
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.explanations import unfilled_entry_note
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.outcomes import TickerOutcome


class HistoricalTrader:
    """Trades one sub-account on bars of the past."""

    def __init__(self, ledger: Ledger, account: str, *, decider: Decider, processor: BarProcessor) -> None:
        self._ledger = ledger
        self._account = account
        self._decider = decider
        self._processor = processor

    def process_bar(self, bars: Bars, hour: int) -> TickerOutcome:
        """Bring the sub-account up to `hour`, and decide at that close if a real bar closed then.

        Parameters
        ----------
        bars : Bars
            Bars as quoted, with the history that decisions need; those after `hour` are ignored.
        hour : int
            Now.

        Raises
        ------
        UsageError
            If the sub-account was already processed beyond `hour`.
        DataError, ModelError, BrokerError
            If it cannot be decided or recorded; nothing has changed then.
        """
        ticker, bars = bars.ticker, trusted(bars.between(0, hour))
        previous = self._ledger.state(self._account, ticker)
        if previous is not None and previous.processed_through >= hour:
            return self._already_processed(bars, previous, hour)
        real = bool(len(bars)) and int(bars.closed[-1]) == hour
        decision = self._decider.decide(bars, hour) if real else None
        bar = self._processor.process(previous, bars, hour, decision)
        with self._ledger.transaction(self._account, ticker) as transaction:
            bar.record(transaction, bar.state)
        fills = tuple(fill for step in bar.steps for fill in step.fills)
        return replace(
            _with_state(bar.outcome(bars, hour, self._account), bar.state),
            fills=fills,
            trades=tuple(trade for step in bar.steps for trade in step.trades),
            acted=decision is not None,
            newly_halted=bar.newly_halted,
            notes=unfilled_entry_note(previous.pending, fills) if previous is not None and bar.steps else (),
        )

    def _already_processed(self, bars: Bars, state: SubAccountState, hour: int) -> TickerOutcome:
        if state.processed_through > hour:
            raise UsageError(
                f"The account {self._account} has traded {bars.ticker} up to {to_iso(state.processed_through)}, "
                f"and {to_iso(hour)} is earlier.",
                expected="a time that has not been traded yet.",
                remedy="leave --end out, or use another --state-dir.",
            )
        reason = "this bar was already acted on; nothing was done"
        return _with_state(TickerOutcome.at_bar(bars, hour, self._account, reason), state)


def _with_state(outcome: TickerOutcome, state: SubAccountState) -> TickerOutcome:
    pending = tuple(decision.text for decision in state.pending)
    return replace(outcome, sub_account=state.account, pending=pending)
