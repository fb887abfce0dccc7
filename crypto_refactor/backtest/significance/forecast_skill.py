"""What forecasts were worth on the hours they were made for, whatever was traded on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray, RowArray
from crypto_refactor.backtest.significance.calibration import Calibration, Coverage, calibration, coverage
from crypto_refactor.backtest.significance.correlation import Correlation, pearson, spearman
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.market.bars import Bars
from crypto_refactor.model.dataset import robust_scale
from crypto_refactor.model.evidence import ridge_baseline, rmse_ratio
from crypto_refactor.model.schedule import training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.trainer import VOLATILITY_FLOOR_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastFigures:
    """One forecaster against what happened.

    Attributes
    ----------
    rmse_ratio : float or None
        RMSE over that of the zero forecast; below 1 is better.  None where no close moved.
    pearson, spearman : Association
        Correlation with the next log return, and the same of ranks; errors by days.
    """

    rmse_ratio: float | None
    pearson: Correlation
    spearman: Correlation


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """Figures over the `n` decided bars of a window whose next bar is real.

    Attributes
    ----------
    n : int
        How many.
    model : ForecastFigures
        Of the forecasts that decided.
    ridge : ForecastFigures or None
        Of a ridge regression on the last row of the same 14 inputs, fitted on the rows the model of each
        stretch learnt from; None for a pinned model, whose rows lie outside the run.
    stated, unshrunk : Calibration
        Of the confidence that was stated, and of 0.5 + F / 2, what it were had it not been shrunk by evidence.
    coverage : Coverage
        Of the 90 % interval.
    """

    n: int
    model: ForecastFigures
    ridge: ForecastFigures | None
    stated: Calibration
    unshrunk: Calibration
    coverage: Coverage


def forecast_skill(
    stretches: Sequence[PeriodSignals], window: Bars, settings: ModelSettings, *, pinned: bool = False
) -> Skill:
    """Measure the forecasts of a walk-forward.

    Parameters
    ----------
    stretches : sequence of PeriodSignals
        In time order.
    window : Bars
        The carried bars of the window, which hold what happened next.
    settings : ModelSettings
        Say what the models learnt from.
    pinned : bool
        Whether one frozen model decided everything.
    """
    parts = [_forecast_columns(stretch) for stretch in stretches]
    claims = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    hours = np.concatenate([stretch.signals.decided_at for stretch in stretches])
    known, outcome, next_close = _realised_outcomes(hours, claims["close"], window)
    hours = hours[known]
    made = {name: column[known] for name, column in claims.items()}
    ridge = None
    if not pinned:
        baseline = np.concatenate([_ridge(stretch, settings) for stretch in stretches])
        ridge = _figures(baseline[known], outcome, hours)
    return Skill(
        n=len(outcome),
        model=_figures(made["forecast"], outcome, hours),
        ridge=ridge,
        stated=calibration(made["confidence"], made["forecast"], outcome),
        unshrunk=calibration(made["unshrunk"], made["forecast"], outcome),
        coverage=coverage((made["low"] <= next_close) & (next_close <= made["high"]), made["relative_atr"]),
    )


def _forecast_columns(stretch: PeriodSignals) -> dict[str, FloatArray]:
    """Return what was stated at each decided close of a stretch."""
    made, frame = stretch.signals, stretch.period.frame
    forecast = np.log(made.predicted / made.close)
    relative_atr = frame.column("atr")[_rows(stretch)] / made.close
    unshrunk = replace(stretch.model.card.evidence, shrink=1.0)
    return {
        "close": made.close,
        "forecast": forecast,
        "relative_atr": relative_atr,
        "confidence": made.confidence,
        "unshrunk": unshrunk.confidence(forecast, relative_atr),
        "low": made.low,
        "high": made.high,
    }


def _rows(stretch: PeriodSignals) -> RowArray:
    return np.searchsorted(stretch.period.frame.bars.closed, stretch.signals.decided_at)


def _realised_outcomes(
    hours: RowArray, close: FloatArray, window: Bars
) -> tuple[BoolArray, FloatArray, FloatArray]:
    """Return which closes have a real next one, and the log return to it and its price for those."""
    after = np.minimum(np.searchsorted(window.closed, hours + 1), len(window) - 1)
    known = (window.closed[after] == hours + 1) & ~window.synthetic[after]
    next_close = window.close[after[known]]
    return known, np.log(next_close / close[known]), next_close


def _ridge(stretch: PeriodSignals, settings: ModelSettings) -> FloatArray:
    """Return the ridge's forecasts at the decided closes of a stretch, log returns."""
    data, frame, rows = training_rows(stretch.period, settings), stretch.period.frame, _rows(stretch)
    learnt = data.inputs[data.rows]
    floor = VOLATILITY_FLOOR_SHARE * float(np.median(data.volatility))
    scale = np.maximum(data.volatility, floor)
    target = np.divide(data.returns, scale, out=np.zeros_like(scale), where=scale > 0)
    forecast = ridge_baseline(robust_scale(learnt), learnt, target, frame.inputs[rows])
    return forecast * np.maximum(frame.column("realised_volatility")[rows], floor)


def _figures(forecast: FloatArray, outcome: FloatArray, hours: RowArray) -> ForecastFigures:
    return ForecastFigures(
        rmse_ratio=rmse_ratio(forecast, outcome),
        pearson=pearson(forecast, outcome, hours),
        spearman=spearman(forecast, outcome, hours),
    )
