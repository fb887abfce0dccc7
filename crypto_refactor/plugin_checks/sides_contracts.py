"""Contracts of conditions and exits: each close is judged by its own values alone."""

from collections.abc import Callable, Iterator

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray
from crypto_refactor.errors import PluginError
from crypto_refactor.features.frame import compute_features
from crypto_refactor.plugin_checks.contract import Breach, Contract
from crypto_refactor.plugin_checks.trial_bars import TrialBars
from crypto_refactor.plugins import Condition, Exit, PluginFile, SidesTest
from crypto_refactor.signals.condition_catalogue import checked_sides, condition_values

MEANINGS = {
    "shape": "two arrays of bool, one entry for each close",
    "alone": "a close alone is judged as among others",
    "repeat": "the same values give the same answer",
}
_SIDES = ("long", "short")


def sides_contracts(
    kind: str, find: Callable[[], Condition | Exit], file: PluginFile, trial: TrialBars
) -> Iterator[Contract]:
    """Yield the outcome of each contract of the condition or exit that `find` returns from code that ran anew."""
    piece = find()
    closed, values = _values(file, trial)

    def contract(name: str, breach: Breach | None) -> Contract:
        return Contract(kind=kind, piece=piece.name, name=name, meaning=MEANINGS[name], breach=breach)

    def test() -> SidesTest:
        return _test(find())

    try:
        whole = test()(values)
    except PluginError as error:
        yield contract("shape", Breach(text=error.what, bars=trial.name))
        return
    yield contract("shape", None)
    yield contract("alone", _alone_breach(test(), values, whole, closed, trial.name))
    again = test()(values)
    changed = np.flatnonzero((whole[0] != again[0]) | (whole[1] != again[1]))
    breach = None
    if len(changed):
        breach = Breach(text="another answer in a second run", bars=trial.name, bar=int(closed[changed[0]]))
    yield contract("repeat", breach)


def _test(piece: Condition | Exit) -> SidesTest:
    return checked_sides(piece.origin, piece.holds if isinstance(piece, Condition) else piece.keeps)


def _values(file: PluginFile, trial: TrialBars) -> tuple[HourArray, dict[str, FloatArray]]:
    """Return the closes with features, and what conditions see there, with forecasts that were drawn."""
    frame = compute_features(trial.bars, (file,))
    rows = np.flatnonzero(frame.ready)
    rng = np.random.default_rng(0)
    close = frame.bars.close[rows]
    move = close * frame.column("realised_volatility")[rows] * rng.normal(size=len(rows))
    return frame.bars.closed[rows], condition_values(
        frame, rows, move, np.abs(move).mean() * np.ones(len(rows))
    )


def _alone_breach(
    test: SidesTest,
    values: dict[str, FloatArray],
    whole: tuple[BoolArray, BoolArray],
    closed: HourArray,
    bars: str,
) -> Breach | None:
    for row in range(len(closed)):
        try:
            alone = test({name: column[row : row + 1] for name, column in values.items()})
        except PluginError as error:
            return Breach(text=error.what, bars=bars, bar=int(closed[row]))
        for side, (among, by_itself) in enumerate(zip(whole, alone, strict=True)):
            if among[row] != by_itself[0]:
                words = ("does not hold", "holds")
                text = (
                    f"for {_SIDES[side]} it {words[bool(among[row])]} among all closes and "
                    f"{words[bool(by_itself[0])]} when this close is judged alone"
                )
                return Breach(
                    text=text,
                    bars=bars,
                    bar=int(closed[row]),
                    known=float(among[row]),
                    hidden=float(by_itself[0]),
                )
    return None
