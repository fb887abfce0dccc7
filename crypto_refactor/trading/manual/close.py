"""Close positions by hand, in a demo account or at a broker."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, repeat
from pathlib import Path

from crypto_refactor.errors import BrokerError, CryptoRefactorError, DataError, UsageError
from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.fills import fill_at_open
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import price_text
from crypto_refactor.trading.account_names import PAPER, REPLAY, broker_account
from crypto_refactor.trading.account_status import ticker_status
from crypto_refactor.trading.brokers import Broker
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.ledger import AccountRow, Ledger, LedgerEvent
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.orders.broker_executor import BrokerExecutor
from crypto_refactor.trading.orders.executor import ExecutionResult
from crypto_refactor.trading.orders.lifecycle import CLOSED_BY_HAND, block_reentry
from crypto_refactor.trading.orders.preflight import preflight
from crypto_refactor.trading.realtime.prices import current_price, latest_price_since
from crypto_refactor.trading.session import rules_from_snapshot

_NOTHING = ExecutionResult()
_PANIC_WAITS = (2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between the attempts to close everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseResult:
    """The result of closing one ticker: what was executed at once, and the sub-account afterwards.

    `waiting` says whether an exit waits for the next open, `error` why a position, or a part of it, is still open.
    """

    ticker: Ticker
    result: ExecutionResult = _NOTHING
    sub_account: SubAccount | None = None
    waiting: bool = False
    error: CryptoRefactorError | None = None


Close = Callable[[Ticker], CloseResult]
"""Closes one ticker of one account; called while its sub-account is locked."""


def require_closable(account: str) -> None:
    """Refuse to close a replay, which has no next open.

    Raises
    ------
    UsageError
        If `account` is a replay.
    """
    if account.startswith(REPLAY):
        raise UsageError(
            f"{account} is a replay: its positions were sold, or marked, in the past.",
            expected="a demo account, or one at Alpaca.",
            remedy="name the account with --account; `crypto-refactor status` lists them.",
        )


def closable(ledger: Ledger, account: str, tickers: Iterable[Ticker] | None) -> tuple[Ticker, ...]:
    """Return those of `tickers`, by default of all, with a position, a pending decision or an unsettled order."""
    states = ledger.states(account)
    return tuple(
        ticker
        for ticker in (states if tickers is None else tickers)
        if ticker in states
        and (
            states[ticker].account.side
            or states[ticker].pending
            or ledger.orders(account, ticker, unsettled=True)
        )
    )


def close_all(state: Path, account: str, tickers: Iterable[Ticker], close: Close) -> list[CloseResult]:
    """Close one ticker after the other; an error of one does not hold up the next."""
    results = []
    for ticker in tickers:
        try:
            with locked(state, account, ticker):
                results.append(close(ticker))
        except CryptoRefactorError as error:
            results.append(CloseResult(ticker=ticker, error=error))
    return results


def close_until_flat(
    ledger: Ledger,
    state: Path,
    account: str,
    closer: Callable[[], Close],
    *,
    sleep: Callable[[float], None],
    report: Callable[[CloseResult], None],
) -> list[CloseResult]:
    """Close every ticker, again and again with growing waits, until nothing is held; return the last results.

    `closer` returns how to close; what it raises is reported like an error of each ticker, and tried again.  `report`
    receives each result that says something new.

    Raises
    ------
    UsageError
        If `closer` needs something that only a person can correct.
    """
    results: dict[Ticker, CloseResult] = {}
    waits = chain(_PANIC_WAITS, repeat(_PANIC_WAITS[-1]))
    while due := [
        ticker
        for ticker in closable(ledger, account, None)
        if ticker not in results or not results[ticker].waiting
    ]:
        if results:
            sleep(next(waits))
        try:
            closed = close_all(state, account, due, closer())
        except UsageError:
            raise
        except CryptoRefactorError as error:
            closed = [CloseResult(ticker=ticker, error=error) for ticker in due]
        for result in closed:
            before = results.get(result.ticker)
            if before is None or result.result.fills or _error_text(result) != _error_text(before):
                report(result)
            results[result.ticker] = result
    return list(results.values())


def _error_text(result: CloseResult) -> str:
    return "" if result.error is None else result.error.what


def close_at_next_open(ledger: Ledger, account: str) -> Close:
    """Return how to close in the demo account of files or sample: the next run fills at the next open."""

    def close(ticker: Ticker) -> CloseResult:
        # No other process can write meanwhile, so the state read here is the one replaced.
        with ledger.transaction(account, ticker) as transaction:
            state = _exiting(_state(ledger, account, ticker))
            transaction.record_event(LedgerEvent.CLOSE_ORDERED)
            transaction.save_state(state)
        return CloseResult(ticker=ticker, sub_account=state.account, waiting=bool(state.pending))

    return close


def _exiting(state: SubAccountState) -> SubAccountState:
    """Return the sub-account with at most an exit pending, and re-entry blocked on the side it was on or about."""
    side = state.account.side
    entry_side = next((decision.side for decision in state.pending if isinstance(decision, Enter)), 0)
    account = state.account._replace(blocked_side=side or entry_side or state.account.blocked_side)
    return replace(state, account=account, pending=(Exit(CLOSED_BY_HAND),) if side else ())


def close_immediately(ledger: Ledger, row: AccountRow, source: Source) -> Close:
    """Return how to close in the demo account on Alpaca's bars: the tool itself fills at the latest price."""

    def close(ticker: Ticker) -> CloseResult:
        if not _state(ledger, row.name, ticker).account.side:
            return CloseResult(ticker=ticker)
        hour, price = _latest_price(source, ticker)
        rules = rules_from_snapshot(row.about, ticker)
        with ledger.transaction(row.name, ticker) as transaction:
            state = _state(ledger, row.name, ticker)
            exits = (Exit(CLOSED_BY_HAND),)
            outcome = fill_at_open(state.account, exits, price, hour, adjacent=True, rules=rules)
            account = outcome.account
            for trade in outcome.trades:
                account = block_reentry(account, trade)
            transaction.record_fills(outcome.fills, outcome.trades)
            transaction.save_state(replace(state, account=account, pending=()))
        return _close_result(ticker, ExecutionResult(fills=outcome.fills, trades=outcome.trades), account)

    return close


