"""Bars -> FeatureFrame: every indicator of every bar, as values for people and as inputs for the model."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray
from crypto_refactor.errors import DataError
from crypto_refactor.features.catalogue import WARMUP, IndicatorSpec, indicator_names
from crypto_refactor.features.plugin_indicators import catalogue_of
from crypto_refactor.features.price_indicators import bollinger_bands, volatility_mean
from crypto_refactor.market.bars import Bars, segment_starts
from crypto_refactor.market.hours import to_iso
from crypto_refactor.plugins import PluginFile


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureExtras:
    """Values for people and rules beside the indicators; float64 of shape (n,), NaN where not ready.

    Attributes
    ----------
    bollinger_upper, bollinger_lower : ndarray
        The bands, price units.
    bollinger_width : ndarray
        (upper - lower) / middle, a fraction.
    volatility_mean : ndarray
        20-bar mean of the realised volatility, per bar.
    """

    bollinger_upper: FloatArray
    bollinger_lower: FloatArray
    bollinger_width: FloatArray
    volatility_mean: FloatArray

    def __post_init__(self) -> None:
        for column in fields(self):
            getattr(self, column.name).flags.writeable = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FeatureFrame:
    """The features of a series of bars; arrays are read-only.

    Attributes
    ----------
    bars : Bars
        The bars, synthetic ones included.
    names : tuple of str
        The k indicators, in column order.
    values : ndarray of float64, shape (n, k)
        For people and rules.  NaN where not ready, finite elsewhere.
    inputs : ndarray of float64, shape (n, k)
        For the model, free of the units of price and volume.  NaN where not ready, finite elsewhere.
    ready : ndarray of bool, shape (n,)
        Whether `position` is at least `WARMUP`.
    position : ndarray of int64, shape (n,)
        Number of bars of the same unbroken series before this one.
    extras : FeatureExtras
        Bollinger bands and the mean volatility.
    plugins : tuple of PluginFile
        Where further indicators come from, and further conditions of signals.
    """

    bars: Bars
    names: tuple[str, ...]
    values: FloatArray
    inputs: FloatArray
    ready: BoolArray
    position: HourArray
    extras: FeatureExtras
    plugins: tuple[PluginFile, ...] = ()

    def __post_init__(self) -> None:
        for array in (self.values, self.inputs, self.ready, self.position):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.bars)

    def column(self, name: str) -> FloatArray:
        """Return the values of the indicator `name`, shape (n,).

        Raises
        ------
        KeyError
            If the frame has no such indicator.
        """
        if name not in self.names:
            raise KeyError(f"{name!r} is none of " + ", ".join(self.names))
        return self.values[:, self.names.index(name)]


def compute_features(
    bars: Bars, plugins: tuple[PluginFile, ...] = (), *, catalogue: Sequence[IndicatorSpec] | None = None
) -> FeatureFrame:
    """Compute every indicator on every bar, for each unbroken series separately.

    Parameters
    ----------
    bars : Bars
        Bars after `fill_gaps`; a gap that is still open splits the series.
    plugins : tuple of PluginFile
        Add their indicators to the built-in ones.
    catalogue : sequence of IndicatorSpec, optional
        The indicators, in column order; by default the built-in ones and those of `plugins`.

    Returns
    -------
    FeatureFrame
        As long as `bars`.  The first `WARMUP` bars of every series have no features.

    Raises
    ------
    DataError
        If prices or volumes are so extreme that a feature leaves the range of numbers.
    PluginError
        If an indicator of a plug-in fails, or gives what cannot be used.
    """
    catalogue = catalogue_of(plugins) if catalogue is None else catalogue
    starts = segment_starts(bars)
    stops = np.append(starts, len(bars))[1:]
    values, inputs = (np.full((len(bars), len(catalogue)), np.nan) for _ in range(2))
    extras = {column.name: np.full(len(bars), np.nan) for column in fields(FeatureExtras)}
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if stop - start <= WARMUP:
            continue
        ready = slice(start + WARMUP, stop)
        segment = bars if len(starts) == 1 else bars.rows(start, stop)
        segment = segment.sealed() if plugins else segment
        # An overflow is refused below, with the bar that caused it.
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            for column, spec in enumerate(catalogue):
                value = spec.value(segment)
                values[ready, column] = value[WARMUP:]
                inputs[ready, column] = spec.model_input(segment, value)[WARMUP:]
            for name, extra in _extras(segment).items():
                extras[name][ready] = extra[WARMUP:]
    position = np.arange(len(bars)) - np.repeat(starts, stops - starts)
    frame = FeatureFrame(
        bars=bars,
        names=indicator_names(catalogue),
        values=values,
        inputs=inputs,
        ready=position >= WARMUP,
        position=position,
        extras=FeatureExtras(**extras),
        plugins=plugins,
    )
    _require_finite(frame)
    return frame


def _extras(segment: Bars) -> dict[str, FloatArray]:
    upper, lower, width = bollinger_bands(segment.close, 20, 2.0)
    return {
        "bollinger_upper": upper,
        "bollinger_lower": lower,
        "bollinger_width": width,
        "volatility_mean": volatility_mean(segment.close, 24, 20),
    }


def _require_finite(frame: FeatureFrame) -> None:
    broken = frame.ready[:, None] & ~(np.isfinite(frame.values) & np.isfinite(frame.inputs))
    if not broken.any():
        return
    row, column = (int(index) for index in np.argwhere(broken)[0])
    raise DataError(
        f"{frame.names[column]} of {frame.bars.ticker} has no finite value at {frame.bars.row_text(row)}.",
        expected="prices and volumes within the range of numbers.",
        remedy=f"check the bars from {frame.bars.source} up to {to_iso(int(frame.bars.closed[row]))}.",
    )
