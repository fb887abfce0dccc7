"""What an account did, hour by hour, as its ledger records it: the series behind the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.execution.sub_account import Fill, Trade
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_status import AccountStatus, TickerStatus
from crypto_refactor.trading.ledger import ForecastRecord, Ledger, OrderRecord

RECENT_HOURS = 336
"""Price charts reach back this far, so that the page of an old account stays light."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickerHistory:
    """One ticker of an account.

    Attributes
    ----------
    decided : tuple of dict
        Every decision as recorded, in order.
    forecasts : tuple of ForecastRecord
        Every forecast with its interval, in the order of their closes.
    marks : dict of int to float
        Equity of the sub-account by close.
    fills, trades, orders : tuple
        In order; an open position is the last trade, marked and not closed.
    """

    status: TickerStatus
    decided: tuple[dict[str, Any], ...]
    forecasts: tuple[ForecastRecord, ...]
    marks: Mapping[int, float]
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    orders: tuple[OrderRecord, ...]

    @property
    def recent(self) -> tuple[dict[str, Any], ...]:
        """The decisions of the last two weeks that a bar was behind."""
        first = self.status.marked_at - RECENT_HOURS
        return tuple(row for row in self.decided if row["bar"] > first and "close" in row)

    def closes(self) -> dict[int, float]:
        """Return the close by hour, where one was decided on."""
        return {row["bar"]: float(row["close"]) for row in self.decided if "close" in row}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AccountHistory:
    """An account and the equity of all its sub-accounts together.

    Attributes
    ----------
    hours : ndarray of int, shape (n,)
        Closes at which the equity of any sub-account was recorded.
    equity, held : ndarray of float, shape (n,)
        Equity, and what buying with each opening balance at its first close and holding would be worth, before fees; quote
        currency.
        A sub-account counts with its opening balance before it opens, and with its last value between its records.
    """

    status: AccountStatus
    tickers: tuple[TickerHistory, ...]
    hours: HourArray
    equity: FloatArray
    held: FloatArray

    @property
    def quote(self) -> str:
        """The currency of the balances."""
        return " and ".join(sorted({part.status.ticker.quote for part in self.tickers})) or "quote currency"

    def recent_trades(self, count: int) -> list[tuple[Ticker, Trade]]:
        """Return the newest trades, open positions first; amounts that rounding left are none."""
        trades = [
            (part.status.ticker, trade)
            for part in self.tickers
            for trade in part.trades
            if trade.exit_reason != "dust"
        ]
        newest = sorted(trades, key=lambda row: (not row[1].closed, row[1].exit_hour), reverse=True)
        return newest[:count]


def account_history(ledger: Ledger, status: AccountStatus) -> AccountHistory:
    """Read the history of an account.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    made = ledger.forecasts(status.row.name)
    tickers = tuple(
        _ticker_history(ledger, status.row.name, part, made.get(part.ticker, ())) for part in status.tickers
    )
    hours = np.array(sorted({hour for part in tickers for hour in part.marks}), dtype=np.int64)
    zero = np.zeros(len(hours))
    return AccountHistory(
        status=status,
        tickers=tickers,
        hours=hours,
        equity=sum((_at_hours(part.marks, hours, part.status.opening.balance) for part in tickers), zero),
        held=sum((_held(part, hours) for part in tickers), zero),
    )


def _ticker_history(
    ledger: Ledger, account: str, status: TickerStatus, made: Sequence[ForecastRecord]
) -> TickerHistory:
    ticker, open_trade = status.ticker, status.open_trade
    return TickerHistory(
        status=status,
        decided=tuple(ledger.decisions(account, ticker)),
        forecasts=tuple(made),
        marks=dict(ledger.equity(account, ticker)),
        fills=ledger.fills(account, ticker),
        trades=ledger.trades(account, ticker) + (() if open_trade is None else (open_trade,)),
        orders=ledger.orders(account, ticker),
    )


def _held(part: TickerHistory, hours: HourArray) -> FloatArray:
    """Return the worth of holding from the first close on; the opening balance where no close is known."""
    balance, closes = part.status.opening.balance, part.closes()
    if not closes:
        return np.full(len(hours), balance)
    first = next(iter(closes.values()))
    return _at_hours({hour: balance * close / first for hour, close in closes.items()}, hours, balance)


def _at_hours(values: Mapping[int, float], hours: Sequence[int] | HourArray, before: float) -> FloatArray:
    """Return the last value known at each hour, `before` where there is none yet."""
    known = np.fromiter(values, dtype=np.int64, count=len(values))
    amounts = np.array([before, *values.values()], dtype=np.float64)
    return np.asarray(amounts[np.searchsorted(known, hours, side="right")], dtype=np.float64)
