"""The status of an account, read from the ledger alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crypto_refactor.errors import BrokerError, UsageError
from crypto_refactor.execution.sub_account import SubAccount, Trade, mark_open
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.sources.folder_source import source_option
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_names import DEMO, LIVE, REPLAY
from crypto_refactor.trading.kill_switch import halt_reason
from crypto_refactor.trading.ledger import AccountRow, Ledger, Opening, OrderRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerStatus:
    """One ticker's part of an account.

    Attributes
    ----------
    marked_at : int
        Close of the last bar whose equity was recorded.
    price : float
        Of the base currency then; the last fill's where the ledger records no other.
    decision : dict or None
        The last one, as recorded.
    pending : tuple of str
        Decisions that fill at the next open, in words.
    unsettled : tuple of OrderRecord
        Orders whose final state is unknown.
    """

    ticker: Ticker
    account: SubAccount
    opening: Opening
    marked_at: int
    price: float
    decision: dict[str, Any] | None
    pending: tuple[str, ...]
    unsettled: tuple[OrderRecord, ...]

    @property
    def equity(self) -> float:
        """Cash plus the position's value at `price`."""
        return self.account.equity(self.price)

    @property
    def open_trade(self) -> Trade | None:
        """The open position as a trade that is marked and not closed."""
        return mark_open(self.account, self.price, self.marked_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """One account of the ledger.

    `others` names the other accounts, the last traded first, and `simulated_others` those of them that trade the bundled
    simulation; `halt` says since when and why entries are halted in every account that trades as time passes.
    """

    row: AccountRow
    tickers: tuple[TickerStatus, ...]
    others: tuple[str, ...]
    simulated_others: tuple[str, ...]
    halt: str | None

    @property
    def simulated(self) -> bool:
        """Whether it trades the bundled simulation."""
        return is_simulated(self.row)

    @property
    def cash(self) -> float:
        """Cash of all sub-accounts."""
        return sum(status.account.cash for status in self.tickers)

    @property
    def opened_with(self) -> float:
        """Opening balances of all sub-accounts."""
        return sum(status.opening.balance for status in self.tickers)

    @property
    def equity(self) -> float:
        """Equity of all sub-accounts, each at its own last mark."""
        return sum(status.equity for status in self.tickers)


def is_simulated(row: AccountRow) -> bool:
    """Return whether an account trades the bundled simulation."""
    return row.about.get("source") == SAMPLE or row.name == f"{DEMO}{SAMPLE}"


def marked_name(row: AccountRow) -> str:
    """Return the name of an account as a list of accounts shows it."""
    return f"{row.name} (SIMULATED)" if is_simulated(row) else row.name


def accounts_of(state: Path, ledger: Ledger) -> tuple[AccountRow, ...]:
    """Return every account, the last traded first, without creating a ledger where there is none.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    if not state.is_dir() or not ledger.path.exists():
        return ()
    return ledger.accounts()


def select_account(
    rows: Sequence[AccountRow], *, name: str | None = None, live: bool = False, source: str | None = None
) -> AccountRow:
    """Return the first account with this name, this kind and this source of bars; None matches all.

    A replay is meant only where no other account matches, or by its name.

    Raises
    ------
    UsageError
        If the options contradict each other.
    BrokerError
        If there is no such account.
    """
    if live and name is not None and not name.startswith(LIVE):
        raise UsageError(
            f"--live was given, and {name} is no live account.",
            expected=f"an account whose name begins with {LIVE}.",
            remedy="leave out --live, or name another account.",
        )
    for row in sorted(rows, key=lambda row: row.name.startswith(REPLAY)):
        if (
            name in {None, row.name}
            and (not live or row.name.startswith(LIVE))
            and (source is None or source in _names(row))
        ):
            return row
    description = name or ("live" if live else f"traded on bars from {source}")
    expected = "one of " + ", ".join(map(marked_name, rows)) if rows else "an account that was traded"
    raise BrokerError(
        f"The ledger has no account {description}.",
        expected=f"{expected}.",
        remedy="name one with --account, or trade in it first; --state-dir chooses another ledger.",
    )


def _names(row: AccountRow) -> tuple[object, str]:
    """Return the source of an account's bars, and what `--source` calls it."""
    name = row.about.get("source")
    return name, source_option(str(name))


def account_status(ledger: Ledger, state: Path, row: AccountRow, rows: Iterable[AccountRow]) -> AccountStatus:
    """Return the status of the account `row`, which is one of `rows`; `state` holds the halt file.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    others = [other for other in rows if other.name != row.name]
    return AccountStatus(
        row=row,
        tickers=tuple(ticker_status(ledger, row.name, ticker) for ticker in ledger.states(row.name)),
        others=tuple(other.name for other in others),
        simulated_others=tuple(other.name for other in others if is_simulated(other)),
        halt=halt_reason(state),
    )


def ticker_status(ledger: Ledger, account: str, ticker: Ticker) -> TickerStatus:
    """Return the status of one sub-account, which is open.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    state, opening = ledger.state(account, ticker), ledger.opening(account, ticker)
    assert state is not None, "called only for sub-accounts of the ledger"
    assert opening is not None, "written together with the state"
    decision = ledger.last_decision(account, ticker)
    marked_at, price = _mark(ledger, account, ticker, state.account, decision)
    return TickerStatus(
        ticker=ticker,
        account=state.account,
        opening=opening,
        marked_at=marked_at,
        price=price,
        decision=decision,
        pending=tuple(decision.text for decision in state.pending),
        unsettled=ledger.orders(account, ticker, unsettled=True),
    )


def _mark(
    ledger: Ledger, account: str, ticker: Ticker, now: SubAccount, decision: dict[str, Any] | None
) -> tuple[int, float]:
    """Return the last bar whose equity was recorded, and the price then."""
    marks = ledger.equity(account, ticker)
    if not marks:
        raise ledger.damaged(f"the equity of {ticker} in {account} is missing")
    bar, equity = marks[-1]
    if decision is not None and decision["bar"] == bar and "close" in decision:
        return bar, float(decision["close"])
    fill = next(reversed(ledger.fills(account, ticker)), None)
    if fill is not None and (fill.at >= bar or not now.side):
        return bar, fill.price
    # Nothing has changed since equity was recorded, so it implies the price; from dust it would not.
    return bar, (equity - now.cash) / now.quantity if now.quantity else now.average_price


def trades_of(status: AccountStatus, ledger: Ledger) -> list[tuple[Ticker, Trade]]:
    """Return every closed trade in the order of exits, then open positions, marked.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    rows = []
    for part in status.tickers:
        rows += [(part.ticker, trade) for trade in ledger.trades(status.row.name, part.ticker)]
        if part.open_trade is not None:
            rows.append((part.ticker, part.open_trade))
    return sorted(rows, key=lambda row: (not row[1].closed, row[1].exit_hour, row[0]))
