"""Forecasts compared with outcomes, whatever was traded on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray, RowArray
from crypto_refactor.backtest.significance.calibration import Calibration, Coverage, calibration, coverage
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.correlation import Correlation, Mean, hourly_mean, hourly_pearson, hourly_spearman
from crypto_refactor.market.bars import Bars
from crypto_refactor.model.evidence import mae_ratio, rmse_ratio, threshold_unit
from crypto_refactor.model.schedule import training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.skip import BASELINES, RIDGE, fit_skip


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredForecasts:
    """The decided bars of a window whose next bar is real; every array has shape (n,)."""

    hours: HourArray  # closes at which the forecasts were made
    forecast: FloatArray  # log return to the next close, like `outcome`
    outcome: FloatArray
    strength: FloatArray  # |forecast| over the unit of the threshold


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastFigures:
    """One forecaster compared with outcomes.

    Attributes
    ----------
    rmse_ratio, mae_ratio : float or None
        RMSE and mean absolute error over those of the zero forecast; below 1 is better.  None if no close moved, and for
        a baseline that has a sign and a rank alone.
    hit_rate : Mean or None
        Share of correct directions; None if there are none.
    pearson, spearman : Correlation
        Correlation with the next log return, of values and of ranks.
    """

    rmse_ratio: float | None
    mae_ratio: float | None
    hit_rate: Mean | None
    pearson: Correlation
    spearman: Correlation


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """Figures over the `n` decided bars of a window whose next bar is real.

    Attributes
    ----------
    model : ForecastFigures
        The forecasts of the run.
    baselines : mapping of str to ForecastFigures
        Of the forecasts that any model must beat: those of `BASELINES`, and ``ridge``, the skip fitted on the training
        rows of each period, which is left out for a pinned model, whose training rows lie outside the run.
    confidence, raw_confidence : Calibration
        The confidence of the run, and 0.5 + F / 2, the same before shrinking by evidence.
    coverage : Coverage
        The 90 % interval.
    long, short : int
        How many forecasts were above and below the close.
    beyond_threshold : float or None
        The share of forecasts beyond their threshold; a fifth where the chained forecasts are like these.
    """

    n: int
    model: ForecastFigures
    baselines: Mapping[str, ForecastFigures]
    confidence: Calibration
    raw_confidence: Calibration
    coverage: Coverage
    long: int
    short: int
    beyond_threshold: float | None

    @property
    def unbeaten(self) -> list[str]:
        """The baselines whose rank correlation is above the model's."""
        own = self.model.spearman.value or 0.0
        return [name for name, figures in self.baselines.items() if (figures.spearman.value or 0.0) > own]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """The skill of a run, and the forecasts it was measured on."""

    skill: Skill
    forecasts: ScoredForecasts


def forecast_skill(
    periods: Sequence[PeriodSignals], window: Bars, settings: ModelSettings, *, pinned: bool = False
) -> Scores:
    """Measure the forecasts of a walk-forward run.

    Parameters
    ----------
    periods : sequence of PeriodSignals
        The signals of the run, in time order.
    window : Bars
        The bars of the window, gaps filled, which hold the outcomes.
    settings : ModelSettings
        The settings that models were trained with.
    pinned : bool
        Whether one pinned model decided everything.
    """
    columns = _columns(periods)
    outcomes = _realised_outcomes(columns.hours, columns.values["close"], window)
    scored = _scored(columns, outcomes)
    values = {name: column[outcomes.resolved] for name, column in columns.values.items()}
    covered = (values["low"] <= outcomes.next_close) & (outcomes.next_close <= values["high"])
    skill = Skill(
        n=len(scored.outcome),
        model=_figures(scored.forecast, scored),
        baselines=_baselines(periods, settings, outcomes.resolved, scored, pinned=pinned),
        confidence=calibration(values["confidence"], scored.forecast, scored.outcome),
        raw_confidence=calibration(values["raw_confidence"], scored.forecast, scored.outcome),
        coverage=coverage(covered, values["relative_atr"]),
        long=int((scored.forecast > 0).sum()),
        short=int((scored.forecast < 0).sum()),
        beyond_threshold=float(values["beyond"].mean()) if len(scored.outcome) else None,
    )
    return Scores(skill=skill, forecasts=scored)


