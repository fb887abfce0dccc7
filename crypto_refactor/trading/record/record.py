"""The record of a series of forecasts: of an account, or of a model that forecasts without one."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import ForecastRecord, Ledger
from crypto_refactor.trading.record.martingales import by_hour, detect_change, overstatement_bets
from crypto_refactor.trading.record.realised import Fate, RealisedForecast, realise
from crypto_refactor.trading.record.scores import Score, ScoredArrays, ScoreGroup, score, scores_by

RECENT = 200
"""How many forecasts the one line of a record is about."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeriesRecord:
    """Every forecast of a series, and how good they were.

    Attributes
    ----------
    series : str
        Name of the account, or of the model and the source of its bars.
    forecasts : tuple of RealisedForecast
        In the order of their closes.
    score, recent : Score
        Of all scored forecasts, and of the last 200.
    by_ticker, by_model, by_month : tuple of ScoreGroup
        The same by ticker, by fingerprint of the weights, and by month (``2024-06``) of the close.
    alarms : tuple of int
        Closes at which stated confidence was found not to come true, in hours since 1970.
    detector : float
        The detector now; it raises an alarm at `martingales.ALARM`.
    """

    series: str
    forecasts: tuple[RealisedForecast, ...]
    score: Score
    recent: Score
    by_ticker: tuple[ScoreGroup, ...]
    by_model: tuple[ScoreGroup, ...]
    by_month: tuple[ScoreGroup, ...]
    alarms: tuple[int, ...]
    detector: float

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
    rows.sort(key=lambda row: (row.record.bar, row.ticker))
    scored = [row for row in rows if row.fate is Fate.SCORED]
    alarms, detector = _alarms(ScoredArrays.of(scored))
    return SeriesRecord(
        series=series,
        forecasts=tuple(rows),
        score=score(scored),
        recent=score(scored[-RECENT:]),
        by_ticker=tuple(sorted(scores_by(scored, lambda row: str(row.ticker)), key=lambda group: group.name)),
        by_model=scores_by(scored, lambda row: row.record.model),
        by_month=scores_by(scored, lambda row: to_iso(row.record.bar + 1)[:7]),
        alarms=alarms,
        detector=detector,
    )


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


def _alarms(scored: ScoredArrays) -> tuple[tuple[int, ...], float]:
    """Return the closes of all alarms, and the detector after the last close."""
    counted = scored.states & scored.directed
    bets = overstatement_bets(scored.confidence[counted], scored.right[counted])
    hourly = by_hour(bets, scored.hours[counted])
    path, alarms = detect_change(hourly.bets)
    at_end = 0.0 if not len(path) or (alarms and alarms[-1] == len(path) - 1) else float(path[-1])
    return tuple(int(hourly.hours[position]) for position in alarms), at_end
