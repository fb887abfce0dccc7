"""The record of a series of forecasts: of an account, or of a model that forecasts without one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import ForecastRecord, Ledger
from crypto_refactor.trading.record.martingales import by_hour, detect_change, overstatement_bets
from crypto_refactor.trading.record.realised import Fate, RealisedForecast, realise
from crypto_refactor.trading.record.scores import Score, ScoredForecasts, ScoreGroup, score, scores_by

RECENT = 200
"""How many forecasts the one line of a record is about."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SeriesRecord:
    """Every forecast of a series, and how good they were.

    Attributes
    ----------
    series : str
        Name of the account, or of the model and the source of its bars.
    forecasts : tuple of RealisedForecast
        In the order of their closes.
    scored : ScoredForecasts
        Those whose outcome is known.
    alarms : tuple of int
        Closes at which stated confidence was found not to come true, in hours since 1970.
    detector : float
        The detector now; it raises an alarm at `martingales.ALARM`.
    """

    series: str
    forecasts: tuple[RealisedForecast, ...]
    scored: ScoredForecasts
    alarms: tuple[int, ...]
    detector: float

    @cached_property
    def score(self) -> Score:
        """The score of all scored forecasts."""
        return score(self.scored)

    @cached_property
    def recent(self) -> Score:
        """The score of the last 200."""
        return score(self.scored[slice(-RECENT, None)])

    @cached_property
    def by_ticker(self) -> tuple[ScoreGroup, ...]:
        """The score of each ticker, by name."""
        groups = scores_by(self.scored, self.scored.tickers)
        return tuple(sorted(groups, key=lambda group: group.name))

    @cached_property
    def by_model(self) -> tuple[ScoreGroup, ...]:
        """The score of each model, by the fingerprint of its weights, the earliest first."""
        return scores_by(self.scored, self.scored.models)

    @cached_property
    def by_month(self) -> tuple[ScoreGroup, ...]:
        """The score of each month of closes, ``2024-06``."""
        return scores_by(self.scored, self.scored.months)

    @property
    def alarmed_at(self) -> int | None:
        """The close of the last alarm, None without one."""
        return self.alarms[-1] if self.alarms else None

    @property
    def waiting(self) -> int:
        """Forecasts whose bar has not closed yet, as far as is known."""
        return self._count(Fate.WAITING)

    @property
    def unscored(self) -> int:
        """Forecasts about an hour without a close that is known and no jump."""
        return self._count(Fate.UNSCORED)

    @property
    def after_the_fact(self) -> int:
        """Forecasts that were made when their outcome could be known, as in a replay."""
        return sum(row.after_the_fact for row in self.forecasts)

    def _count(self, fate: Fate) -> int:
        return sum(row.fate is fate for row in self.forecasts)


def series_record(
    series: str,
    forecasts: Mapping[Ticker, Sequence[ForecastRecord]],
    bars: Mapping[Ticker, Bars] | None = None,
) -> SeriesRecord:
    """Score the forecasts of a series.

    Parameters
    ----------
    series : str
        Its name.
    forecasts : mapping
        The forecasts of each ticker, in the order of their closes.
    bars : mapping, optional
        Real bars as quoted, for closes that the forecasts themselves do not know (see `realised.realise`).
    """
    bars = bars or {}
    rows = [row for ticker, made in forecasts.items() for row in realise(ticker, made, bars.get(ticker))]
    rows.sort(key=lambda row: row.record.bar)
    scored = ScoredForecasts.of(rows)
    alarms, detector = _alarms(scored)
    return SeriesRecord(series=series, forecasts=tuple(rows), scored=scored, alarms=alarms, detector=detector)


def account_record(
    ledger: Ledger, account: str, bars: Mapping[Ticker, Bars] | None = None
) -> SeriesRecord | None:
    """Return the record of an account, or of another series of the ledger; None without a forecast.

    Reads the ledger alone, which knows the outcome of every forecast that was followed by another an hour later; `bars` add
    what it does not know (see `series_record`).

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    """
    forecasts = ledger.forecasts(account)
    return series_record(account, forecasts, bars) if forecasts else None


def _alarms(scored: ScoredForecasts) -> tuple[tuple[int, ...], float]:
    """Return the closes of all alarms, and the detector after the last close."""
    counted = scored.states & scored.directed
    bets = overstatement_bets(scored.confidence[counted], scored.right[counted])
    hourly = by_hour(bets, scored.hours[counted])
    path, alarms = detect_change(hourly.bets)
    at_end = 0.0 if not len(path) or (alarms and alarms[-1] == len(path) - 1) else float(path[-1])
    return tuple(int(hourly.hours[position]) for position in alarms), at_end
