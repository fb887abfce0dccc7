"""Is this price plausible?  Closes that cannot be prices, and steps between two units of the same coin.

A *jump* is a close that moves by more than 20 % and by more than 12 times the median range of the 24 bars before, or
that looks like a change of units: a step of more than 50 % across a gap, or one close to a power of ten.  What it was
shows within the next two bars: a **bad tick** is undone by at least 80 %, a **level break** is a change of units that
stays, and anything else that stays is a **move**.

`trusted` uses at each bar only what was known when it closed.  Until a jump is settled, its bars keep the last close
that was trusted and nothing is decided on them; protections act from its second bar on, at the close as it was quoted.
A bad tick is never treated as a move, and the prices after a level break are brought to the units before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Literal

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import PRICES, Bars
from crypto_refactor.market.hours import to_iso

MIN_MOVE: Final = 0.20
"""A smaller move of the close is never a jump, a fraction."""
MIN_RANGES: Final = 12
"""A jump is larger than so many ranges (high - low) of a typical bar before it."""
RANGE_BARS: Final = 24
"""How many bars before a jump say what is typical."""
UNDONE_SHARE: Final = 0.80
"""The share of a bad tick's move that the close takes back."""
SETTLING_BARS: Final = 2
"""Within how many bars it is taken back."""
LEVEL_STEP: Final = 0.50
"""A step across a gap above this fraction may be a change of units."""
_POWERS: Final = (1, 2, 3)
_POWER_TOLERANCE: Final = 0.1  # of the decimal logarithm: 7.9 to 12.6 is close to 10
_NAMED: Final = 5


