"""An account as it stands: what the ledger says of it, without asking anybody else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crypto_refactor.errors import BrokerError, UsageError
from crypto_refactor.execution.sub_account import SubAccount, Trade, mark_open
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.explanations import describe_decision
from crypto_refactor.trading.kill_switch import halted
from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger, Opening
from crypto_refactor.trading.ledger.order_record import OrderRecord

DEMO, PAPER, LIVE, REPLAY = "demo/", "paper/", "live/", "replay/"
"""Beginnings of the names of accounts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerStatus:
    """One ticker's part of an account.

    Attributes
    ----------
    ticker : Ticker
        Which.
    account : SubAccount
        Cash, position and memory, as of now.
    opening : Opening
        What it was opened with, and when.
    marked_at : int
        Close of the last bar whose equity was recorded.
    price : float
        Of the base currency then; the last fill's where the ledger does not tell.
    decision : dict or None
        The last one, as it was recorded.
    pending : tuple of str
        Decided and to be filled at the next open, in words.
    unsettled : tuple of OrderRecord
        Orders whose end is not known.
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
    def held(self) -> Trade | None:
        """What is still held, as a trade that is marked and not closed."""
        return mark_open(self.account, self.price, self.marked_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountStatus:
    """One account of the ledger.

    Attributes
    ----------
    row : AccountRow
        Its name, and what it was last traded with.
    parts : tuple of TickerStatus
        By ticker.
    others : tuple of str
        Names of the other accounts, the one traded last first.
    halt : str or None
        Why entries are halted in every account that trades as time passes.
    """

    row: AccountRow
    parts: tuple[TickerStatus, ...]
    others: tuple[str, ...]
    halt: str | None

    @property
    def simulated(self) -> bool:
        """Whether it trades the bundled simulation."""
        return is_simulated(self.row)

    @property
    def cash(self) -> float:
        """Of all sub-accounts."""
        return sum(part.account.cash for part in self.parts)

    @property
    def opened_with(self) -> float:
        """Of all sub-accounts."""
        return sum(part.opening.balance for part in self.parts)

    @property
    def equity(self) -> float:
        """Of all sub-accounts, each at its own last mark."""
        return sum(part.equity for part in self.parts)


def is_simulated(row: AccountRow) -> bool:
    """Return whether an account trades the bundled simulation."""
    return row.about.get("source") == SAMPLE or row.name == f"{DEMO}{SAMPLE}"


def accounts_of(state: Path, ledger: Ledger) -> tuple[AccountRow, ...]:
    """Return every account, the one traded last first, without making a ledger where there is none.

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
    """Return the account asked for; of several, the one traded last.

    Parameters
    ----------
    rows : sequence of AccountRow
        Every account, the one traded last first.
    name : str, optional
        Its name.
    live : bool
        Whether it trades real money.
    source : str, optional
        Where its bars come from.

    Raises
    ------
    UsageError
        If what is asked for contradicts itself.
    BrokerError
        If there is no such account.
    """
    if live and name is not None and not name.startswith(LIVE):
        raise UsageError(
            f"--live was given, and {name} is no live account.",
            expected=f"an account whose name begins with {LIVE}.",
            remedy="leave out --live, or name another account.",
        )
    for row in rows:
        if (
            name in {None, row.name}
            and (not live or row.name.startswith(LIVE))
            and source in {None, row.about.get("source")}
        ):
            return row
    asked = name or ("live" if live else f"traded on bars from {source}")
    raise BrokerError(
        f"The ledger has no account {asked}.",
        expected=("one of " + ", ".join(row.name for row in rows) if rows else "an account that was traded")
        + ".",
        remedy="name one with --account, or trade in it first; --state-dir chooses another ledger.",
    )


def account_status(ledger: Ledger, state: Path, row: AccountRow, rows: Iterable[AccountRow]) -> AccountStatus:
    """Look at one account.

    Parameters
    ----------
    ledger : Ledger
        Where it lives.
    state : Path
        The state folder, for the halt file.
    row : AccountRow
        The account.
    rows : iterable of AccountRow
        All of them.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    return AccountStatus(
        row=row,
        parts=tuple(ticker_status(ledger, row.name, ticker) for ticker in ledger.states(row.name)),
        others=tuple(other.name for other in rows if other.name != row.name),
        halt=halted(state),
    )


def ticker_status(ledger: Ledger, account: str, ticker: Ticker) -> TickerStatus:
    """Look at one sub-account, which is open.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    holding, opening = ledger.state(account, ticker), ledger.opening(account, ticker)
    assert holding is not None, "asked for only where the ledger has it"
    assert opening is not None, "written together with the holding"
    decision = next(reversed(ledger.decisions(account, ticker)), None)
    marked_at, price = _mark(ledger, account, ticker, holding.account, decision)
    return TickerStatus(
        ticker=ticker,
        account=holding.account,
        opening=opening,
        marked_at=marked_at,
        price=price,
        decision=decision,
        pending=tuple(map(describe_decision, holding.pending)),
        unsettled=ledger.orders(account, ticker, unsettled=True),
    )


def _mark(
    ledger: Ledger, account: str, ticker: Ticker, now: SubAccount, decision: dict[str, Any] | None
) -> tuple[int, float]:
    """Return the bar whose equity was recorded last, and the price then."""
    bar, equity = ledger.equity(account, ticker)[-1]
    if decision is not None and decision["bar"] == bar and "close" in decision:
        return bar, float(decision["close"])
    last = next(reversed(ledger.fills(account, ticker)), None)
    if last is not None and (last.at >= bar or not now.side):
        return bar, last.price
    # Nothing has changed since equity was recorded, so it tells the price; of dust it would tell nothing.
    return bar, (equity - now.cash) / now.quantity if now.quantity else now.average_price


def trades_of(overview: AccountStatus, ledger: Ledger) -> list[tuple[Ticker, Trade]]:
    """Return every closed trade in the order of exits, then what is still held, marked.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    rows = [(part.ticker, trade) for part in overview.parts for trade in _trades(part, overview, ledger)]
    return sorted(rows, key=lambda row: (not row[1].closed, row[1].exited, row[0]))


def _trades(part: TickerStatus, overview: AccountStatus, ledger: Ledger) -> tuple[Trade, ...]:
    closed = ledger.trades(overview.row.name, part.ticker)
    return closed if part.held is None else (*closed, part.held)
