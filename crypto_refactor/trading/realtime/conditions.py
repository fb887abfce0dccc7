"""Conditions that last for hours: said when they begin and when they end."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.market.ticker import Ticker

_DIGITS = re.compile(r"[\d.,:-]*\d")


@dataclass(frozen=True, slots=True)
class _Condition:
    kind: str  # equal for the same condition an hour later
    error: CryptoRefactorError
    since: datetime


class Conditions:
    """Why tickers are not traded, and since when."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lasting: dict[Ticker, _Condition] = {}

    def begin(self, ticker: Ticker, error: CryptoRefactorError) -> bool:
        """Note why `ticker` failed; whether that is another reason than before."""
        # Stamps, prices and status codes may differ from hour to hour: the condition is the same.
        kind = f"{type(error).__name__} {_DIGITS.sub('#', error.what)}"
        before = self._lasting.get(ticker)
        if before is not None and before.kind == kind:
            return False
        self._lasting[ticker] = _Condition(kind, error, self._clock())
        return True

    def end(self, ticker: Ticker) -> tuple[CryptoRefactorError, str] | None:
        """Return what no longer keeps `ticker` from being traded, and how long it did; None if nothing did."""
        condition = self._lasting.pop(ticker, None)
        if condition is None:
            return None
        return condition.error, duration(self._clock() - condition.since)

    def lasts(self, ticker: Ticker) -> bool:
        """Whether something has kept `ticker` from being traded."""
        return ticker in self._lasting

    @property
    def tickers(self) -> tuple[Ticker, ...]:
        """The tickers that something keeps from being traded."""
        return tuple(self._lasting)


def duration(lasted: timedelta) -> str:
    """Return a duration as people read it: ``2 h 05 min``."""
    minutes = max(round(lasted.total_seconds() / 60), 0)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
