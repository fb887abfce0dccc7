"""The conditions of a signal, for any number of bars at once: ten built-in ones, and those of plug-ins."""

from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray, RowArray
from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.plugins import (
    Origin,
    PluginFile,
    SidesTest,
    Values,
    all_conditions,
    all_exits,
    require_new_names,
    running,
)


class Condition(NamedTuple):
    """A named condition of a signal: its text for each side, and whether it holds for long and for short."""

    name: str
    long_text: str
    short_text: str
    holds: SidesTest  # comparisons are strict


def _mirrored(
    name: str, text: str, pair: Callable[[Values], tuple[FloatArray, FloatArray | float]]
) -> Condition:
    """Return a condition that asks for a > b for long, and for a < b for short."""

    def holds(values: Values) -> tuple[BoolArray, BoolArray]:
        left, right = pair(values)
        return left > right, left < right

    return Condition(name, text, text.replace(">", "<"), holds)


def _either(name: str, text: str, test: Callable[[Values], BoolArray]) -> Condition:
    """Return a condition that is the same for both sides."""
    return Condition(name, text, text, lambda values: (test(values),) * 2)


BUILTIN_CONDITIONS = (
    Condition(
        "forecast",
        "forecast above threshold",
        "forecast below -threshold",
        lambda v: (v["move"] > v["threshold"], -v["move"] > v["threshold"]),
    ),
    Condition("rsi", "RSI < 65", "RSI > 35", lambda v: (v["rsi"] < 65, v["rsi"] > 35)),
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

CONDITIONS = tuple(condition.name for condition in BUILTIN_CONDITIONS)
FORECAST = CONDITIONS[0]
VOLUME_CONDITIONS = ("obv", "vwap", "volume")
"""Confirmations that hold for neither side while no bar has any volume: they compare 0 with 0, or the close with itself."""


def volume_hint(required: int, conditions: int) -> str:
    """Return what bars without any volume mean for signals that need `required` confirmations of so many conditions."""
    most = conditions - 1 - len(VOLUME_CONDITIONS)
    possible = "all of which are needed" if required == most else f"and {required} are needed"
    return (
        f"Every bar has volume 0: {', '.join(VOLUME_CONDITIONS[:-1])} and {VOLUME_CONDITIONS[-1]} can never hold, so at "
        f"most {most} of {conditions - 1} confirmations can be met, {possible}."
    )


@lru_cache(maxsize=32)
def conditions_of(plugins: tuple[PluginFile, ...]) -> tuple[Condition, ...]:
    """Return the built-in conditions and those of `plugins`, in their order.

    Raises
    ------
    PluginError
        If a plug-in cannot be loaded, or a name is taken.
    """
    declared = all_conditions(plugins)
    require_new_names(declared, CONDITIONS, "condition")
    own = [
        Condition(each.name, each.long_text, each.short_text, checked_sides(each.origin, each.holds))
        for each in declared
    ]
    return (*BUILTIN_CONDITIONS, *own)


def descriptions_of(plugins: tuple[PluginFile, ...]) -> dict[str, tuple[str, str]]:
    """Return the text of each condition, (long, short), by name."""
    return {each.name: (each.long_text, each.short_text) for each in conditions_of(plugins)}


@lru_cache(maxsize=32)
def exits_of(plugins: tuple[PluginFile, ...]) -> dict[str, SidesTest]:
    """Return the exits of `plugins` by name: whether a long, and a short, is kept while its signal has ended.

    Raises
    ------
    PluginError
        If a plug-in cannot be loaded, or a name is taken.
    """
    return {each.name: checked_sides(each.origin, each.keeps) for each in all_exits(plugins)}


def checked_sides(origin: Origin, test: SidesTest) -> SidesTest:
    """Return `test`, which raises PluginError where its result is not what a condition has to be."""

    def holds(values: Values) -> tuple[BoolArray, BoolArray]:
        count = len(values["close"])
        expected = f"two arrays of bool, for long and for short, of shape ({count},)."
        with running(lambda problem: origin.error(f"it fails with {problem}", expected=expected)):
            sides = tuple(test(values))
        if len(sides) != 2:
            raise origin.error(f"it gives {len(sides)} values", expected=expected)
        for side in sides:
            if not isinstance(side, np.ndarray):
                raise origin.error(f"it gives a {type(side).__name__}, no array", expected=expected)
            if side.shape != (count,) or side.dtype != np.bool_:
                raise origin.error(f"it gives {side.dtype} of shape {side.shape}", expected=expected)
        return sides[0], sides[1]

    return holds


def condition_values(frame: FeatureFrame, rows: RowArray, move: FloatArray, threshold: FloatArray) -> Values:
    """Return what conditions see at `rows` of `frame`, read-only: the indicators, and the forecast's move and threshold."""
    values = {name: frame.column(name)[rows] for name in frame.names} | {
        "volatility_mean": frame.extras.volatility_mean[rows],
        "close": frame.bars.close[rows],
        "move": move,
        "threshold": threshold,
    }
    for array in values.values():
        array.flags.writeable = False
    return MappingProxyType(values)  # a plug-in's condition cannot change what the next one sees
