"""What one pass found and did for one ticker."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Self

from crypto_refactor.errors import CryptoRefactorError, KeysRefusedError, UnavailableError, UsageError
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import NotTradedError
from crypto_refactor.trading.decider import ModelDecision
from crypto_refactor.trading.ledger import OrderRecord


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickerOutcome:
    """One ticker at one bar.

    Attributes
    ----------
    account : str or None
        Name of the account; None where nothing is traded.
    bar : int
        Close of the bar, hours since 1970.
    decision : ModelDecision or None
        None where the model was not consulted.
    target : int or None
        The target side; None where nothing was decided.
    orders : tuple of OrderRecord
        Orders sent to a broker, in their final state.
    fills, trades : tuple
        Executed in this pass.
    sub_account : SubAccount or None
        The sub-account after the pass.
    pending : tuple of str
        Decisions that fill at the next open, in words.
    price : float
        Close of the bar.
    acted : bool
        Whether this pass made the account's decision for this bar.
    late : bool
        Whether that was more than ten minutes after the close.
    newly_halted : bool
        Whether the drawdown halted entries at this bar.
    reason : str
        One sentence on why.
    notes : tuple of str
        Anything else worth knowing.
    """

    ticker: Ticker
    simulated: bool
    account: str | None
    bar: int
    decision: ModelDecision | None = None
    target: int | None = None
    orders: tuple[OrderRecord, ...] = ()
    fills: tuple[Fill, ...] = ()
    trades: tuple[Trade, ...] = ()
    sub_account: SubAccount | None = None
    pending: tuple[str, ...] = ()
    price: float
    acted: bool = False
    late: bool = False
    newly_halted: bool = False
    reason: str
    notes: tuple[str, ...] = ()

    @classmethod
    def at_bar(cls, bars: Bars, hour: int, account: str | None, reason: str) -> Self:
        """Return an outcome in which nothing was decided or executed at the last of `bars`."""
        return cls(
            ticker=bars.ticker,
            simulated=bars.simulated,
            account=account,
            bar=hour,
            price=float(bars.close[-1]),
            reason=reason,
        )

    @property
    def equity(self) -> float | None:
        """Equity of the sub-account at the bar's close, quote currency."""
        return None if self.sub_account is None else self.sub_account.equity(self.price)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A ticker for which a pass ended in an error.

    Attributes
    ----------
    also : tuple of Ticker
        Further tickers that failed for the same reason, where one row stands for them all.
    """

    ticker: Ticker
    error: CryptoRefactorError
    also: tuple[Ticker, ...] = ()

    @property
    def tickers(self) -> tuple[Ticker, ...]:
        """Every ticker that the row stands for."""
        return self.ticker, *self.also


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """A listed ticker that the source or the venue does not offer."""

    ticker: Ticker
    why: str


TickerRow = TickerOutcome | Failure | Unavailable
"""The result of a pass for one ticker."""


def failed_together(rows: Iterable[TickerRow]) -> list[TickerRow]:
    """Return `rows` with one row for neighbours that failed for the same reason, one that names no ticker."""
    merged: list[TickerRow] = []
    for row in rows:
        last = merged[-1] if merged else None
        if isinstance(row, Failure) and isinstance(last, Failure) and row.error.what == last.error.what:
            merged[-1] = replace(last, also=last.also + row.tickers)
        else:
            merged.append(row)
    return merged


def is_unavailable(error: CryptoRefactorError) -> bool:
    """Whether an error means that the source or the venue does not offer the ticker."""
    return isinstance(error, UnavailableError | NotTradedError)


def is_hopeless(error: CryptoRefactorError) -> bool:
    """Whether time mends nothing: the command line or the keys are wrong."""
    return isinstance(error, UsageError | KeysRefusedError)


def error_row(ticker: Ticker, error: CryptoRefactorError, *, explicitly_requested: bool) -> TickerRow:
    """Return the row for an error; an unavailable ticker is a failure only if it was requested by name."""
    if is_unavailable(error) and not explicitly_requested:
        return Unavailable(ticker=ticker, why=error.what)
    return Failure(ticker=ticker, error=error)