def close_at_broker(
    ledger: Ledger,
    row: AccountRow,
    broker: Broker,
    source: Source,
    *,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
) -> Close:
    """Return how to close at a broker: by market orders for the positions the ledger has opened.

    Raises
    ------
    BrokerError
        If the keys belong to another account, or this one accepts no orders.
    """
    require_same_account(broker, row.name)
    executor = BrokerExecutor(
        broker, ledger, row.name, clock=clock, sleep=sleep, current_price=current_price(source, clock)
    )
    executor.state = preflight(broker, ledger, row.name, {}, clock())

    def close(ticker: Ticker) -> CloseResult:
        rules = rules_from_snapshot(row.about, ticker, stated=broker.venue_rules(ticker))
        price, notes = _price_for_broker(ledger, row.name, source, ticker)
        with deferred_interrupts():
            result = executor.close(ticker, floor_hour(clock()), price, rules)
        account = _state(ledger, row.name, ticker).account
        return _close_result(ticker, result + ExecutionResult(notes=notes), account)

    return close


def require_same_account(broker: Broker, account: str) -> None:
    """Check that the broker's keys belong to the account of the ledger."""
    owner = broker_account(broker.account().account_id, paper=account.startswith(PAPER))
    if owner != account:
        raise BrokerError(
            f"The keys belong to {owner}, not to {account}, which was to be closed.",
            expected="the keys of the account that holds the positions.",
            remedy="set ALPACA_API_KEY and ALPACA_SECRET_KEY of that account, or name another with --account.",
        )


def _latest_price(source: Source, ticker: Ticker) -> tuple[int, float]:
    """Return the last full hour and the latest price."""
    hour = source.now(ticker)
    bars = source.bars(ticker, hour - MAX_FILLED_GAP_HOURS, hour)
    return hour, latest_price_since(source, ticker, int(bars.closed[-1]), float(bars.close[-1]))


def _price_for_broker(
    ledger: Ledger, account: str, source: Source, ticker: Ticker
) -> tuple[float, tuple[str, ...]]:
    """Return a price to size and check the order with; the order itself fills at the broker's price."""
    try:
        return _latest_price(source, ticker)[1], ()
    except DataError as error:
        price = ticker_status(ledger, account, ticker).price
        if not price:
            raise
        note = (
            f"{error.what} The last close of the ledger, {price_text(price)}, stood in for the latest price."
        )
        return price, (note,)


def _close_result(ticker: Ticker, result: ExecutionResult, account: SubAccount) -> CloseResult:
    error = None
    if account.side:
        why = " ".join(f"{note}." for note in result.notes) or "The order was not, or not completely, filled."
        error = BrokerError(
            f"{abs(account.quantity):.9g} {ticker.base} are still held. {why}",
            expected="the whole position to be sold.",
            remedy="run the command again, or check the account at the broker.",
        )
    return CloseResult(ticker=ticker, result=result, sub_account=account, error=error)


def _state(ledger: Ledger, account: str, ticker: Ticker) -> SubAccountState:
    state = ledger.state(account, ticker)
    assert state is not None, "sub-accounts are never removed"
    return state
