"""Indicators of plug-ins as entries of the catalogue: what the user's functions return is checked."""

from collections.abc import Callable, Iterable
from functools import lru_cache

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.features.catalogue import CATALOGUE, IndicatorSpec, indicator_names
from crypto_refactor.market.bars import Bars
from crypto_refactor.plugins import Indicator, PluginFile, all_indicators, require_new_names, running


@lru_cache(maxsize=32)
def catalogue_of(plugins: tuple[PluginFile, ...]) -> tuple[IndicatorSpec, ...]:
    """Return the built-in catalogue and the indicators of `plugins`, in their order.

    Raises
    ------
    PluginError
        If a plug-in cannot be loaded, or a name is taken.
    """
    declared = all_indicators(plugins)
    require_new_names(declared, (*indicator_names(), *_OTHER_VALUES), "indicator")
    return catalogue_with(declared)


def catalogue_with(indicators: Iterable[Indicator]) -> tuple[IndicatorSpec, ...]:
    """Return the built-in catalogue and `indicators`, what they return checked."""
    return (*CATALOGUE, *map(_spec, indicators))


_OTHER_VALUES = ("close", "move", "threshold", "volatility_mean")
"""What conditions find beside the indicators."""


def _spec(indicator: Indicator) -> IndicatorSpec:
    def value(bars: Bars) -> FloatArray:
        own = _checked(indicator, bars, "its value", lambda: indicator.value(bars))
        own.flags.writeable = False  # its model input must not change it
        return own

    def model_input(bars: Bars, own: FloatArray) -> FloatArray:
        return _checked(indicator, bars, "its model input", lambda: indicator.model_input(bars, own))

    return IndicatorSpec(
        name=indicator.name,
        formula=indicator.formula,
        input_formula=indicator.input_formula,
        source=indicator.source,
        value=value,
        model_input=model_input,
    )


def _checked(indicator: Indicator, bars: Bars, what: str, compute: Callable[[], FloatArray]) -> FloatArray:
    """Return what `compute` does, or raise PluginError where it is not what an indicator has to be."""
    expected = f"float64 of shape ({len(bars)},), finite from bar {indicator.warmup} of a series on."
    with running(lambda problem: indicator.origin.error(f"{what} fails with {problem}", expected=expected)):
        array = compute()
    wrong = wrong_array(array, len(bars))
    if wrong is not None:
        raise indicator.origin.error(f"{what} is {wrong}", expected=expected)
    missing = np.flatnonzero(~np.isfinite(array[indicator.warmup :]))
    if len(missing):
        row = indicator.warmup + int(missing[0])
        raise indicator.origin.error(f"{what} is {array[row]} at {bars.row_text(row)}", expected=expected)
    return array


def wrong_array(array: object, count: int) -> str | None:
    """Return what an indicator gave instead of one number for each of `count` bars; None if it did."""
    if not isinstance(array, np.ndarray):
        return f"a {type(array).__name__}, no array"
    if array.shape != (count,) or array.dtype != np.float64:
        return f"{array.dtype} of shape {array.shape}, from {count} bars"
    return None
