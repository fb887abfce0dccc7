"""What a reconciliation found: both equities hour by hour, the causes with their money, and what has no cause."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.reconciliation.causes import Cause, CauseHour, CauseMoney

CENT = 0.005
"""Money below half a cent is rounding, quote currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HourSide:
    """One side of an hour: what was said, aimed at, held and filled; None where there was nothing.

    `signal` and `target` are sides (1, 0, -1), `held` is the side before the decision, `price` the average of the
    decision's fills, `quantity` their signed sum in the base currency.
    """

    equity: float | None
    signal: int | None
    target: int | None
    held: int | None
    price: float | None
    quantity: float | None
    model: str | None
    bars: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HourRow:
    """One hour of one ticker, named by the close of its bar, on both sides; `causes` were at work in it."""

    ticker: Ticker
    hour: int
    close: float | None
    backtest: HourSide
    account: HourSide
    causes: tuple[Cause, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TickerReconciliation:
    """One sub-account against its backtest, from the close `first` to the close `end`.

    Attributes
    ----------
    since_opening : bool
        Whether that is its whole life.
    start : float
        Equity at `first`, both sides', quote currency.
    backtest, account : float
        Equity at `end`.
    causes : tuple of CauseMoney
        Those that were at work or moved money, in the order of substitution.
    unexplained : float
        What no cause explains of the difference, quote currency.
    unexplained_since : int or None
        The first close at which something is unexplained, even if it vanishes later.
    rows : tuple of HourRow
        Every hour.
    extra_coins : float
        Coins that the account has beyond the ledger because fees were lower than assumed.
    trained : int
        Models that were trained again.
    """

    ticker: Ticker
    first: int
    end: int
    since_opening: bool
    start: float
    backtest: float
    account: float
    causes: tuple[CauseMoney, ...]
    unexplained: float
    unexplained_since: int | None
    rows: tuple[HourRow, ...]
    extra_coins: float
    trained: int

    @property
    def explained(self) -> bool:
        """Whether every difference has a cause, to the cent and at every hour."""
        return self.unexplained_since is None


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityComparison:
    """An account against its reconciled backtest, for whoever draws it.

    Attributes
    ----------
    hours : tuple of int
        Closes, hours since 1970, in order.
    backtest, account : tuple of float
        Equity of all reconciled sub-accounts at each of `hours`, quote currency.
    causes : tuple of CauseMoney
        Of all tickers together, in the order of substitution.
    unexplained : float
        What has no cause, quote currency.
    """

    hours: tuple[int, ...]
    backtest: tuple[float, ...]
    account: tuple[float, ...]
    causes: tuple[CauseMoney, ...]
    unexplained: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReconciliation:
    """An account against its backtest.

    `missing` names what could not be compared, by ticker or, under "fees", for all, with the reason; `notes` are for people.
    """

    account: str
    simulated: bool
    tickers: tuple[TickerReconciliation, ...]
    missing: Mapping[str, str]
    notes: tuple[str, ...]

    @property
    def start(self) -> float:
        """Equity of both sides at the start, quote currency."""
        return sum(part.start for part in self.tickers)

    @property
    def backtest_return(self) -> float:
        """Return of the backtest, as a fraction; 0 without a sub-account."""
        return self._return(sum(part.backtest for part in self.tickers))

    @property
    def account_return(self) -> float:
        """Return of the account, as a fraction; 0 without a sub-account."""
        return self._return(sum(part.account for part in self.tickers))

    def _return(self, equity: float) -> float:
        return equity / self.start - 1 if self.start else 0.0

    @property
    def unexplained(self) -> float:
        """What no cause explains, quote currency."""
        return sum(part.unexplained for part in self.tickers)

    @property
    def explained(self) -> bool:
        """Whether every difference of every ticker has a cause."""
        return all(part.explained for part in self.tickers)

    @property
    def unanswered(self) -> bool:
        """Whether something could not be compared because a source, a model or the broker gave no answer."""
        return bool(self.missing)

    @property
    def causes(self) -> tuple[CauseMoney, ...]:
        """The causes of all tickers together, in the order of substitution."""
        found = []
        for cause in Cause:
            parts = [each for part in self.tickers for each in part.causes if each.cause is cause]
            hours = tuple(sorted((hour for part in parts for hour in part.hours), key=lambda each: each.hour))
            if parts:
                found.append(CauseMoney(cause=cause, money=sum(part.money for part in parts), hours=hours))
        return tuple(found)

    def hours_of(self, cause: Cause) -> list[tuple[Ticker, CauseHour]]:
        """Return the hours in which a cause was at work, with their tickers, in order."""
        hours = [
            (part.ticker, hour)
            for part in self.tickers
            for each in part.causes
            if each.cause is cause
            for hour in each.hours
        ]
        return sorted(hours, key=lambda item: (item[1].hour, item[0]))

    def comparison(self) -> EquityComparison:
        """Return both equities of the whole account hour by hour: what a page draws.

        A sub-account counts with its start before its first hour, and with its last equity after its end.
        """
        hours = sorted(
            {hour for part in self.tickers for hour in (part.first, *(row.hour for row in part.rows))}
        )
        sides = {name: [0.0] * len(hours) for name in ("backtest", "account")}
        for part in self.tickers:
            rows = {row.hour: row for row in part.rows}
            for name, sums in sides.items():
                value = part.start
                for place, hour in enumerate(hours):
                    if hour in rows:
                        value = getattr(rows[hour], name).equity if hour > part.first else value
                    sums[place] += value
        return EquityComparison(
            hours=tuple(hours),
            backtest=tuple(sides["backtest"]),
            account=tuple(sides["account"]),
            causes=self.causes,
            unexplained=self.unexplained,
        )


def as_plain(side: HourSide) -> dict[str, Any]:
    """Return one side of an hour as JSON and CSV show it."""
    return {name: getattr(side, name) for name in HourSide.__slots__}
