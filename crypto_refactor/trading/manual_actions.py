"""Closing by hand: selling what an account has opened, each kind of account in its own way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from crypto_refactor.errors import BrokerError, CryptoRefactorError, DataError, UsageError
from crypto_refactor.execution.bar_steps import fill_at_open
from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_names import broker_account
from crypto_refactor.trading.account_status import DEMO, LIVE, PAPER, REPLAY, ticker_status
from crypto_refactor.trading.brokers.base import Broker
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.realtime.broker_executor import BrokerExecutor, preflight
from crypto_refactor.trading.realtime.demo_executor import fresh_price
from crypto_refactor.trading.realtime.order_lifecycle import CLOSED_BY_HAND, block_reentry
from crypto_refactor.trading.realtime.trader import ExecutionResult
from crypto_refactor.trading.session import rules_from_snapshot
from crypto_refactor.trading.stepper import SubAccountState

_REALTIME_DEMO = f"{DEMO}alpaca"
_NOTHING = ExecutionResult()


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseResult:
    """What came of closing one ticker.

    Attributes
    ----------
    ticker : Ticker
        Which.
    done : ExecutionResult
        What was executed at once, and what a person should know.
    held : SubAccount or None
        The sub-account afterwards; None where there is none.
    waiting : bool
        Whether an exit waits for the next open.
    error : CryptoRefactorError or None
        Why it, or a part of it, was not closed.
    """

    ticker: Ticker
    done: ExecutionResult = _NOTHING
    held: SubAccount | None = None
    waiting: bool = False
    error: CryptoRefactorError | None = None


Close = Callable[[Ticker], CloseResult]
"""Closes one ticker of one account."""


def is_at_broker(account: str) -> bool:
    """Return whether an account lies at a broker."""
    return account.startswith((PAPER, LIVE))


def is_realtime_demo(account: str) -> bool:
    """Return whether an account is the demo account that fills at once."""
    return account == _REALTIME_DEMO


def require_closable(account: str) -> None:
    """Insist that an account has a next open.

    Raises
    ------
    UsageError
        If it is a replay.
    """
    if account.startswith(REPLAY):
        raise UsageError(
            f"{account} is a replay: what it holds was sold, or marked, in the past.",
            expected="a demo account, or one at Alpaca.",
            remedy="name the account with --account; `crypto-refactor status` lists them.",
        )


def closable(ledger: Ledger, account: str, asked: Iterable[Ticker] | None) -> tuple[Ticker, ...]:
    """Return the tickers that hold something to close, or may: an order or an entry is still to be settled.

    Parameters
    ----------
    ledger : Ledger
        Where the account lives.
    account : str
        Its name.
    asked : iterable of Ticker or None
        Only these; None for all.
    """
    holdings = ledger.states(account)
    return tuple(
        ticker
        for ticker in (holdings if asked is None else asked)
        if ticker in holdings
        and (
            holdings[ticker].account.side
            or holdings[ticker].pending
            or ledger.orders(account, ticker, unsettled=True)
        )
    )


def close_all(state: Path, account: str, tickers: Iterable[Ticker], close: Close) -> list[CloseResult]:
    """Close one ticker after the other; the trouble of one does not hold up the next.

    Parameters
    ----------
    state : Path
        The state folder, for locks.
    account : str
        Name of the account.
    tickers : iterable of Ticker
        What to close.
    close : callable
        Closes one of them; called while its sub-account is locked.
    """
    found = []
    for ticker in tickers:
        try:
            with locked(state, account, ticker):
                found.append(close(ticker))
        except CryptoRefactorError as error:
            found.append(CloseResult(ticker=ticker, error=error))
    return found


def close_at_next_open(ledger: Ledger, account: str) -> Close:
    """Return how the demo account of bars that have passed is closed: the next run fills at the next open."""

    def close(ticker: Ticker) -> CloseResult:
        # Nobody else can write meanwhile, so what is read here is what is replaced.
        with ledger.transaction(account, ticker) as writer:
            holding = _holding(ledger, account, ticker)
            left = _leaving(holding)
            writer.save_state(left)
        return CloseResult(ticker=ticker, held=left.account, waiting=bool(left.pending))

    return close


def _leaving(holding: SubAccountState) -> SubAccountState:
    """Return the sub-account with nothing pending but an exit, and kept out of the side it was on or about."""
    side = holding.account.side
    about = side or next((each.side for each in holding.pending if isinstance(each, Enter)), 0)
    account = holding.account._replace(stopped_side=about or holding.account.stopped_side)
    return replace(holding, account=account, pending=(Exit(CLOSED_BY_HAND),) if side else ())


def close_immediately(ledger: Ledger, row: AccountRow, source: Source) -> Close:
    """Return how the demo account of real time is closed: the execution code fills at the latest price."""

    def close(ticker: Ticker) -> CloseResult:
        if not _holding(ledger, row.name, ticker).account.side:
            return CloseResult(ticker=ticker)
        hour, price = price_now(source, ticker)
        rules = rules_from_snapshot(row.about, ticker)
        with ledger.transaction(row.name, ticker) as writer:
            holding = _holding(ledger, row.name, ticker)
            leave = (Exit(CLOSED_BY_HAND),)
            outcome = fill_at_open(holding.account, leave, price, hour, adjacent=True, rules=rules)
            account = outcome.account
            for trade in outcome.trades:
                account = block_reentry(account, trade)
            writer.record_fills(outcome.fills, outcome.trades)
            writer.save_state(replace(holding, account=account, pending=()))
        return _closed(ticker, ExecutionResult(fills=outcome.fills, trades=outcome.trades), account)

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
    """Return how an account at a broker is closed: by market orders for what the ledger has opened.

    Parameters
    ----------
    ledger : Ledger
        Where the account lives.
    row : AccountRow
        The account.
    broker : Broker
        Where orders go.
    source : Source
        Knows the latest price.
    clock : callable
        Returns the aware local time.
    sleep : callable
        Waits for so many seconds.

    Raises
    ------
    BrokerError
        If the keys belong to another account, or this one accepts no orders.
    """
    require_same_account(broker, row.name)
    executor = BrokerExecutor(broker, ledger, row.name, clock=clock, sleep=sleep)
    executor.state = preflight(broker, ledger, row.name, {})

    def close(ticker: Ticker) -> CloseResult:
        rules = rules_from_snapshot(row.about, ticker, stated=broker.venue_rules(ticker))
        price, notes = _price_at_broker(ledger, row.name, source, ticker)
        with deferred_interrupts():
            done = executor.close(ticker, floor_hour(clock()), price, rules)
        account = _holding(ledger, row.name, ticker).account
        return _closed(ticker, done + ExecutionResult(notes=notes), account)

    return close


def require_same_account(broker: Broker, account: str) -> None:
    """Insist that the broker answers for the account of the ledger.

    Raises
    ------
    BrokerError
        If the keys belong to another account, or it cannot be asked.
    """
    theirs = broker_account(broker.account().account_id, paper=account.startswith(PAPER))
    if theirs != account:
        raise BrokerError(
            f"The keys belong to {theirs}, and {account} was to be closed.",
            expected="the keys of the account that holds the positions.",
            remedy="set ALPACA_API_KEY and ALPACA_SECRET_KEY of that account, or name another with --account.",
        )


def price_now(source: Source, ticker: Ticker) -> tuple[int, float]:
    """Return the last full hour and the latest price.

    Raises
    ------
    DataError
        If the source cannot be asked.
    """
    hour = source.now(ticker)
    bars = source.bars(ticker, hour - MAX_FILLED_GAP_HOURS, hour)
    return hour, fresh_price(source, ticker, int(bars.closed[-1]), float(bars.close[-1]))


def _price_at_broker(
    ledger: Ledger, account: str, source: Source, ticker: Ticker
) -> tuple[float, tuple[str, ...]]:
    """Return the price to reckon with; the order itself fills at the broker's, whatever this is."""
    try:
        return price_now(source, ticker)[1], ()
    except DataError as error:
        part = ticker_status(ledger, account, ticker)
        if not part.price:
            raise
        note = f"{error.what} The last close of the ledger, {part.price:.8g}, stood in for the latest price."
        return part.price, (note,)


def _closed(ticker: Ticker, done: ExecutionResult, account: SubAccount) -> CloseResult:
    if not account.side:
        return CloseResult(ticker=ticker, done=done, held=account)
    why = " ".join(f"{note}." for note in done.notes) or "The order was not, or not wholly, filled."
    error = BrokerError(
        f"{abs(account.quantity):.9g} {ticker.base} are still held. {why}",
        expected="all of it to be sold.",
        remedy="run the command again, or look at the account at the broker.",
    )
    return CloseResult(ticker=ticker, done=done, held=account, error=error)


def _holding(ledger: Ledger, account: str, ticker: Ticker) -> SubAccountState:
    holding = ledger.state(account, ticker)
    assert holding is not None, "closed only where the ledger has it"
    return holding
