"""Windows of features, and the labels they are to predict.

The window of bar t holds the features of bars ``t - lookback + 1 … t``, all known when t closes; its
label is what happens from the close of t to the close of t + 1::

    features   | t-2 | t-1 |  t  |        window of t (lookback 3)
    label                        | t+1 |  log(close[t+1] / close[t])
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from crypto_refactor.arrays import BoolArray, Float32Array, FloatArray, HourArray, RowArray
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.market.bars import Bars
from crypto_refactor.model.recipe import CLIP

MAX_SYNTHETIC_IN_WINDOW = 6
IQR_FLOOR = 1e-6
VOLATILITY_FLOOR_SHARE = 0.1
_MIN_VOLATILITY = 1e-8


def has_full_window(frame: FeatureFrame, lookback: int) -> BoolArray:
    """Return which bars can be decided on, shape (n,).

    A bar can if it is real and its close does not jump, its whole window lies past the warm-up of one unbroken
    series, and at most six bars of the window are synthetic or jump.
    """
    missing = frame.bars.synthetic | frame.bars.held
    count_before = np.concatenate([[0], np.cumsum(missing)])
    end = np.arange(1, len(missing) + 1)
    in_window = count_before[end] - count_before[np.maximum(end - lookback, 0)]
    complete = frame.position >= WARMUP + lookback - 1
    return np.asarray(~missing & complete & (in_window <= MAX_SYNTHETIC_IN_WINDOW))


def labelled_rows(frame: FeatureFrame, lookback: int) -> RowArray:
    """Return the positions of bars whose window is complete and whose next bar is real and does not jump."""
    bars = frame.bars
    has_label = np.zeros(len(bars), dtype=np.bool_)
    has_label[:-1] = (np.diff(bars.opened) == 1) & ~(bars.synthetic | bars.held)[1:]
    return np.flatnonzero(has_full_window(frame, lookback) & has_label)


def take_windows(inputs: Float32Array, rows: RowArray, lookback: int) -> Float32Array:
    """Return the windows of `inputs`, shape (n, k), that end at `rows`: shape (m, lookback, k)."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs, lookback, axis=0)
    return np.ascontiguousarray(windows[rows - lookback + 1].transpose(0, 2, 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Split:
    """Three slices of the labelled rows, in time order, one row of embargo between them.

    A label shares a close with the next row's window; the embargo keeps it out of the next slice.
    """

    fit: slice
    stop: slice
    calibrate: slice


def split(count: int) -> Split:
    """Divide `count` labelled rows 70 : 15 : 15."""
    usable = count - 2
    fit, stop = int(0.7 * usable), int(0.15 * usable)
    return Split(
        fit=slice(0, fit), stop=slice(fit + 1, fit + 1 + stop), calibrate=slice(fit + stop + 2, count)
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingSet:
    """All rows of a fit, in time order: m labelled rows, n bars, k inputs."""

    inputs: Float32Array  # (n, k), raw: every bar from the first window to the last row
    rows: RowArray  # (m,), the position in `inputs` at which each window ends
    lookback: int  # bars per window
    closed: HourArray  # (m,), the hour at which each row's bar closes
    returns: FloatArray  # (m,), log(close[t+1] / close[t])
    volatility: FloatArray  # (m,), realised, at t, per bar
    close: FloatArray  # (m,), at t, in quote currency
    atr: FloatArray  # (m,), at t, in quote currency
    trained_from: int  # open of the first bar used for anything but warming up indicators
    trained_through: int  # close of the last bar used
    last_bars: str  # fingerprint of the last 24 bars up to `trained_through`

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def last_inputs(self) -> Float32Array:
        """The inputs of the last bar of each window, shape (m, k)."""
        return self.inputs[self.rows]

    @property
    def volatility_floor(self) -> float:
        """The least volatility by which a return is divided: a tenth of the median."""
        return max(VOLATILITY_FLOOR_SHARE * float(np.median(self.volatility)), _MIN_VOLATILITY)

    @property
    def target(self) -> FloatArray:
        """The labels in units of volatility, shape (m,)."""
        return self.returns / np.maximum(self.volatility, self.volatility_floor)

    def windows(self, part: slice = slice(None)) -> Float32Array:
        """Return the windows of some rows, shape (m, lookback, k)."""
        return take_windows(self.inputs, self.rows[part], self.lookback)


class InputScale(NamedTuple):
    """Median and interquartile range of each model input, shape (k,) each; the range is at least 1e-6."""

    median: FloatArray
    iqr: FloatArray

    def apply(self, inputs: Float32Array | FloatArray) -> FloatArray:
        """Return scaled inputs, clipped to +-5, shape (n, k)."""
        return np.clip((inputs - self.median) / self.iqr, -CLIP, CLIP)


def robust_scale(inputs: Float32Array) -> InputScale:
    """Return the scale of raw model inputs, shape (n, k)."""
    low, middle, high = np.percentile(inputs.astype(np.float64), [25, 50, 75], axis=0)
    return InputScale(median=middle, iqr=np.maximum(high - low, IQR_FLOOR))


CHECKED_BARS = 24
"""How many of the last training bars are compared when a model is used again."""


def last_bars(bars: Bars, through: int) -> str:
    """Return the fingerprint of the last 24 hours of real bars up to `through`."""
    span = bars.between(through - CHECKED_BARS, through)
    return span.without_synthetic().fingerprint()


def training_set(frame: FeatureFrame, rows: RowArray, lookback: int) -> TrainingSet:
    """Collect the labelled `rows` of `frame`."""
    bars = frame.bars
    first = int(rows[0]) - lookback + 1
    through = int(bars.closed[rows[-1] + 1])
    return TrainingSet(
        inputs=frame.inputs[first : rows[-1] + 1].astype(np.float32),
        rows=rows - first,
        lookback=lookback,
        closed=bars.closed[rows],
        returns=np.log(bars.close[rows + 1] / bars.close[rows]),
        volatility=frame.column("realised_volatility")[rows],
        close=bars.close[rows],
        atr=frame.column("atr")[rows],
        trained_from=int(bars.opened[first]),
        trained_through=through,
        last_bars=last_bars(bars, through),
    )
