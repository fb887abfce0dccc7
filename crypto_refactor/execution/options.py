"""The one table of execution options, from which everything that names them is made.

Command lines, defaults, checks, repeat commands and ``--vary`` read it.  It imports nothing that is slow to
import, because the help of every command needs it.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from crypto_refactor.errors import UsageError

OptionValue = bool | int | float | str | None
"""None: the option is off, or its default depends on something else."""


def _finite_number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _never(value: float) -> bool:  # noqa: ARG001 - the default of a question about a value
    return False


class OptionSpec(NamedTuple):
    """What an option is: its name, its values and its meaning, without a command line around it."""

    name: str  # as on the command line, without its dashes
    help: str = ""
    default: OptionValue = None  # True or False make it a switch
    default_text: str = ""  # the word for None
    choices: tuple[str, ...] = ()  # the only values; empty for switches and numbers
    kind: Callable[[str], OptionValue] = _finite_number  # turns text into a value, or raises ValueError
    allows: Callable[[float], bool] = math.isfinite  # whether a number is in range
    expected: str = ""  # that range in words
    example: str | None = None  # a number in range
    variations: str = ""  # the values that ``--vary`` takes, in words; by default numbers
    metavar: str | None = None
    doubtful: Callable[[float], bool] = _never  # whether a number in range looks like another unit's
    unit: str = "a fraction"
    percent: float = 100.0  # what one unit is, in per cent
    negatable: bool = False  # ``--no-NAME`` switches it off again
    extensible: bool = False  # a plug-in may add choices

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return isinstance(self.default, bool)

    @property
    def none_word(self) -> str | None:
        """The word of ``--vary`` for None: that of the option itself, or ``default`` where that says more; else None."""
        if self.default is not None:
            return None
        return self.default_text if self.default_text.isalpha() else "default"

    @property
    def variation_text(self) -> str:
        """The values that ``--vary`` takes, in words."""
        if self.is_switch or self.choices:
            return "on, off" if self.is_switch else ", ".join(self.choices)
        return self.variations or ("numbers" if self.none_word is None else f"numbers, or {self.none_word}")

    def is_of_kind(self, value: object) -> bool:
        """Whether `value` is a switch, a choice or a number as this option takes it."""
        if self.is_switch or self.choices:
            if self.is_switch or self.extensible:
                return isinstance(value, bool if self.is_switch else str)
            return value in self.choices
        number = isinstance(value, float | int) and not isinstance(value, bool)
        return number or (value is None and self.default is None)

    @property
    def kind_text(self) -> str:
        """What `is_of_kind` accepts, in words."""
        return "True or False" if self.is_switch else " or ".join(self.choices) or self.expected or "a number"

    def check(self, value: OptionValue) -> None:
        """Raise UsageError for a number out of range."""
        if isinstance(value, float | int) and not self.allows(value):
            raise UsageError.invalid(
                f"--{self.name}", value, self.expected, example=self.example, hint=self._per_cent_meant(value)
            )

    def _per_cent_meant(self, value: float) -> str | None:
        """Return the remedy for a fraction that was probably typed in per cent; None where it was not."""
        if self.percent != 100 or not 1 <= value < 100 or not self.allows(value / 100) or not self.example:
            return None
        return f"write --{self.name} {value / 100:g}, if {value:g} % is meant."

    def hint(self, value: OptionValue) -> str | None:
        """Return what a number in range means where it looks like another unit's, else None."""
        if isinstance(value, bool) or not isinstance(value, float | int):
            return None
        if not self.allows(value) or not self.doubtful(value):
            return None
        return (
            f"--{self.name} is {self.unit}: {value:g} is {value * self.percent:g} % "
            f"({value:g} % would be {value / self.percent:g})."
        )

    def parse(self, text: str) -> OptionValue:
        """Read a value of ``--vary``; raise ValueError where it is none."""
        if text == self.none_word:
            return None
        if self.extensible and text.isidentifier():
            return text
        if text not in (("on", "off") if self.is_switch else self.choices or (text,)):
            raise ValueError(text)
        return text == "on" if self.is_switch else self.kind(text)

    def format(self, value: OptionValue) -> str:
        """Write a value as ``--vary`` reads it."""
        if value is None:
            return self.none_word or "none"
        if isinstance(value, bool):
            return "on" if value else "off"
        return f"{value:.12g}" if isinstance(value, float) else str(value)

    def words(self, value: OptionValue) -> list[str]:
        """Return the words of a command line that give the option this value; none for its default."""
        if value == self.default:
            return []
        return [f"--{self.name}"] if value is True else [f"--{self.name}", str(value)]


