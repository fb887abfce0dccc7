"""How good scored forecasts were."""

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray
from crypto_refactor.backtest.significance.calibration import Calibration, calibration
from crypto_refactor.correlation import Correlation, Mean, hourly_mean, pooled_spearman
from crypto_refactor.trading.record.martingales import (
    EVIDENCE,
    by_hour,
    coin_toss_bets,
    first_reach,
    product,
)
from crypto_refactor.trading.record.realised import RealisedForecast

CONFIDENCE_EDGES = (0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Where bins of stated confidence end: hourly forecasts seldom state more than 0.55."""
NOMINAL_COVERAGE = 0.90
"""The share of closes that the interval is meant to hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How good forecasts were whose outcome is known.

    Standard errors are clustered by UTC day, as tickers move together, and None below ten days.

    Attributes
    ----------
    n : int
        Scored forecasts: all of them count in `rank_correlation`, `rmse` and `zero_rmse`.
    stated, right : int
        Those that state a direction, about a close that moved, and how many of them came true.
    hit_rate : Mean or None
        `right` over `stated`, with its standard error.
    stated_confidence : float or None
        Their mean confidence, which `hit_rate` should equal.
    silent, silent_right, silent_directed : int
        Those that state nothing: confidence 0.50, or a forecast of exactly 0; how many of them were right, out of those
        with a direction about a close that moved.
    rank_correlation : Correlation
        Spearman's, of forecast and realised return: the mean over tickers.
    rmse, zero_rmse : float or None
        Root mean square error of the forecasts, and that of forecasting no move, in log returns.
    with_interval : int
        Forecasts with an interval.
    coverage : Mean or None
        The share of their closes inside it; `NOMINAL_COVERAGE` is meant.
    calibration : Calibration
        Stated confidence against what came true, of those that state a direction.
    product : float
        The test martingale against a coin toss; see `martingales`.
    evidence_at : int or None
        The close at which it first reached `EVIDENCE`.
    """

    n: int
    stated: int
    right: int
    hit_rate: Mean | None
    stated_confidence: float | None
    silent: int
    silent_right: int
    silent_directed: int
    rank_correlation: Correlation
    rmse: float | None
    zero_rmse: float | None
    with_interval: int
    coverage: Mean | None
    calibration: Calibration
    product: float
    evidence_at: int | None

    @property
    def rmse_ratio(self) -> float | None:
        """RMSE over that of forecasting no move: below 1 is better."""
        return self.rmse / self.zero_rmse if self.rmse is not None and self.zero_rmse else None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredForecasts:
    """Forecasts whose outcome is known, as arrays of shape (n,), in the order of their closes.

    `hours` are the closes that they are about, `forecast` and `realised` log returns, and `inside` is 1, 0 or NaN without an
    interval.
    """

    hours: HourArray
    tickers: npt.NDArray[np.str_]
    models: npt.NDArray[np.str_]
    confidence: FloatArray
    forecast: FloatArray
    realised: FloatArray
    inside: FloatArray

    @classmethod
    def of(cls, rows: Iterable[RealisedForecast]) -> "ScoredForecasts":
        """Return the scored ones of `rows`, which are in the order of their closes."""
        scored = [row for row in rows if row.outcome is not None]
        records = [row.record for row in scored]
        columns = [
            (each.bar, each.close, each.predicted, each.low, each.high, each.confidence) for each in records
        ]
        table = np.array(columns, dtype=np.float64).reshape(-1, 6)  # None becomes NaN
        bar, close, predicted, low, high, confidence = table.T
        outcome = np.array([row.outcome for row in scored], dtype=np.float64)
        inside = np.where(np.isnan(low + high), np.nan, (low <= outcome) & (outcome <= high))
        return cls(
            hours=bar.astype(np.int64) + 1,
            tickers=np.array([str(row.ticker) for row in scored], dtype=np.str_),
            models=np.array([each.model for each in records], dtype=np.str_),
            confidence=confidence,
            forecast=np.log(predicted / close),
            realised=np.log(outcome / close),
            inside=inside,
        )

    def __len__(self) -> int:
        return len(self.hours)

    def __getitem__(self, chosen: slice | BoolArray) -> "ScoredForecasts":
        return ScoredForecasts(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    @property
    def months(self) -> npt.NDArray[np.str_]:
        """The month of each close, ``2024-06``."""
        return self.hours.astype("datetime64[h]").astype("datetime64[M]").astype(np.str_)

    @property
    def states(self) -> BoolArray:
        """Whether more than a coin toss is stated."""
        return np.asarray((self.confidence > 0.5) & (self.forecast != 0), dtype=np.bool_)

    @property
    def directed(self) -> BoolArray:
        """Whether there is a direction and a move: right or wrong is a question."""
        return np.asarray((self.forecast != 0) & (self.realised != 0), dtype=np.bool_)

    @property
    def right(self) -> BoolArray:
        """Whether the direction came true."""
        return np.asarray(np.sign(self.forecast) * np.sign(self.realised) > 0, dtype=np.bool_)


def score(scored: ScoredForecasts) -> Score:
    """Return how good scored forecasts were."""
    stated, silent = scored.states & scored.directed, ~scored.states & scored.directed
    right = scored.right[stated]
    confidence, hours = scored.confidence[stated], scored.hours[stated]
    bets = by_hour(coin_toss_bets(confidence, right), hours)
    path = product(bets.bets)
    has_interval = ~np.isnan(scored.inside)
    return Score(
        n=len(scored),
        stated=len(right),
        right=int(right.sum()),
        hit_rate=_mean(right.astype(np.float64), hours),
        stated_confidence=float(confidence.mean()) if len(confidence) else None,
        silent=int((~scored.states).sum()),
        silent_right=int(scored.right[silent].sum()),
        silent_directed=int(silent.sum()),
        rank_correlation=_rank_correlation(scored),
        rmse=_root_mean_square(scored.forecast - scored.realised),
        zero_rmse=_root_mean_square(scored.realised),
        with_interval=int(has_interval.sum()),
        coverage=_mean(scored.inside[has_interval], scored.hours[has_interval]),
        calibration=calibration(
            confidence, scored.forecast[stated], scored.realised[stated], edges=CONFIDENCE_EDGES
        ),
        product=float(path[-1]) if len(path) else 1.0,
        evidence_at=first_reach(path, bets.hours, EVIDENCE),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreGroup:
    """The score of the forecasts of one model, ticker or month."""

    name: str
    score: Score


def scores_by(scored: ScoredForecasts, names: npt.NDArray[np.str_]) -> tuple[ScoreGroup, ...]:
    """Return the score of the forecasts of each name, in the order in which names first appear; `names` of shape (n,)."""
    distinct, first = np.unique(names, return_index=True)
    ordered = distinct[np.argsort(first)].tolist()
    return tuple(ScoreGroup(name=name, score=score(scored[names == name])) for name in ordered)


def _mean(values: FloatArray, hours: HourArray) -> Mean | None:
    return hourly_mean(values, hours) if len(values) else None


def _root_mean_square(values: FloatArray) -> float | None:
    return float(np.sqrt(np.mean(values**2))) if len(values) else None


def _rank_correlation(scored: ScoredForecasts) -> Correlation:
    parts = [scored[scored.tickers == ticker] for ticker in np.unique(scored.tickers)]
    return pooled_spearman([(part.forecast, part.realised, part.hours) for part in parts])
