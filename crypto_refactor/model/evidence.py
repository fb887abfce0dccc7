"""What a model knows, measured on rows that neither its fit nor its early stopping saw."""

import math
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import Float32Array, FloatArray
from crypto_refactor.correlation import spearman
from crypto_refactor.model.dataset import InputScale
from crypto_refactor.model.recipe import CLIP

N_QUANTILES = 101
COVERAGE = 0.9
RIDGE_ALPHA_PER_ROW = 10.0
THRESHOLD_PERCENTILE = 80.0
ROUNDING = 1e-12
"""A difference below this share of what it was taken from is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How forecasts compared with outcomes on the calibration slice.

    With a = ATR / close, f the forecast and y the outcome (log returns), e = (y - f) / a.

    The ridge is a regression on the last row of each window; ratios and correlations are None where undefined.
    """

    n: int  # rows with a > 0
    slope: float  # b = sum((f/a)(y/a)) / sum((f/a)^2)
    slope_se: float  # heteroscedasticity-consistent error of b, see `slope_through_origin`
    shrink: float  # clip(b - 1.96 SE, 0, 1): the part of a forecast that is supported; 0 means no evidence
    rmse_ratio: float | None  # RMSE over that of the zero forecast; below 1 is better
    rank_correlation: float | None  # Spearman's, with outcomes
    ridge_rmse_ratio: float | None
    ridge_rank_correlation: float | None
    error_quantiles: tuple[float, ...]  # 0, 0.01 … 1 of |e|
    interval_error: float  # the ceil(0.9 (n + 1))-th smallest |e|: half the 90 % interval, in ATR

    def confidence(self, forecast: FloatArray, relative_atr: FloatArray) -> FloatArray:
        """Return 0.5 + shrink x F(|f|/a) / 2; exactly 0.5 where f = 0 or a = 0.

        F is the empirical distribution of |e|, interpolated between its quantiles.
        """
        size = np.divide(np.abs(forecast), relative_atr, out=np.zeros_like(forecast), where=relative_atr > 0)
        levels = np.linspace(0, 1, N_QUANTILES)
        rank = np.interp(size, self.error_quantiles, levels)
        return np.where(size > 0, 0.5 + self.shrink * rank / 2, 0.5)


def calibrate(
    forecast: FloatArray, outcome: FloatArray, relative_atr: FloatArray, ridge: FloatArray
) -> Evidence:
    """Measure the evidence for a model.

    Parameters
    ----------
    forecast, outcome, ridge : ndarray of float64, shape (n,)
        Log returns from close to close; `ridge` holds the forecasts of the baseline.
    relative_atr : ndarray of float64, shape (n,)
        ATR / close; rows where it is 0 are left out.
    """
    usable = relative_atr > 0
    f, y, baseline, a = (column[usable] for column in (forecast, outcome, ridge, relative_atr))
    slope, error = slope_through_origin(f / a, y / a)
    errors = np.sort(np.abs(y - f) / a)
    if not len(errors):
        errors = np.zeros(1)
    nth = min(math.ceil(COVERAGE * (len(f) + 1)), len(errors))
    return Evidence(
        n=len(f),
        slope=slope,
        slope_se=error,
        shrink=float(np.clip(slope - 1.96 * error, 0, 1)),
        rmse_ratio=rmse_ratio(f, y),
        rank_correlation=spearman(f, y),
        ridge_rmse_ratio=rmse_ratio(baseline, y),
        ridge_rank_correlation=spearman(baseline, y),
        error_quantiles=tuple(np.quantile(errors, np.linspace(0, 1, N_QUANTILES)).tolist()),
        interval_error=float(errors[max(nth, 1) - 1]),
    )


def slope_through_origin(x: FloatArray, y: FloatArray) -> tuple[float, float]:
    """Return the least-squares slope of y = b x and its heteroscedasticity-consistent standard error.

    The error is HC3 of J. G. MacKinnon and H. White, "Some heteroskedasticity-consistent covariance matrix estimators
    with improved finite sample properties", Journal of Econometrics 29 (1985).  With e the residuals::

        SE^2 = sum (x_i e_i / (x'x - x_i^2))^2 = sum (b - b without row i)^2

    White's (1980) has x'x alone in the denominator, which is too small an error for the 36 rows of 240 hours: a row of
    great weight draws the line to itself, and so has a small residual.  Both results are 0 where x is 0 everywhere.
    """
    energy = float(x @ x)
    if energy == 0:
        return 0.0, 0.0
    slope = float(x @ y) / energy
    others = energy - x**2
    # Without the only row that differs from 0 there is no slope: b - 0.
    shift = np.full(len(x), slope)
    np.divide(x * (y - slope * x), others, out=shift, where=others > ROUNDING * energy)
    return slope, math.sqrt(float(shift @ shift))


def rmse_ratio(forecast: FloatArray, outcome: FloatArray) -> float | None:
    """Return the RMSE over that of the zero forecast, None if no outcome differs from 0."""
    zero = float(np.mean(outcome**2)) if len(outcome) else 0.0
    return math.sqrt(float(np.mean((outcome - forecast) ** 2)) / zero) if zero > 0 else None


def ridge_baseline(
    scale: InputScale,
    fit_inputs: Float32Array,
    fit_target: FloatArray,
    inputs: Float32Array | FloatArray,
) -> FloatArray:
    """Forecast by a ridge regression on the last bar of each window: hard to beat on hourly bars.

    Parameters
    ----------
    scale : InputScale
        Scales and clips all inputs.
    fit_inputs, fit_target : ndarray, shape (m, k) and (m,)
        Raw model inputs, and labels, which are clipped like the inputs.
    inputs : ndarray, shape (n, k)
        Raw model inputs to forecast from; the result, shape (n,), is in units of `fit_target`.
    """
    return ridge_forecast(scale.apply(fit_inputs), np.clip(fit_target, -CLIP, CLIP), scale.apply(inputs))


def ridge_forecast(fit_inputs: FloatArray, fit_target: FloatArray, inputs: FloatArray) -> FloatArray:
    """Return ridge forecasts in units of `fit_target`, shape (n,); penalty 10 per row, free intercept."""
    middle, level = fit_inputs.mean(axis=0), float(fit_target.mean())
    centred = fit_inputs - middle
    penalty = RIDGE_ALPHA_PER_ROW * len(centred) * np.eye(centred.shape[1])
    weights = np.linalg.solve(centred.T @ centred + penalty, centred.T @ (fit_target - level))
    return np.asarray((inputs - middle) @ weights + level)


def threshold_scale(forecast: FloatArray, close: FloatArray, unit: FloatArray) -> float:
    """Return the 80th percentile of |predicted - close| / unit; 1 if no row has a unit above 0.

    All have shape (n,): `forecast` in log returns, `close` and `unit`, from `threshold_unit`, in quote currency.
    """
    usable = unit > 0
    if not usable.any():
        return 1.0
    move = np.abs(close * np.expm1(forecast))[usable]
    return float(np.percentile(move / unit[usable], THRESHOLD_PERCENTILE))


def threshold_unit(atr: FloatArray, volatility: FloatArray, close: FloatArray) -> FloatArray:
    """Return 0.5 ATR + 0.3 volatility x close, quote currency, shape (n,)."""
    return 0.5 * atr + 0.3 * volatility * close
