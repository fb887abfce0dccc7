"""From forecasts to signals: the dynamic threshold, the conditions, and how many of them must hold.

A single signal and a year of signals run through the same functions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from crypto_refactor.arguments import is_number, is_whole
from crypto_refactor.arrays import BoolArray, FloatArray, RowArray, SideArray
from crypto_refactor.errors import UsageError
from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.model.evidence import Evidence, threshold_unit
from crypto_refactor.plugins import PluginFile
from crypto_refactor.signals.condition_catalogue import CONDITIONS, condition_values, conditions_of, exits_of

DEFAULT_MIN_CONFIRMATIONS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRules:
    """What a forecast needs to become a signal.

    `min_confirmations` of the conditions other than `forecast` (nine, and those of plug-ins) must hold; `threshold_scale`
    overrides that of the model.
    """

    min_confirmations: int = DEFAULT_MIN_CONFIRMATIONS
    threshold_scale: float | None = None

    def __post_init__(self) -> None:
        if not is_whole(self.min_confirmations) or self.min_confirmations < 0:
            raise UsageError.invalid("--min-confirmations", self.min_confirmations, "0 or more", example="6")
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

    def require_possible(self, plugins: tuple[PluginFile, ...]) -> None:
        """Raise UsageError if there are not so many confirmations, those of `plugins` included."""
        most = len(conditions_of(plugins)) - 1
        if self.min_confirmations > most:
            raise UsageError.invalid("--min-confirmations", self.min_confirmations, f"0 to {most}")


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
    long: BoolArray  # (m, c), whether each condition holds for the side
    short: BoolArray
    supported: BoolArray  # whether there is evidence for the model (shrink above 0)
    signal: SideArray
    conditions: tuple[str, ...] = CONDITIONS  # names of the c conditions; the first is the forecast
    keeps: Mapping[str, BoolArray] = field(default_factory=dict)
    """By the exit of a plug-in: whether a long, and a short, is kept without a signal, (m, 2)."""

    def __len__(self) -> int:
        return len(self.decided_at)

    @property
    def forecast_side(self) -> SideArray:
        """The sign of predicted price less close."""
        return np.sign(self.predicted - self.close).astype(np.int8)

    @property
    def conditions_met(self) -> BoolArray:
        """The conditions for the forecast's side (long's where the forecast is 0), shape (m, c)."""
        return np.where((self.forecast_side < 0)[:, None], self.short, self.long)

    @property
    def confirmations(self) -> RowArray:
        """How many conditions other than `forecast` hold for the forecast's side."""
        return np.asarray(self.conditions_met[:, 1:].sum(axis=1), dtype=np.int64)

    def columns(self) -> Iterator[tuple[str, npt.NDArray[Any]]]:
        """Yield everything that was decided, as (name, array of shape (m,))."""
        for name in SIGNAL_ARRAYS:
            array = getattr(self, name)
            if array.ndim == 1:
                yield name, array
            else:
                yield from (
                    (f"{name}: {condition}", array[:, i]) for i, condition in enumerate(self.conditions)
                )
        for name, keep in self.keeps.items():
            yield from ((f"{name}: keeps a {side}", keep[:, i]) for i, side in enumerate(("long", "short")))


SIGNAL_ARRAYS = tuple(each.name for each in fields(SignalFrame) if each.name not in {"conditions", "keeps"})
"""The fields of a `SignalFrame` with one row for each bar."""


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
    values = condition_values(frame, rows, predicted - close, threshold)
    conditions = conditions_of(frame.plugins)
    held = [condition.holds(values) for condition in conditions]
    long, short = (np.stack([sides[side] for sides in held], axis=1) for side in (0, 1))
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
        conditions=tuple(condition.name for condition in conditions),
        keeps={name: np.stack(keeps(values), axis=1) for name, keeps in exits_of(frame.plugins).items()},
    )


def concatenate(frames: list[SignalFrame]) -> SignalFrame:
    """Join the signals of consecutive periods, decided by the same conditions."""
    arrays: dict[str, Any] = {
        name: np.concatenate([getattr(frame, name) for frame in frames]) for name in SIGNAL_ARRAYS
    }
    keeps = {name: np.concatenate([frame.keeps[name] for frame in frames]) for name in frames[0].keeps}
    return replace(frames[0], **arrays, keeps=keeps)
