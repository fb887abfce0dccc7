"""Contracts of conditions and exits: each close is judged by its own values alone, whatever comes later."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray, RowArray
from crypto_refactor.errors import PluginError
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.frame import compute_features
from crypto_refactor.features.plugin_indicators import catalogue_with
from crypto_refactor.market.bars import Bars
from crypto_refactor.plugin_checks.contract import Breach, Contract
from crypto_refactor.plugin_checks.trial_bars import TrialBars
from crypto_refactor.plugins import Condition, Exit, Plugin, PluginFile, Sides, Values, load_anew
from crypto_refactor.signals.condition_catalogue import checked_sides, condition_values

MEANINGS = {
    "shape": "two arrays of bool, one entry for each close",
    "alone": "a close alone is judged as among others",
    "prefix": "no close is judged otherwise when later bars are hidden",
    "repeat": "the same values give the same answer",
}
_SIDES = ("long", "short")
_PREFIXES = 40


@dataclass(frozen=True, slots=True)
class _Judged:
    """A condition or exit, what it saw at some closes, and its answers there."""

    piece: Condition | Exit
    values: Values
    sides: Sides

    def alone(self) -> Sides:
        """Return the answers at each close when it is judged by itself."""
        answers = [
            _answers(self.piece, {name: column[row : row + 1] for name, column in self.values.items()})
            for row in range(len(self.values["close"]))
        ]
        long, short = (np.concatenate(side) for side in zip(*answers, strict=True))
        return long, short


Find = Callable[[Plugin], Condition | Exit]
"""Returns the condition or exit that is checked, from a plug-in that was loaded."""


@dataclass(frozen=True, slots=True)
class SidesTrial:
    """One condition or exit of a plug-in, on some bars, with forecasts that were drawn.

    Each judgement loads the plug-in anew, and its indicators are computed in the same module.
    """

    kind: str
    file: PluginFile
    find: Find
    bars: TrialBars

    def contracts(self) -> Iterator[Contract]:
        """Yield the outcome of each contract; where the answers have no shape, of that one alone."""
        try:
            # The shorter ones first: what a call leaves outside its module cannot hold later bars then.
            hidden = {count: self._judge(self.bars.first(count)).sides for count in self._counts()}
            judged = self._judge(self.bars.bars)
            again = self._judge(self.bars.bars).sides
            whole, alone = judged.sides, judged.alone()
        except PluginError as error:
            yield self._contract("shape", Breach(text=error.what, bars=self.bars.name))
            return
        yield self._contract("shape", None)
        yield self._contract(
            "alone", self._breach(whole, alone, "among all closes", "when this close is judged alone")
        )
        last = _last_answers(hidden, whole)
        yield self._contract(
            "prefix", self._breach(whole, last, "among all bars", "when later bars are hidden")
        )
        yield self._contract("repeat", self._breach(whole, again, "at first", "in a second run"))

    def _contract(self, name: str, breach: Breach | None) -> Contract:
        piece = self.find(load_anew(self.file)).name
        return Contract(kind=self.kind, piece=piece, name=name, meaning=MEANINGS[name], breach=breach)

    def _counts(self) -> list[int]:
        return sorted(set(np.linspace(WARMUP + 1, len(self.bars) - 1, _PREFIXES).astype(int).tolist()))

    def _judge(self, bars: Bars) -> _Judged:
        plugin = load_anew(self.file)
        frame = compute_features(bars, catalogue=catalogue_with(plugin.indicators))
        rows = np.flatnonzero(frame.ready)
        unit = frame.bars.close[rows] * frame.column("realised_volatility")[rows]
        values = condition_values(frame, rows, unit * _draws(rows, len(self.bars)), 0.5 * unit)
        piece = self.find(plugin)
        return _Judged(piece, values, _answers(piece, values))

    def _breach(self, whole: Sides, other: Sides, how: str, otherwise: str) -> Breach | None:
        """Return the first close at which two judgements differ."""
        for side, (answers, others) in enumerate(zip(whole, other, strict=True)):
            changed = np.flatnonzero(answers != others)
            if len(changed):
                row = int(changed[0])
                words = ("does not hold", "holds")
                return Breach(
                    text=f"for {_SIDES[side]} it {words[bool(answers[row])]} {how} and {words[bool(others[row])]} {otherwise}",
                    bars=self.bars.name,
                    bar=int(self._closes[row]),
                    known=float(answers[row]),
                    hidden=float(others[row]),
                )
        return None

    @property
    def _closes(self) -> HourArray:
        return self.bars.bars.closed[WARMUP:]


def _answers(piece: Condition | Exit, values: Values) -> Sides:
    test = piece.holds if isinstance(piece, Condition) else piece.keeps
    return checked_sides(piece.origin, test)(values)


def _last_answers(hidden: dict[int, Sides], whole: Sides) -> Sides:
    """Return the answers with each that was given at the last of some bars in the place of that among all."""
    long, short = (answers.copy() for answers in whole)
    for count, sides in hidden.items():
        for answers, known in zip((long, short), sides, strict=True):
            answers[count - WARMUP - 1] = known[-1]
    return long, short


def _draws(rows: RowArray, count: int) -> FloatArray:
    """Return the forecasts at `rows` of `count` bars, in volatilities, the same however many bars are known."""
    return np.random.default_rng(0).normal(size=count)[rows]