_FRACTION: dict[str, Any] = {"default_text": "off", "metavar": "FRACTION"}
_VARIED = "fractions such as 0.05, or off"
_UP_TO_ONE: dict[str, Any] = {
    "allows": lambda value: 0 < value <= 1,
    "expected": "a number above 0 and at most 1, for example 0.05",
    "example": "0.05",
}
_ABOVE_ZERO: dict[str, Any] = {"allows": lambda value: 0 < value < math.inf, "expected": "a number above 0"}

EXECUTION_OPTIONS: Mapping[str, OptionSpec] = {
    "venue": OptionSpec(
        "venue", "Order rules of a venue.", default="none", choices=("none", "alpaca"), kind=str
    ),
    "fee": OptionSpec(
        "fee",
        "Fraction of the notional on every fill.",
        default_text="0.001; at Alpaca 0.0025",
        allows=lambda value: 0 <= value < 1,
        expected="a fraction from 0 to below 1: 0.001 is 0.1 %",
        example="0.001",
        doubtful=lambda value: value >= 0.02,  # twice what the dearest venue asks
    ),
    "slippage_bps": OptionSpec(
        "slippage",
        "Basis points against the trader on every fill.",
        default=0.0,
        allows=lambda value: 0 <= value < 10_000,
        expected="basis points from 0 to below 10000",
        doubtful=lambda value: 0 < value < 0.1 or value >= 200,
        unit="in basis points",
        percent=0.01,
    ),
    "position_size": OptionSpec(
        "position-size",
        "Entry money as a fraction of the cash.",
        default=1.0,
        allows=lambda value: 0 < value <= 1,
        expected="a fraction above 0, at most 1",
        example="0.5",
    ),
    "exit": OptionSpec(
        "exit",
        "neutral: close when the signal ends; opposite: at the opposite signal; fade: also once the forecast has the other "
        "sign.",
        default="neutral",
        choices=("neutral", "opposite", "fade"),
        kind=str,
        extensible=True,
    ),
    "long_only": OptionSpec("long-only", "Let a short signal close a long and open nothing.", default=False),
    "strict": OptionSpec(
        "strict",
        "Enter only if the model has evidence and the expected move exceeds its cost.",
        default=False,
        negatable=True,
    ),
    "borrow": OptionSpec(
        "borrow",
        "Annual rate charged on shorts.",
        default=0.0,
        metavar="APR",
        allows=lambda value: 0 <= value < math.inf,
        expected="an annual rate of 0 or more",
        doubtful=lambda value: value >= 1,
        unit="a fraction a year",
    ),
    "stop_loss": OptionSpec(
        "stop-loss",
        "Exit when the close is this far against the entry.",
        variations=_VARIED,
        doubtful=lambda value: value >= 0.5,
        **_FRACTION | _UP_TO_ONE,
    ),
    "take_profit": OptionSpec(
        "take-profit",
        "Exit when the close is this far in favour.",
        variations=_VARIED,
        doubtful=lambda value: value >= 1,
        **_FRACTION | _ABOVE_ZERO,
    ),
    "max_drawdown": OptionSpec(
        "max-drawdown",
        "Halt entries this far below the peak equity.",
        doubtful=lambda value: value >= 1,
        **_FRACTION | _UP_TO_ONE | {"default_text": "off; at Alpaca 0.25"},
    ),
    "max_notional": OptionSpec(
        "max-notional", "Largest amount of one entry.", default_text="none", metavar="AMOUNT", **_ABOVE_ZERO
    ),
}
"""Every execution option by its field of `ExecutionOptions`."""
NEEDS_A_FORECAST = ("exit", "strict")
"""The options that targets, which have no forecast, do not take; their defaults leave targets as they are."""


def option_hints(rules: object) -> list[str]:
    """Return what the numbers of `rules`, a value with the fields of `EXECUTION_OPTIONS`, mean where they look doubtful."""
    hints = (spec.hint(getattr(rules, name)) for name, spec in EXECUTION_OPTIONS.items())
    return [hint for hint in hints if hint is not None]
