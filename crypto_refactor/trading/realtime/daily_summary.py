"""The day of an account in one notice: equity, trades, forecasts, and how well the run itself went."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import ForecastRecord, Ledger
from crypto_refactor.trading.record.realised import realise

_DAY = 24


class SummaryDays:
    """Says which UTC day is to be summarised: the last one that has ended, once.

    A run that begins goes on where the account stopped: a day whose last bars it finds undecided is due at once.
    """

    def __init__(self) -> None:
        self._day: int | None = None

    def begin(self, decided_through: int | None, hour: int) -> None:
        """Begin before the first pass, which is of the bar that closed at `hour`; None where nothing was decided."""
        self._day = (hour if decided_through is None else min(decided_through, hour)) // _DAY

    def due(self, hour: int) -> int | None:
        """Return the day that has ended at `hour`, as a count since 1970; None where it was summarised."""
        return hour // _DAY - 1 if self._day is not None and hour // _DAY > self._day else None

    def done(self, hour: int) -> None:
        """Note that the day before `hour` was summarised."""
        self._day = hour // _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class DailySummary:
    """What the ledger knows of a UTC day, whose bars closed after its midnight and by the next one.

    Attributes
    ----------
    day : str
        ISO-8601.
    equity, equity_before : float
        At the end of the day and at its begin; a sub-account that was opened within it counts with its opening balance.
    fills, trades, won : int
        Fills, closed trades, and those of them with a profit after fees.
    profit : float
        Of these trades, after fees.
    forecasts, right : int
        Forecasts of the day whose bar has closed with another close than before, and those whose direction was right.
    decided, hours : int
        Decisions made, and the bars of the day since the first decision on each ticker.
    """

    day: str
    equity: float
    equity_before: float
    fills: int
    trades: int
    won: int
    profit: float
    forecasts: int
    right: int
    decided: int
    hours: int

    @property
    def change(self) -> float:
        """The change over the day as a fraction."""
        return self.equity / self.equity_before - 1 if self.equity_before else 0.0

    def text(self) -> str:
        """Return the day in one sentence."""
        right = (
            f"{self.right} of {self.forecasts} forecasts right" if self.forecasts else "no forecast scored"
        )
        trades = (
            f"{self.trades} closed ({self.won} won, {self.profit:+,.2f})" if self.trades else "none closed"
        )
        return (
            f"{self.day}: equity {self.equity:,.2f} ({self.change:+.2%}); fills: {self.fills}, trades: {trades}; {right}; "
            f"{self.decided} of {self.hours} bars decided"
        )

    def details(self) -> dict[str, Any]:
        """Return the figures as a notice holds them."""
        return {
            "day": self.day,
            "equity": self.equity,
            "equity_before": self.equity_before,
            "change": self.change,
            "fills": self.fills,
            "trades": self.trades,
            "trades_won": self.won,
            "profit": self.profit,
            "forecasts": self.forecasts,
            "forecasts_right": self.right,
            "decided": self.decided,
            "hours": self.hours,
        }


def decided_through(ledger: Ledger, account: str) -> int | None:
    """Return the close of the last bar that `account` has decided; None where there is none.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    return max((state.processed_through for state in ledger.states(account).values()), default=None)


def summarise(ledger: Ledger, account: str, day: int) -> DailySummary | None:
    """Return the summary of a UTC day, a count since 1970; None where the account had not been opened.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    start, end = day * _DAY, (day + 1) * _DAY
    made = ledger.forecasts(account)
    parts = [
        _part(ledger, account, ticker, made.get(ticker, ()), start, end) for ticker in ledger.states(account)
    ]
    known = [part for part in parts if part is not None]
    if not known:
        return None
    totals = {name: sum(part[name] for part in known) for name in known[0]}
    return DailySummary(day=to_datetime(start).date().isoformat(), **totals)


def _part(
    ledger: Ledger,
    account: str,
    ticker: Ticker,
    made: Sequence[ForecastRecord],
    start: int,
    end: int,
) -> dict[str, Any] | None:
    """Return the share of one sub-account, by the fields of `DailySummary`."""
    marks = [mark for mark in ledger.equity(account, ticker) if mark[0] <= end]
    if not marks:
        return None
    before = [equity for bar, equity in marks if bar <= start] or [marks[0][1]]
    trades = [
        trade for trade in ledger.trades(account, ticker) if start < trade.exit_hour <= end and trade.closed
    ]
    every = ledger.decisions(account, ticker)
    first = every[0]["bar"] if every else end + 1
    decisions = [decision for decision in every if start <= decision["bar"] <= end]
    ended = realise(ticker, [forecast for forecast in made if start <= forecast.bar <= end])
    outcomes = [forecast.right for forecast in ended if forecast.right is not None]
    return {
        "equity": marks[-1][1],
        "equity_before": before[-1],
        "fills": sum(start < fill.at <= end for fill in ledger.fills(account, ticker)),
        "trades": len(trades),
        "won": sum(trade.net_pnl > 0 for trade in trades),
        "profit": math.fsum(trade.net_pnl for trade in trades),
        "forecasts": len(outcomes),
        "right": sum(outcomes),
        "decided": sum(decision["bar"] > start for decision in decisions),
        "hours": end - max(start, min(first - 1, end)),
    }
