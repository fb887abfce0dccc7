"""What a plug-in declares: functions of the user's, with what the tool must know about them."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from crypto_refactor.arrays import BoolArray, FloatArray
from crypto_refactor.errors import PluginError
from crypto_refactor.market.bars import Bars

Values = Mapping[str, FloatArray]
"""At each of m closes: every indicator by name, `close`, `volatility_mean` (per bar), and `move` (predicted price less close)
and `threshold` in quote currency; read-only arrays of shape (m,)."""

IndicatorValue = Callable[[Bars], FloatArray]
"""Unbroken bars -> the value at each close, shape (n,): row t depends on bars up to t only."""
IndicatorInput = Callable[[Bars, FloatArray], FloatArray]
"""The same bars and the value -> the input of the model, shape (n,), free of the units of price and volume."""
Sides = tuple[BoolArray, BoolArray]
"""Whether something holds for long, and for short, at each of m closes: shape (m,) each."""
SidesTest = Callable[[Values], Sides]
"""The values at m closes -> the sides, row by row."""
NetworkBuilder = Callable[[Any, Any, Any], Any]
"""Keras, the scaled inputs (batch, lookback, inputs) and the `Recipe` -> what the dense layers read (batch, units)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where something was declared."""

    path: Path
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}, {self.name}"

    def error(self, problem: str, *, expected: str) -> PluginError:
        """Return the error of what was declared here."""
        return PluginError(f"{self}: {problem}.", expected=expected, remedy="correct the plug-in.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Indicator:
    """An indicator: a value for people and rules, and an input for the model."""

    name: str
    origin: Origin
    value: IndicatorValue
    model_input: IndicatorInput
    warmup: (
        int  # bars at the start of a series whose values may be missing, or depend on where the series begins
    )
    formula: str
    input_formula: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """A condition of a signal beside the built-in ones."""

    name: str
    origin: Origin
    holds: SidesTest
    long_text: str
    short_text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network for ``--network``."""

    name: str
    origin: Origin
    build: NetworkBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """An exit for ``--exit``: whether a position is kept while its signal has ended."""

    name: str
    origin: Origin
    keeps: SidesTest


@contextmanager
def running(describe: Callable[[str], Exception]) -> Iterator[None]:
    """Run code of a plug-in: whatever it raises, `sys.exit` included, becomes the error that `describe` makes of it."""
    try:
        yield
    except (PluginError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise describe(f"{type(error).__name__}: {error}") from error


class _Named(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def origin(self) -> Origin: ...


Declaration = TypeVar("Declaration", bound=_Named)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def add_declaration(declarations: list[Declaration], new: Declaration) -> None:
    """Append `new`.

    Raises
    ------
    PluginError
        If its name is no name, or taken.
    """
    if not _NAME.fullmatch(new.name):
        raise new.origin.error(
            f"{new.name!r} is no name", expected="lower-case letters, digits and underscores, a letter first."
        )
    for other in declarations:
        if other.name == new.name:
            raise new.origin.error(
                f"the name {new.name!r} is taken, in {other.origin.path}, line {other.origin.line}",
                expected="a name of its own for everything of one kind.",
            )
    declarations.append(new)


def require_new_names(declarations: list[Declaration], builtin: tuple[str, ...], kind: str) -> None:
    """Raise PluginError if one of `declarations` has the name of a built-in one of its `kind`."""
    for declaration in declarations:
        if declaration.name in builtin:
            raise declaration.origin.error(
                f"{declaration.name!r} is the name of a built-in {kind}",
                expected=f"another name than {', '.join(builtin)}.",
            )