def score_forecasts(periods: Sequence[PeriodSignals], window: Bars) -> ScoredForecasts:
    """Return the forecasts of a walk-forward run with their outcomes, which are the bars of `window`."""
    columns = _columns(periods)
    return _scored(columns, _realised_outcomes(columns.hours, columns.values["close"], window))


class _Columns(NamedTuple):
    hours: HourArray  # (m,), of the decided closes
    values: dict[str, FloatArray]  # (m,) each


class _Outcomes(NamedTuple):
    resolved: BoolArray  # (m,), whether the next close is real
    outcome: FloatArray  # (n,), log return to it, where it is
    next_close: FloatArray


def _columns(periods: Sequence[PeriodSignals]) -> _Columns:
    tables = [_forecast_columns(part) for part in periods]
    values = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    return _Columns(np.concatenate([part.signals.decided_at for part in periods]), values)


def _scored(columns: _Columns, outcomes: _Outcomes) -> ScoredForecasts:
    return ScoredForecasts(
        hours=columns.hours[outcomes.resolved],
        forecast=columns.values["forecast"][outcomes.resolved],
        outcome=outcomes.outcome,
        strength=columns.values["strength"][outcomes.resolved],
    )


def _forecast_columns(part: PeriodSignals) -> dict[str, FloatArray]:
    """Return the forecast at each decided close of a period."""
    signals, frame, rows = part.signals, part.period.frame, _rows(part)
    forecast = np.log(signals.predicted / signals.close)
    atr = frame.column("atr")[rows]
    unit = threshold_unit(atr, frame.column("realised_volatility")[rows], signals.close) / signals.close
    unshrunk = replace(part.model.card.evidence, shrink=1.0)
    return {
        "close": signals.close,
        "forecast": forecast,
        "strength": np.divide(np.abs(forecast), unit, out=np.zeros_like(forecast), where=unit > 0),
        "beyond": (np.abs(signals.predicted - signals.close) > signals.threshold).astype(np.float64),
        "relative_atr": atr / signals.close,
        "confidence": signals.confidence,
        "raw_confidence": unshrunk.confidence(forecast, atr / signals.close),
        "low": signals.low,
        "high": signals.high,
    }


def _rows(part: PeriodSignals) -> RowArray:
    return np.searchsorted(part.period.frame.bars.closed, part.signals.decided_at)


def _realised_outcomes(hours: HourArray, close: FloatArray, window: Bars) -> _Outcomes:
    after = np.minimum(np.searchsorted(window.closed, hours + 1), len(window) - 1)
    resolved = (window.closed[after] == hours + 1) & ~(window.synthetic | window.held)[after]
    next_close = window.close[after[resolved]]
    return _Outcomes(resolved, np.log(next_close / close[resolved]), next_close)


def _baselines(
    periods: Sequence[PeriodSignals],
    settings: ModelSettings,
    resolved: BoolArray,
    scored: ScoredForecasts,
    *,
    pinned: bool,
) -> dict[str, ForecastFigures]:
    inputs = np.concatenate([part.period.frame.inputs[_rows(part)] for part in periods])[resolved]
    found = {}
    for name, baseline in BASELINES.items():
        found[name] = replace(_figures(baseline(inputs), scored), rmse_ratio=None, mae_ratio=None)
    if not pinned:
        ridge = np.concatenate([_ridge(part, settings) for part in periods])
        found[RIDGE] = _figures(ridge[resolved], scored)
    return found


def _ridge(part: PeriodSignals, settings: ModelSettings) -> FloatArray:
    """Return the forecasts of the skip alone at the decided closes of a period, log returns."""
    data, frame, rows = training_rows(part.period, settings), part.period.frame, _rows(part)
    forecast = fit_skip(data.last_inputs, data.target).forecast(frame.inputs[rows])
    return forecast * np.maximum(frame.column("realised_volatility")[rows], data.volatility_floor)


def _figures(forecast: FloatArray, scored: ScoredForecasts) -> ForecastFigures:
    outcome, hours = scored.outcome, scored.hours
    side = np.sign(forecast) * np.sign(outcome)
    correct = (side[side != 0] > 0).astype(np.float64)
    return ForecastFigures(
        rmse_ratio=rmse_ratio(forecast, outcome),
        mae_ratio=mae_ratio(forecast, outcome),
        hit_rate=hourly_mean(correct, hours[side != 0]) if len(correct) else None,
        pearson=hourly_pearson(forecast, outcome, hours),
        spearman=hourly_spearman(forecast, outcome, hours),
    )
