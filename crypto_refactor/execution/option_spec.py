"""What one option is: its name, its values and its meaning, without a command line around it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from crypto_refactor.errors import UsageError

OptionValue = bool | int | float | str | None
"""None: the option is off, or its default depends on something else."""


def finite_number(text: str) -> float:
    """Read a number that is neither infinite nor NaN."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionSpec:
    """An option, from which command lines, checks, ``--vary`` and tables of documentation are made."""

    name: str  # as on the command line, without its dashes
    default: OptionValue = None  # True or False make it a switch
    default_text: str = ""  # the word for None
    help: str = ""
    choices: tuple[str, ...] = ()  # the only values; empty for switches and numbers
    kind: Callable[[str], OptionValue] = finite_number  # turns text into a value, or raises ValueError
    allows: Callable[[float], bool] = math.isfinite  # whether a number is in range
    expected: str = ""  # that range in words
    variations: str = ""  # the numbers that ``--vary`` takes, in words
    metavar: str | None = None
    negatable: bool = False  # ``--no-NAME`` switches it off again

    @property
    def is_switch(self) -> bool:
        """Whether it is on or off."""
        return isinstance(self.default, bool)

    @property
    def variation_text(self) -> str:
        """The values that ``--vary`` takes, in words; empty where it takes none."""
        return "on, off" if self.is_switch else ", ".join(self.choices) or self.variations

    def check(self, value: OptionValue) -> None:
        """Raise UsageError for a number out of range."""
        if isinstance(value, float | int) and not self.allows(value):
            raise UsageError.invalid(f"--{self.name}", value, self.expected)

    def parse(self, text: str) -> OptionValue:
        """Read a value of ``--vary``; raise ValueError where it is none."""
        if text and text == self.default_text:
            return None
        if text not in (("on", "off") if self.is_switch else self.choices or (text,)):
            raise ValueError(text)
        return text == "on" if self.is_switch else self.kind(text)

    def format(self, value: OptionValue) -> str:
        """Write a value as ``--vary`` reads it."""
        if value is None:
            return self.default_text or "none"
        if isinstance(value, bool):
            return "on" if value else "off"
        return f"{value:.12g}" if isinstance(value, float) else str(value)

    def words(self, value: OptionValue) -> list[str]:
        """Return the words of a command line that give the option this value; none for its default."""
        if value == self.default:
            return []
        return [f"--{self.name}"] if value is True else [f"--{self.name}", str(value)]