class JumpKind(StrEnum):
    """What a jump turned out to be."""

    BAD_TICK = "bad_tick"  # undone within two bars
    LEVEL_BREAK = "level_break"  # a change of units
    MOVE = "move"  # it stayed, and counts
    UNSETTLED = "unsettled"  # fewer than two bars have closed since


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A close that jumps.

    Attributes
    ----------
    kind : JumpKind
        What it turned out to be.
    opened : int
        When its bar opened, hours since 1970.
    bars : int
        How many closes are not trusted: 1 or 2.
    move : float
        From the last trusted close to this one as quoted, a signed fraction.
    """

    kind: JumpKind
    opened: int
    bars: int
    move: float

    @property
    def refused(self) -> bool:
        """Whether bars with this jump are refused unless jumps are allowed."""
        return self.kind in {JumpKind.BAD_TICK, JumpKind.LEVEL_BREAK}

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return {
            "kind": self.kind.value,
            "opened": to_iso(self.opened),
            "bars": self.bars,
            "move": self.move,
        }

    @property
    def text(self) -> str:
        """The jump in words."""
        return f"{to_iso(self.opened)} {size_text(self.move)}, {_MEANING[self.kind].format(bars=self.bars)}"


_MEANING: Final = {
    JumpKind.BAD_TICK: "a bad tick of {bars} h, undone",
    JumpKind.LEVEL_BREAK: "a level break: another unit of the coin, or another coin",
    JumpKind.MOVE: "a move that stayed, trusted from its third bar on",
    JumpKind.UNSETTLED: "not confirmed by later bars yet",
}


def size_text(move: float) -> str:
    """Return the size of a move: ``-43.2 %``, or ``times 9.98`` where a percentage says little."""
    if -0.9 < move < 3:
        return f"{move * 100:+.1f} %"
    return f"times {1 + move:.3g}" if move > 0 else f"divided by {1 / (1 + move):.3g}"


def find_jumps(bars: Bars) -> tuple[Jump, ...]:
    """Return every jump of real bars, in time order."""
    return _Settler(bars).jumps


def trusted(bars: Bars, units: Literal["first", "last"] = "first") -> Bars:
    """Return real bars with the closes that may be trusted, bar by bar, and what protections act on.

    Parameters
    ----------
    bars : Bars
        Real bars, before `fill_gaps`.
    units : str
        The units of the prices where there is a level break: those of the first bar, so that no later bar changes an
        earlier one, or those of the last bar, in which the ticker is quoted now.

    Returns
    -------
    Bars
        `bars` itself where nothing jumps.
    """
    settler = _Settler(bars)
    if not settler.jumps:
        return bars
    factor = settler.unit if units == "last" else 1.0
    open_, high, low, close = (settler.prices[name] * factor for name in PRICES)
    return replace(
        bars,
        open=open_,
        high=high,
        low=low,
        close=close,
        volume=settler.volume / factor,
        protection_price=settler.protection * factor,
    )


def require_plausible(
    jumps: Sequence[Jump], bars: Bars, *, allow_jumps: bool, allow_ticks: bool = False
) -> None:
    """Refuse bars with level breaks and, unless `allow_ticks`, with bad ticks.

    Raises
    ------
    DataError
        If there are any and jumps are not allowed.
    """
    refused = [
        jump for jump in jumps if jump.refused and not (allow_ticks and jump.kind is JumpKind.BAD_TICK)
    ]
    if allow_jumps or not refused:
        return
    more = f"; and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
    raise DataError(
        f"The closes of {bars.ticker} from {bars.source} jump: "
        + "; ".join(jump.text for jump in refused[:_NAMED])
        + f"{more}.",
        expected="prices at which the coin was traded, in one unit.",
        remedy="correct these bars at their source, choose a window without them, or leave the jumps out of every "
        "figure with --allow-jumps.",
    )


def require_settled(jumps: Sequence[Jump], bars: Bars) -> None:
    """Refuse trusted `bars` the last close of which jumps.

    Raises
    ------
    DataError
        If it does: nothing is decided on it.
    """
    if not len(bars) or not bars.held[-1]:
        return
    raise DataError(
        f"The last close of {bars.ticker} from {bars.source} jumps: {jumps[-1].text}.",
        expected="a close that later bars confirm; nothing is decided on it before.",
        remedy=f"ask again when {SETTLING_BARS} more bars have closed, or use --end {to_iso(jumps[-1].opened)}.",
    )


class _Settler:
    """Goes through the bars that may jump, in time order, and settles each by what follows it."""

    def __init__(self, bars: Bars) -> None:
        self._opened = bars.opened
        self.prices: dict[str, FloatArray] = {name: getattr(bars, name) for name in PRICES}
        self.volume = bars.volume
        self.protection = bars.close
        self._level = bars.close  # closes as quoted, but for bad ticks: what the next bar is compared with
        self.unit = 1.0  # the last unit in terms of the first
        self.jumps: tuple[Jump, ...] = ()
        candidates = np.flatnonzero(_moves(bars.close) > MIN_MOVE) + 1
        if len(candidates):
            self.prices = {name: values.copy() for name, values in self.prices.items()}
            self.volume, self.protection, self._level = (
                bars.volume.copy(),
                bars.close.copy(),
                bars.close.copy(),
            )
            self._settle_all(candidates.tolist())

    def _settle_all(self, candidates: list[int]) -> None:
        jumps: list[Jump] = []
        settled = 0  # the first bar after the last jump
        for row in candidates:
            if row < settled:
                continue
            jump = self._settle(row)
            if jump is not None:
                jumps.append(jump)
                settled = row + (jump.bars if jump.kind is JumpKind.BAD_TICK else SETTLING_BARS)
        self.jumps = tuple(jumps)

    def _settle(self, row: int) -> Jump | None:
        """Settle the jump at `row`, None where it is none."""
        close = self._level
        before = float(close[row - 1])
        other_unit = self._is_other_unit(row, before)
        if not other_unit and not self._is_jump(row, before, float(close[row])):
            return None
        move = float(close[row]) / before - 1
        bars = self._bars_until_undone(row, before)
        if bars is not None:
            kind = JumpKind.BAD_TICK
        elif row + SETTLING_BARS >= len(close):
            kind, bars = JumpKind.UNSETTLED, len(close) - row
        else:
            kind, bars = (JumpKind.LEVEL_BREAK if other_unit else JumpKind.MOVE), SETTLING_BARS
        jump = Jump(kind=kind, opened=int(self._opened[row]), bars=bars, move=move)
        if kind is JumpKind.LEVEL_BREAK:
            self._change_unit(row, before)
        self._hold(row, bars, before, other_unit=other_unit)
        if kind is JumpKind.BAD_TICK:
            self._level[row : row + bars] = before
            self._carry_opens(row + 1, row + bars + 1, before)
        return jump

    def _is_jump(self, row: int, before: float, price: float) -> bool:
        high, low = self.prices["high"], self.prices["low"]
        if row < RANGE_BARS:
            return False  # too little is known to tell what is typical
        past = slice(row - RANGE_BARS, row)
        typical = float(np.median(high[past] - low[past]))
        move = abs(price - before)
        return move > MIN_MOVE * before and move > MIN_RANGES * typical

    def _is_other_unit(self, row: int, before: float) -> bool:
        ratio = float(self._level[row]) / before
        across_gap = self._opened[row] - self._opened[row - 1] > 1 and abs(ratio - 1) > LEVEL_STEP
        return bool(across_gap) or is_near_power_of_ten(ratio)

    def _bars_until_undone(self, row: int, before: float) -> int | None:
        close = self._level
        move = close[row] - before
        for later in range(row + 1, min(row + SETTLING_BARS + 1, len(close))):
            if (close[row] - close[later]) / move >= UNDONE_SHARE:
                return later - row
        return None

    def _change_unit(self, row: int, before: float) -> None:
        """Bring the bars from `row` on to the unit before it."""
        first_open, first_close = float(self.prices["open"][row]), float(self.prices["close"][row])
        in_open = abs(np.log(first_open / before)) > abs(np.log(first_close / first_open))
        step = (first_open if in_open else first_close) / before
        self.unit *= step
        for values in (*self.prices.values(), self.protection, self._level):
            values[row:] /= step
        self.volume[row:] *= step
        if not in_open:
            self.prices["open"][row] = first_open

    def _hold(self, row: int, bars: int, before: float, *, other_unit: bool) -> None:
        """Keep the last trusted close through the bars of a jump."""
        held = slice(row, row + bars)
        self.protection[held] = self.prices["close"][held]
        self.protection[row] = np.nan
        if other_unit:
            self.protection[held] = np.nan
            self._carry_opens(row, row + bars, before)
        self.prices["close"][held] = self.prices["close"][row - 1]
        self._fit_ranges(held)

    def _carry_opens(self, first: int, stop: int, before: float) -> None:
        """Replace opens that jump as well by the last trusted close."""
        opens = self.prices["open"]
        for row in range(first, min(stop, len(opens))):
            if self._is_jump(first, before, float(opens[row])):
                opens[row] = before
                self._fit_ranges(slice(row, row + 1))  # high and low held the false open

    def _fit_ranges(self, rows: slice) -> None:
        """Let high and low hold open and close, and nothing else."""
        open_, close = self.prices["open"][rows], self.prices["close"][rows]
        self.prices["high"][rows] = np.maximum(open_, close)
        self.prices["low"][rows] = np.minimum(open_, close)


def _moves(close: FloatArray) -> FloatArray:
    return np.abs(np.diff(close)) / close[:-1]


def is_near_power_of_ten(ratio: float) -> bool:
    """Whether the ratio of two prices is close to 10, 100, 1000 or the inverse of one of them."""
    digits = abs(float(np.log10(ratio)))
    return any(abs(digits - power) < _POWER_TOLERANCE for power in _POWERS)
