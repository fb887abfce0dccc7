"""The dynamic threshold and the ten named conditions, for any number of bars at once.

A single signal and a year of signals run through the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray, RowArray, SideArray
from crypto_refactor.errors import UsageError
from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.model.evidence import Evidence, threshold_unit

FORECAST = "forecast"
CONDITIONS = (FORECAST, "rsi", "macd", "obv", "vwap", "price_trend", "ema_cross", "adx", "calm", "volume")
"""In the order of display; all but the first are confirmations."""
DEFAULT_MIN_CONFIRMATIONS = 6

DESCRIPTIONS: Mapping[str, tuple[str, str]] = {
    FORECAST: ("forecast above threshold", "forecast below -threshold"),
    "rsi": ("RSI < 65", "RSI > 35"),
    "macd": ("MACD histogram > 0", "MACD histogram < 0"),
    "obv": ("OBV > its mean", "OBV < its mean"),
    "vwap": ("close > VWAP", "close < VWAP"),
    "price_trend": ("close > EMA 20", "close < EMA 20"),
    "ema_cross": ("EMA 20 > EMA 50", "EMA 20 < EMA 50"),
    "adx": ("ADX > 25", "ADX > 25"),
    "calm": ("volatility < 1.2 x its mean", "volatility < 1.2 x its mean"),
    "volume": ("volume ratio > 1.1", "volume ratio > 1.1"),
}
"""The text of each condition, (long, short)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules:
    """What a forecast needs to become a signal.

    Attributes
    ----------
    min_confirmations : int
        How many of the nine conditions other than `forecast` must hold.
    threshold_scale : float or None
        Overrides the model's own scale of the threshold.
    """

    min_confirmations: int = DEFAULT_MIN_CONFIRMATIONS
    threshold_scale: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.min_confirmations <= len(CONDITIONS) - 1:
            raise UsageError(
                f"--min-confirmations is {self.min_confirmations}.",
                expected=f"0 to {len(CONDITIONS) - 1}.",
                remedy="correct --min-confirmations.",
            )
        if self.threshold_scale is not None and not 0 <= self.threshold_scale < float("inf"):
            raise UsageError(
                f"--threshold-scale is {self.threshold_scale}.",
                expected="a number of 0 or more.",
                remedy="correct --threshold-scale.",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignalFrame:
    """Signals of m bars; every array has shape (m,) unless said otherwise.

    Attributes
    ----------
    decided_at : ndarray of int64
        Close of the bar, in hours since 1970; the forecast is for the close an hour later.
    close, predicted, threshold : ndarray of float64
        Quote currency.
    expected_move : ndarray of float64
        |forecast| x shrink, a fraction of the close.
    confidence : ndarray of float64
        0.5 to 1.
    low, high : ndarray of float64
        The 90 % interval of the next close.
    long, short : ndarray of bool, shape (m, 10)
        Whether each condition holds for the side.
    supported : ndarray of bool
        Whether there is evidence for the model (shrink above 0).
    signal : ndarray of int8
        1, 0 or -1.
    """

    decided_at: RowArray
    close: FloatArray
    predicted: FloatArray
    threshold: FloatArray
    expected_move: FloatArray
    confidence: FloatArray
    low: FloatArray
    high: FloatArray
    long: BoolArray
    short: BoolArray
    supported: BoolArray
    signal: SideArray

    def __len__(self) -> int:
        return len(self.decided_at)

    @property
    def forecast_side(self) -> SideArray:
        """The sign of predicted price less close."""
        return np.sign(self.predicted - self.close).astype(np.int8)

    @property
    def conditions_met(self) -> BoolArray:
        """The conditions for the forecast's side (long's where the forecast is 0), shape (m, 10)."""
        return np.where((self.forecast_side < 0)[:, None], self.short, self.long)

    @property
    def confirmations(self) -> RowArray:
        """How many conditions other than `forecast` hold for the forecast's side."""
        return np.asarray(self.conditions_met[:, 1:].sum(axis=1), dtype=np.int64)


def evaluate(
    frame: FeatureFrame,
    rows: RowArray,
    forecast: FloatArray,
    *,
    evidence: Evidence,
    threshold_scale: float,
    rules: SignalRules,
) -> SignalFrame:
    """Turn forecasts into signals.

    Parameters
    ----------
    frame : FeatureFrame
        Features of the bars.
    rows : ndarray of int64, shape (m,)
        Positions of the bars decided on.
    forecast : ndarray of float64, shape (m,)
        Expected log return to the next close.
    evidence, threshold_scale : Evidence, float
        Of the model; `rules` may override the scale.
    rules : SignalRules
        What a forecast needs to become a signal.
    """
    close = frame.bars.close[rows]
    atr, volatility = frame.column("atr")[rows], frame.column("realised_volatility")[rows]
    predicted = close * np.exp(forecast)
    scale = threshold_scale if rules.threshold_scale is None else rules.threshold_scale
    threshold = scale * threshold_unit(atr, volatility, close)
    long, short = _conditions(frame, rows, close, predicted - close, threshold)
    is_long, is_short = (
        side[:, 0] & (side[:, 1:].sum(axis=1) >= rules.min_confirmations) for side in (long, short)
    )
    half_width = evidence.interval_error * atr / close
    return SignalFrame(
        decided_at=frame.bars.closed[rows],
        close=close,
        predicted=predicted,
        threshold=threshold,
        expected_move=np.abs(forecast) * evidence.shrink,
        confidence=evidence.confidence(forecast, atr / close),
        low=close * np.exp(forecast - half_width),
        high=close * np.exp(forecast + half_width),
        long=long,
        short=short,
        supported=np.full(len(rows), evidence.shrink > 0),
        signal=is_long.astype(np.int8) - is_short.astype(np.int8),
    )


def _conditions(
    frame: FeatureFrame, rows: RowArray, close: FloatArray, move: FloatArray, threshold: FloatArray
) -> tuple[BoolArray, BoolArray]:
    """Return the ten conditions for long and for short, shape (m, 10) each.  Comparisons are strict."""
    column = {name: frame.column(name)[rows] for name in frame.names}
    ema_20, ema_50, vwap = column["ema_20"], column["ema_50"], column["vwap"]
    either = {
        "adx": column["adx"] > 25,
        "calm": column["realised_volatility"] < 1.2 * frame.extras.volatility_mean[rows],
        "volume": column["volume_ratio"] > 1.1,
    }
    long = either | {
        FORECAST: move > threshold,
        "rsi": column["rsi"] < 65,
        "macd": column["macd_histogram"] > 0,
        "obv": column["obv"] > 0,
        "vwap": close > vwap,
        "price_trend": close > ema_20,
        "ema_cross": ema_20 > ema_50,
    }
    short = either | {
        FORECAST: -move > threshold,
        "rsi": column["rsi"] > 35,
        "macd": column["macd_histogram"] < 0,
        "obv": column["obv"] < 0,
        "vwap": close < vwap,
        "price_trend": close < ema_20,
        "ema_cross": ema_20 < ema_50,
    }
    return tuple(np.stack([side[name] for name in CONDITIONS], axis=1) for side in (long, short))  # type: ignore[return-value]


def concatenate(frames: list[SignalFrame]) -> SignalFrame:
    """Join the signals of consecutive periods."""
    names = SignalFrame.__dataclass_fields__
    return SignalFrame(**{name: np.concatenate([getattr(frame, name) for frame in frames]) for name in names})
