"""The dynamic threshold and the ten named conditions, for any number of bars at once.

A single signal and a year of signals run through the same functions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crypto_refactor.arguments import is_number, is_whole
from crypto_refactor.arrays import BoolArray, FloatArray, RowArray, SideArray
from crypto_refactor.errors import UsageError
from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.model.evidence import Evidence, threshold_unit

Values = Mapping[str, FloatArray]
"""At each bar: the indicators by name, `close`, `volatility_mean`, and `move` (predicted price less close) and
`threshold` in quote currency; shape (m,)."""
Test = Callable[[Values], BoolArray]


class Condition(NamedTuple):
    """A named condition of a signal: its text and its test for each side.  Comparisons are strict."""

    name: str
    long_text: str
    short_text: str
    long: Test
    short: Test


def _mirrored(
    name: str, text: str, pair: Callable[[Values], tuple[FloatArray, FloatArray | float]]
) -> Condition:
    """Return a condition that asks for a > b for long, and for a < b for short."""
    short_text = text.replace(">", "<")
    return Condition(name, text, short_text, lambda v: np.greater(*pair(v)), lambda v: np.less(*pair(v)))


def _either(name: str, text: str, test: Test) -> Condition:
    """Return a condition that is the same for both sides."""
    return Condition(name, text, text, test, test)


_CONDITIONS = (
    Condition(
        "forecast",
        "forecast above threshold",
        "forecast below -threshold",
        lambda v: v["move"] > v["threshold"],
        lambda v: -v["move"] > v["threshold"],
    ),
    Condition("rsi", "RSI < 65", "RSI > 35", lambda v: v["rsi"] < 65, lambda v: v["rsi"] > 35),
    _mirrored("macd", "MACD histogram > 0", lambda v: (v["macd_histogram"], 0)),
    _mirrored("obv", "OBV > its mean", lambda v: (v["obv"], 0)),
    _mirrored("vwap", "close > VWAP", lambda v: (v["close"], v["vwap"])),
    _mirrored("price_trend", "close > EMA 20", lambda v: (v["close"], v["ema_20"])),
    _mirrored("ema_cross", "EMA 20 > EMA 50", lambda v: (v["ema_20"], v["ema_50"])),
    _either("adx", "ADX > 25", lambda v: v["adx"] > 25),
    _either(
        "calm", "volatility < 1.2 x its mean", lambda v: v["realised_volatility"] < 1.2 * v["volatility_mean"]
    ),
    _either("volume", "volume ratio > 1.1", lambda v: v["volume_ratio"] > 1.1),
)
"""In the order of display; the first is the forecast, all others are confirmations."""

CONDITIONS = tuple(condition.name for condition in _CONDITIONS)
FORECAST = CONDITIONS[0]
DESCRIPTIONS = {condition.name: (condition.long_text, condition.short_text) for condition in _CONDITIONS}
"""The text of each condition, (long, short)."""
DEFAULT_MIN_CONFIRMATIONS = 6
VOLUME_CONDITIONS = ("obv", "vwap", "volume")
"""Confirmations that hold for neither side while no bar has any volume: they compare 0 with 0, or the close with itself."""


def volume_hint(required: int) -> str:
    """Return what bars without any volume mean for signals that need `required` confirmations."""
    most = len(CONDITIONS) - 1 - len(VOLUME_CONDITIONS)
    possible = "all of which are needed" if required == most else f"and {required} are needed"
    return (
        f"Every bar has volume 0: {', '.join(VOLUME_CONDITIONS[:-1])} and {VOLUME_CONDITIONS[-1]} can never hold, so at "
        f"most {most} of {len(CONDITIONS) - 1} confirmations can be met, {possible}."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules:
    """What a forecast needs to become a signal.

    `min_confirmations` of the nine conditions other than `forecast` must hold; `threshold_scale` overrides that of
    the model.
    """

    min_confirmations: int = DEFAULT_MIN_CONFIRMATIONS
    threshold_scale: float | None = None

    def __post_init__(self) -> None:
        if not is_whole(self.min_confirmations) or not 0 <= self.min_confirmations <= len(CONDITIONS) - 1:
            raise UsageError(
                f"--min-confirmations is {self.min_confirmations!r}.",
                expected=f"0 to {len(CONDITIONS) - 1}.",
                remedy="correct --min-confirmations.",
            )
        scale = self.threshold_scale
        if scale is not None and not (is_number(scale) and 0 <= scale < float("inf")):
            raise UsageError(
                f"--threshold-scale is {scale!r}.",
                expected="a number of 0 or more.",
                remedy="correct --threshold-scale.",
            )
        # numpy's numbers are not JSON
        object.__setattr__(self, "min_confirmations", int(self.min_confirmations))
        object.__setattr__(self, "threshold_scale", None if scale is None else float(scale))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignalFrame:
    """Signals of m bars; every array has shape (m,) unless said otherwise."""

    decided_at: RowArray  # close of the bar, in hours since 1970; the forecast is for the close an hour later
    close: FloatArray  # in quote currency, like `predicted` and `threshold`
    predicted: FloatArray
    threshold: FloatArray
    expected_move: FloatArray  # |forecast| x mean_shrink, a fraction of the close
    confidence: FloatArray  # 0.5 to 1
    low: FloatArray  # the 90 % interval of the next close
    high: FloatArray
    long: BoolArray  # (m, 10), whether each condition holds for the side
    short: BoolArray
    supported: BoolArray  # whether there is evidence for the model (shrink above 0)
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
    """Turn the forecasts of a model, log returns of shape (m,), into signals at the `rows` of `frame`."""
    close = frame.bars.close[rows]
    atr, volatility = frame.column("atr")[rows], frame.column("realised_volatility")[rows]
    predicted = close * np.exp(forecast)
    scale = threshold_scale if rules.threshold_scale is None else rules.threshold_scale
    threshold = scale * threshold_unit(atr, volatility, close)
    values = {
        **{name: frame.column(name)[rows] for name in frame.names},
        "volatility_mean": frame.extras.volatility_mean[rows],
        "close": close,
        "move": predicted - close,
        "threshold": threshold,
    }
    long = np.stack([condition.long(values) for condition in _CONDITIONS], axis=1)
    short = np.stack([condition.short(values) for condition in _CONDITIONS], axis=1)
    is_long, is_short = (
        side[:, 0] & (side[:, 1:].sum(axis=1) >= rules.min_confirmations) for side in (long, short)
    )
    half_width = evidence.interval_error * atr / close
    return SignalFrame(
        decided_at=frame.bars.closed[rows],
        close=close,
        predicted=predicted,
        threshold=threshold,
        expected_move=np.abs(forecast) * evidence.mean_shrink,
        confidence=evidence.confidence(forecast, atr / close),
        low=close * np.exp(forecast - half_width),
        high=close * np.exp(forecast + half_width),
        long=long,
        short=short,
        supported=np.full(len(rows), evidence.shrink > 0),
        signal=is_long.astype(np.int8) - is_short.astype(np.int8),
    )


def concatenate(frames: list[SignalFrame]) -> SignalFrame:
    """Join the signals of consecutive periods."""
    names = SignalFrame.__dataclass_fields__
    return SignalFrame(**{name: np.concatenate([getattr(frame, name) for frame in frames]) for name in names})
