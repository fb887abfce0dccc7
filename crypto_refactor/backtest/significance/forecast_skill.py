"""Forecasts compared with outcomes, whatever was traded on them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray, RowArray
from crypto_refactor.backtest.significance.calibration import Calibration, Coverage, calibration, coverage
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.correlation import Correlation, hourly_pearson, hourly_spearman
from crypto_refactor.market.bars import Bars
from crypto_refactor.model.dataset import robust_scale
from crypto_refactor.model.evidence import ridge_baseline, rmse_ratio
from crypto_refactor.model.schedule import training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.trainer import VOLATILITY_FLOOR_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastFigures:
    """One forecaster compared with outcomes.

    Attributes
    ----------
    rmse_ratio : float or None
        RMSE over that of the zero forecast; below 1 is better.  None if no close moved.
    pearson, spearman : Correlation
        Correlation with the next log return, of values and of ranks.
    """

    rmse_ratio: float | None
    pearson: Correlation
    spearman: Correlation


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """Figures over the `n` decided bars of a window whose next bar is real.

    Attributes
    ----------
    model : ForecastFigures
        The forecasts of the run.
    ridge : ForecastFigures or None
        A ridge regression on the last row of the same inputs, fitted on the training rows of each period; None
        for a pinned model, whose training rows lie outside the run.
    confidence, raw_confidence : Calibration
        The confidence of the run, and 0.5 + F / 2, the same before shrinking by evidence.
    coverage : Coverage
        The 90 % interval.
    """

    n: int
    model: ForecastFigures
    ridge: ForecastFigures | None
    confidence: Calibration
    raw_confidence: Calibration
    coverage: Coverage


def forecast_skill(
    periods: Sequence[PeriodSignals], window: Bars, settings: ModelSettings, *, pinned: bool = False
) -> Skill:
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
    tables = [_forecast_columns(part) for part in periods]
    columns = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    hours = np.concatenate([part.signals.decided_at for part in periods])
    resolved, outcome, next_close = _realised_outcomes(hours, columns["close"], window)
    hours = hours[resolved]
    forecasts = {name: column[resolved] for name, column in columns.items()}
    ridge = None
    if not pinned:
        baseline = np.concatenate([_ridge(part, settings) for part in periods])
        ridge = _figures(baseline[resolved], outcome, hours)
    covered = (forecasts["low"] <= next_close) & (next_close <= forecasts["high"])
    return Skill(
        n=len(outcome),
        model=_figures(forecasts["forecast"], outcome, hours),
        ridge=ridge,
        confidence=calibration(forecasts["confidence"], forecasts["forecast"], outcome),
        raw_confidence=calibration(forecasts["raw_confidence"], forecasts["forecast"], outcome),
        coverage=coverage(covered, forecasts["relative_atr"]),
    )


def _forecast_columns(part: PeriodSignals) -> dict[str, FloatArray]:
    """Return the forecast at each decided close of a period."""
    signals, frame = part.signals, part.period.frame
    forecast = np.log(signals.predicted / signals.close)
    relative_atr = frame.column("atr")[_rows(part)] / signals.close
    unshrunk = replace(part.model.card.evidence, shrink=1.0)
    return {
        "close": signals.close,
        "forecast": forecast,
        "relative_atr": relative_atr,
        "confidence": signals.confidence,
        "raw_confidence": unshrunk.confidence(forecast, relative_atr),
        "low": signals.low,
        "high": signals.high,
    }


def _rows(part: PeriodSignals) -> RowArray:
    return np.searchsorted(part.period.frame.bars.closed, part.signals.decided_at)


def _realised_outcomes(
    hours: HourArray, close: FloatArray, window: Bars
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Return which closes have a real next one, and for those the log return to it and its price."""
    after = np.minimum(np.searchsorted(window.closed, hours + 1), len(window) - 1)
    resolved = (window.closed[after] == hours + 1) & ~(window.synthetic | window.held)[after]
    next_close = window.close[after[resolved]]
    return resolved, np.log(next_close / close[resolved]), next_close


def _ridge(part: PeriodSignals, settings: ModelSettings) -> FloatArray:
    """Return the ridge forecasts at the decided closes of a period, log returns."""
    data, frame, rows = training_rows(part.period, settings), part.period.frame, _rows(part)
    fit_inputs = data.inputs[data.rows]
    floor = VOLATILITY_FLOOR_SHARE * float(np.median(data.volatility))
    scale = np.maximum(data.volatility, floor)
    target = np.divide(data.returns, scale, out=np.zeros_like(scale), where=scale > 0)
    forecast = ridge_baseline(robust_scale(fit_inputs), fit_inputs, target, frame.inputs[rows])
    return forecast * np.maximum(frame.column("realised_volatility")[rows], floor)


def _figures(forecast: FloatArray, outcome: FloatArray, hours: HourArray) -> ForecastFigures:
    return ForecastFigures(
        rmse_ratio=rmse_ratio(forecast, outcome),
        pearson=hourly_pearson(forecast, outcome, hours),
        spearman=hourly_spearman(forecast, outcome, hours),
    )
