"""What a model knows, measured on forecasts of rows that were not fitted before.

Direction and mean are measured apart: an hour's direction is known a little, its mean is not.  A model that is right 52
times in 100 earns nothing where its misses are larger than its hits.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.correlation import spearman

N_QUANTILES = 101
COVERAGE = 0.9
ERRORS = 1.96
"""Standard errors that are taken off a slope before it counts."""
THRESHOLD_PERCENTILE = 80.0
ROUNDING = 1e-12
"""A difference below this share of what it was taken from is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """How forecasts did: None where no outcome or no forecast differs from 0, or all are equal."""

    hit_rate: float | None  # share of correct directions
    rank_correlation: float | None  # Spearman's, with outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """How forecasts compared with outcomes on rows that were not fitted before.

    With a = ATR / close, f the forecast and y the outcome (log returns), e = (y - f) / a and F the distribution of |e|,
    p = F(|f| / a) / 2, and v = 1/2 where the direction was right, -1/2 where it was wrong, 0 where y or f is 0.
    """

    n: int  # rows with a > 0
    slope: float  # of direction: sum(p v) / sum(p^2)
    slope_se: float  # its error if nothing is known, a coin's: 1/2 / sqrt(sum(p^2))
    shrink: float  # clip(slope - 1.96 SE, 0, 1): how much of p is supported; 0 means no evidence
    mean_slope: float  # of the mean: b = sum((f/a)(y/a)) / sum((f/a)^2)
    mean_slope_se: float  # heteroscedasticity-consistent error of b, see `slope_through_origin`
    mean_shrink: float  # clip(b - 1.96 SE, 0, 1): the part of a forecast that an outcome follows on average
    hit_rate: float | None  # share of correct directions
    rank_correlation: float | None  # Spearman's, with outcomes
    rmse_ratio: float | None  # RMSE over that of the zero forecast; below 1 is better, None if undefined
    mae_ratio: float | None  # mean absolute error over that of the zero forecast
    baselines: Mapping[str, Record]  # of the forecasts that any model must beat, by name, on the same rows
    error_quantiles: tuple[float, ...]  # 0, 0.01 … 1 of |e|
    interval_error: float  # the ceil(0.9 (n + 1))-th smallest |e|: half the 90 % interval, in ATR

    def confidence(self, forecast: FloatArray, relative_atr: FloatArray) -> FloatArray:
        """Return 0.5 + shrink x F(|f|/a) / 2; exactly 0.5 where f = 0 or a = 0.

        F is interpolated between its quantiles.
        """
        size = np.divide(np.abs(forecast), relative_atr, out=np.zeros_like(forecast), where=relative_atr > 0)
        return np.where(size > 0, 0.5 + self.shrink * _share_below(size, self.error_quantiles) / 2, 0.5)

    @property
    def unbeaten(self) -> list[str]:
        """The baselines whose rank correlation is above the model's."""
        own = self.rank_correlation or 0.0
        return [name for name, record in self.baselines.items() if (record.rank_correlation or 0.0) > own]


def _share_below(size: FloatArray, quantiles: tuple[float, ...]) -> FloatArray:
    """Return the empirical distribution function given by `quantiles` at each `size`."""
    return np.interp(size, quantiles, np.linspace(0, 1, N_QUANTILES))


def calibrate(
    forecast: FloatArray,
    outcome: FloatArray,
    relative_atr: FloatArray,
    baselines: Mapping[str, FloatArray],
) -> Evidence:
    """Measure the evidence for a model.

    Parameters
    ----------
    forecast, outcome : ndarray of float64, shape (n,)
        Log returns from close to close.
    relative_atr : ndarray of float64, shape (n,)
        ATR / close; rows where it is 0 are left out.
    baselines : mapping of str to ndarray of float64, shape (n,)
        Other forecasts of the same outcomes, of which only sign and rank count.
    """
    usable = relative_atr > 0
    f, y, a = (column[usable] for column in (forecast, outcome, relative_atr))
    errors = np.sort(np.abs(y - f) / a)
    if not len(errors):
        errors = np.zeros(1)
    quantiles = tuple(np.quantile(errors, np.linspace(0, 1, N_QUANTILES)).tolist())
    nth = min(math.ceil(COVERAGE * (len(f) + 1)), len(errors))
    slope, slope_se = direction_slope(f, y, _share_below(np.abs(f) / a, quantiles) / 2)
    mean_slope, mean_slope_se = slope_through_origin(f / a, y / a)
    own = record(f, y)
    return Evidence(
        n=len(f),
        slope=slope,
        slope_se=slope_se,
        shrink=_supported(slope, slope_se),
        mean_slope=mean_slope,
        mean_slope_se=mean_slope_se,
        mean_shrink=_supported(mean_slope, mean_slope_se),
        hit_rate=own.hit_rate,
        rank_correlation=own.rank_correlation,
        rmse_ratio=rmse_ratio(f, y),
        mae_ratio=mae_ratio(f, y),
        baselines={name: record(values[usable], y) for name, values in baselines.items()},
        error_quantiles=quantiles,
        interval_error=float(errors[max(nth, 1) - 1]),
    )


def _supported(slope: float, error: float) -> float:
    return float(np.clip(slope - ERRORS * error, 0, 1))


def record(forecast: FloatArray, outcome: FloatArray) -> Record:
    """Return how often the direction of `forecast` was that of `outcome`, and their rank correlation."""
    return Record(hit_rate=hit_rate(forecast, outcome), rank_correlation=spearman(forecast, outcome))


def hit_rate(forecast: FloatArray, outcome: FloatArray) -> float | None:
    """Return the share of correct directions, None if no row has both a forecast and an outcome other than 0."""
    directed = (forecast != 0) & (outcome != 0)
    correct = (forecast > 0) == (outcome > 0)
    return float(correct[directed].mean()) if directed.any() else None


def direction_slope(forecast: FloatArray, outcome: FloatArray, strength: FloatArray) -> tuple[float, float]:
    """Return the slope of directions on the `strength` p of forecasts, and its error if nothing is known.

    With v = 1/2 where the direction was right, -1/2 where wrong, 0 where there was none, b = sum(p v) / sum(p^2) is the
    least-squares slope of v = b p: the probability of the direction is 0.5 + b p.  If nothing is known, each v is a fair
    coin whatever p, so that Var(b) = 1/4 / sum(p^2) exactly.  Both are 0 where p is 0 everywhere.
    """
    energy = float(strength @ strength)
    if energy == 0:
        return 0.0, 0.0
    right = np.sign(forecast) * np.sign(outcome) / 2
    return float(strength @ right) / energy, 0.5 / math.sqrt(energy)


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


def mae_ratio(forecast: FloatArray, outcome: FloatArray) -> float | None:
    """Return the mean absolute error over that of the zero forecast, None if no outcome differs from 0."""
    zero = float(np.mean(np.abs(outcome))) if len(outcome) else 0.0
    return float(np.mean(np.abs(outcome - forecast))) / zero if zero > 0 else None


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
