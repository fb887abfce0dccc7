"""Contracts of indicators: what the built-in ones keep, tried on a plug-in's own functions.

Each call runs the plug-in's code anew, unless a contract is about what an earlier call leaves behind.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.equality import different_bits, same_bits, start_tolerance
from crypto_refactor.features.plugin_indicators import wrong_array
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.plugin_checks.contract import Breach, Contract
from crypto_refactor.plugin_checks.trial_bars import TrialBars
from crypto_refactor.plugins import Indicator, PluginFile, load_anew, running

_ROUNDING = 1e-9
_SCALES = (1e-6, 0.3, 1e5)
_STARTS = (1, 7, 24, 100, 237)
_SHORTEST_STEP = 25
_COLUMNS = ("its value", "its model input")

KIND = "indicator"
MEANINGS = {
    "shape": "float64, one number for each bar, finite beyond its warm-up",
    "prefix": "no bar changes when later bars are hidden",
    "start": "beyond the warm-up it does not matter where the data begin",
    "scale": "the model input does not depend on the units of price and volume",
    "repeat": "the same bars give the same bits, whatever was computed before",
    "input": "no bar is modified",
}

Pair = tuple[FloatArray, FloatArray]
"""The value and the model input at each bar, shape (n,) each."""


@dataclass(frozen=True, slots=True)
class _Failed(Exception):  # noqa: N818 - it is a result, not an error that leaves this module
    """What a function did instead of returning an array of numbers."""

    text: str


@dataclass(frozen=True, slots=True)
class IndicatorTrial:
    """One indicator of a plug-in, on some bars."""

    file: PluginFile
    name: str
    warmup: int
    bars: TrialBars

    def contracts(self) -> Iterator[Contract]:
        """Yield the outcome of each contract; where the values have no shape, of that one alone."""
        try:
            # The shorter ones first: what a call leaves outside its module cannot hold later bars then.
            parts = list(self._prefixes())
            whole = self._anew(self.bars.bars)
        except _Failed as failed:
            yield self._contract("shape", Breach(text=failed.text, bars=self.bars.name))
            return
        # A value that is missing because the future is, is found here, and named by the contract it breaks.
        yield self._contract("prefix", self._prefix_breach(whole, parts))
        missing = self._shape_breach(whole)
        yield self._contract("shape", missing)
        if missing is not None:
            return
        yield self._contract("start", self._start_breach(whole))
        yield self._contract("scale", self._scale_breach(whole))
        yield self._contract("repeat", self._repeat_breach(whole))
        yield self._contract("input", self._input_breach())

    def milliseconds(self) -> float:
        """Return the time of the fastest of three computations, for 1,000 bars."""
        indicator = self._indicator()
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            _compute(indicator, self.bars.bars)
            seconds.append(time.perf_counter() - start)
        return 1000 * min(seconds) * 1000 / len(self.bars.bars)

    def _contract(self, name: str, breach: Breach | None) -> Contract:
        return Contract(kind=KIND, piece=self.name, name=name, meaning=MEANINGS[name], breach=breach)

    def _indicator(self) -> Indicator:
        return next(each for each in load_anew(self.file).indicators if each.name == self.name)

    def _anew(self, bars: Bars) -> Pair:
        return _compute(self._indicator(), bars)

    def _breach(self, row: int, column: int, known: float, hidden: float, text: str) -> Breach:
        return Breach(
            text=f"{_COLUMNS[column]} {text}",
            bars=self.bars.name,
            bar=int(self.bars.bars.closed[row]),
            known=float(known),
            hidden=float(hidden),
        )

    def _prefixes(self) -> Iterator[Pair]:
        """Yield what the first bars alone give, for every number of bars that a run computes, and for some shorter ones."""
        for count in (*range(self.warmup + 1, WARMUP, _SHORTEST_STEP), *range(WARMUP + 1, len(self.bars))):
            try:
                yield self._anew(self.bars.first(count))
            except _Failed as failed:
                if count > WARMUP:  # no shorter series is ever computed
                    raise _Failed(f"{failed.text}, from the first {count:,} bars") from failed

    def _prefix_breach(self, whole: Pair, parts: Sequence[Pair]) -> Breach | None:
        """Return the first bar that changes when later ones are hidden, over all numbers of bars left."""
        first: tuple[int, int, int, float, float] | None = None  # bar, column, bars left, and both values
        for part in parts:
            count = len(part[0])
            for column, (known, hidden) in enumerate(zip(whole, part, strict=True)):
                before, after = known[self.warmup : count], hidden[self.warmup :]
                changed = np.flatnonzero(different_bits(before, after))
                if len(changed) and (first is None or self.warmup + changed[0] < first[0]):
                    at = int(changed[0])
                    first = self.warmup + at, column, count, before[at], after[at]
        if first is None:
            return None
        row, column, count, known_value, hidden_value = first
        later = f"{len(self.bars) - count:,} later bars"
        text = f"is {known_value:.10g}, and {hidden_value:.10g} when {later} are hidden"
        if abs(known_value - hidden_value) <= _ROUNDING * _spread(whole[column][WARMUP:]):
            text += (
                ": rounding alone, so compute it bar by bar or in rolling windows, not from the whole array"
            )
        return self._breach(row, column, known_value, hidden_value, text)

    def _shape_breach(self, whole: Pair) -> Breach | None:
        for column, values in enumerate(whole):
            missing = np.flatnonzero(~np.isfinite(values[self.warmup :]))
            if len(missing):
                row = self.warmup + int(missing[0])
                text = f"is {values[row]}, beyond its warm-up of {self.warmup} bars"
                return self._breach(row, column, values[row], values[row], text)
        return None

    def _start_breach(self, whole: Pair) -> Breach | None:
        for start in _STARTS:
            try:
                part = self._anew(self.bars.bars.rows(start, len(self.bars)).sealed())
            except _Failed as failed:
                return Breach(text=f"{failed.text}, without the first {start} bars", bars=self.bars.name)
            for column, (known, later) in enumerate(zip(whole, part, strict=True)):
                before, after = known[start + self.warmup :], later[self.warmup :]
                moved = np.flatnonzero(~(np.abs(before - after) <= start_tolerance(known[WARMUP:])))
                if len(moved):
                    at = int(moved[0])
                    text = f"is {before[at]:.10g}, and {after[at]:.10g} when the data begin {start} h later"
                    return self._breach(start + self.warmup + at, column, before[at], after[at], text)
        return None

    def _scale_breach(self, whole: Pair) -> Breach | None:
        allowed = _ROUNDING * _spread(whole[1][WARMUP:])
        for what in ("price", "volume"):
            for factor in _SCALES:
                try:
                    _, scaled = self._anew(self.bars.scaled(**{what: factor}))
                except _Failed as failed:
                    return Breach(text=f"{failed.text}, with {what}s times {factor:g}", bars=self.bars.name)
                known, other = whole[1][WARMUP:], scaled[WARMUP:]
                moved = np.flatnonzero(~(np.abs(known - other) <= allowed))
                if len(moved):
                    at = int(moved[0])
                    text = f"is {known[at]:.10g}, and {other[at]:.10g} with every {what} times {factor:g}"
                    return self._breach(WARMUP + at, 1, known[at], other[at], text)
        return None

    def _repeat_breach(self, whole: Pair) -> Breach | None:
        """Return how the same bars give other values: from a call before, or from nothing at all."""
        used = self._indicator()
        bars = self.bars.bars
        others = (
            bars.rows(100, len(bars)).sealed(),
            self.bars.first(WARMUP + 100),
            self.bars.scaled(price=2.0),
        )
        try:
            for other in others:
                _compute(used, other)
            attempts = (("in a second run", self._anew(bars)),
                        ("after it was computed for other bars", _compute(used, bars)))  # fmt: skip
        except _Failed as failed:
            return Breach(text=failed.text, bars=self.bars.name)
        for when, again in attempts:
            for column, (first, second) in enumerate(zip(whole, again, strict=True)):
                changed = np.flatnonzero(different_bits(first[self.warmup :], second[self.warmup :]))
                if len(changed):
                    row = self.warmup + int(changed[0])
                    text = f"is {first[row]:.10g}, and {second[row]:.10g} {when}"
                    return self._breach(row, column, first[row], second[row], text)
        return None

    def _input_breach(self) -> Breach | None:
        bars, indicator = self.bars.bars, self._indicator()
        before = {name: getattr(bars, name).copy() for name in COLUMNS}
        value, _ = _compute(indicator, bars)
        kept = value.copy()
        _array(lambda: indicator.model_input(bars, value), len(bars))
        changed = [name for name in COLUMNS if not same_bits(before[name], getattr(bars, name))]
        if not same_bits(kept, value):
            changed.append("its own value")
        if not changed:
            return None
        return Breach(text=f"{', '.join(changed)} changed", bars=self.bars.name)


def _compute(indicator: Indicator, bars: Bars) -> Pair:
    value = _array(lambda: indicator.value(bars), len(bars))
    return value, _array(lambda: indicator.model_input(bars, value.copy()), len(bars))


def _array(compute: Callable[[], FloatArray], count: int) -> FloatArray:
    with running(lambda problem: _Failed(f"it fails with {problem}")), np.errstate(all="ignore"):
        array = compute()
    wrong = wrong_array(array, count)
    if wrong is not None:
        raise _Failed(f"it gives {wrong}")
    return array


def _spread(values: FloatArray) -> float:
    """Return the interquartile range; 0 where values are missing."""
    low, high = np.percentile(values, [25, 75])
    return float(high - low) if np.isfinite(high - low) else 0.0
