"""What became of forecasts: each beside the close that it was about."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import ForecastRecord

_SAME_CLOSE = 0.01
"""Up to which fraction a source may have revised the close that a forecast was made from."""


class Fate(StrEnum):
    """What became of a forecast."""

    SCORED = "scored"
    WAITING = "waiting"  # no later bar is known
    UNSCORED = (
        "unscored"  # later bars are known, but not this close: a gap, a jump, or an hour the ledger missed
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RealisedForecast:
    """A forecast and the close it was about, None where it is not known."""

    ticker: Ticker
    record: ForecastRecord
    outcome: float | None
    fate: Fate

    @property
    def forecast(self) -> float:
        """The forecast as a log return."""
        return math.log(self.record.predicted / self.record.close)

    @property
    def realised(self) -> float | None:
        """The log return that came true."""
        return None if self.outcome is None else math.log(self.outcome / self.record.close)

    @property
    def states_direction(self) -> bool:
        """Whether it states more than a coin toss."""
        return self.record.confidence > 0.5 and self.forecast != 0

    @property
    def right(self) -> bool | None:
        """Whether the direction came true; None without a direction, or where the close has not moved."""
        return None if not self.realised or not self.forecast else self.forecast * self.realised > 0

    @property
    def after_the_fact(self) -> bool:
        """Whether it was made when its outcome could be known, as in a replay."""
        # Both are UTC and begin alike, so their texts compare as their times do.
        return self.record.made_at[:19] >= to_iso(self.record.bar + 1)[:19]


def realise(
    ticker: Ticker, forecasts: Sequence[ForecastRecord], bars: Bars | None = None
) -> tuple[RealisedForecast, ...]:
    """Return what became of the forecasts of one ticker.

    Parameters
    ----------
    ticker : Ticker
        Of the forecasts.
    forecasts : sequence of ForecastRecord
        In the order of their closes.  A forecast made an hour after another knows how that one ended.
    bars : Bars, optional
        Real bars as quoted, for what the forecasts themselves do not know.
    """
    known = {forecast.bar: forecast.close for forecast in forecasts}
    closes: Mapping[int, float] = {} if bars is None else _settled_closes(bars)
    last = max([*known, *closes], default=0)
    found = []
    for forecast in forecasts:
        target = forecast.bar + 1
        outcome = known.get(target)
        if outcome is None and _is_same(closes.get(forecast.bar), forecast.close):
            outcome = closes.get(target)
        fate = Fate.WAITING if target > last else Fate.UNSCORED
        if outcome is not None:
            fate = Fate.SCORED
        found.append(RealisedForecast(ticker=ticker, record=forecast, outcome=outcome, fate=fate))
    return tuple(found)


def _settled_closes(bars: Bars) -> dict[int, float]:
    """Return the closes that do not jump, in the units in which the ticker is quoted now."""
    settled = trusted(bars, "last")
    rows = zip(settled.closed.tolist(), settled.close.tolist(), settled.held.tolist(), strict=True)
    return {closed: close for closed, close, held in rows if not held}


def _is_same(quoted: float | None, close: float) -> bool:
    """Whether a source quotes the close that a forecast was made from, in the same units."""
    return quoted is not None and abs(quoted / close - 1) <= _SAME_CLOSE
