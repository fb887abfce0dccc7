"""What a comparison varies: options with the values to try, and every combination of them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import NamedTuple, cast, get_args, get_type_hints

from crypto_refactor.arguments import is_number, is_whole
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.options import EXECUTION_OPTIONS, OptionSpec, OptionValue
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules

MAX_TRIALS = 5000
"""As many as fit into the memory of a small machine: a trial of 2,160 hours takes about 5 MB."""
_PLUGIN = OptionSpec("plugin", default=True)
_PARTS = {"settings": ModelSettings, "signal_rules": SignalRules, "options": ExecutionOptions}


class _Variable(NamedTuple):
    """An option that can be varied: the part of a `ParameterSet` and the field there that hold it."""

    part: str
    field: str
    spec: OptionSpec


def _variables() -> Iterator[_Variable]:
    """Yield every option that decides or trades: each field of the three option objects."""
    for part, owner in _PARTS.items():
        hints = get_type_hints(owner)
        for field in fields(owner):
            if field.name == "plugins":
                yield _Variable(part, field.name, _PLUGIN)
                continue
            spec = EXECUTION_OPTIONS.get(field.name) or _spec(field.name, hints[field.name])
            yield _Variable(part, field.name, spec)


def _spec(field: str, hint: object) -> OptionSpec:
    """Return how values of an option of models or signals are written; its owner knows which are in range."""
    name, kinds = field.replace("_", "-"), get_args(hint) or (hint,)
    if int in kinds:
        return OptionSpec(name, default=0, kind=int, variations="whole numbers")
    if str in kinds:
        return OptionSpec(name, default="", kind=str, variations="names")
    return OptionSpec(name, default_text="own", variations="numbers, or own for the model's own")


_VARIABLES: Mapping[str, _Variable] = {variable.spec.name: variable for variable in _variables()}
VARIABLE_OPTIONS = tuple(_VARIABLES)
"""The names of the options that can be varied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """One way to decide and to trade."""

    settings: ModelSettings
    signal_rules: SignalRules
    options: ExecutionOptions
    varied: tuple[tuple[str, OptionValue], ...] = ()  # the varied options and their values, as asked for

    def check(self) -> None:
        """Raise UsageError where the plug-ins do not have what the rules ask for, naming the varied options."""
        try:
            self.signal_rules.require_possible(self.settings.plugins)
            self.options.require_known_exit(self.settings.plugins)
        except UsageError as error:
            if not self.varied:
                raise
            what = f"{error.what.removesuffix('.')}, in the setting {self.label}."
            raise UsageError(what, expected=error.expected, remedy=error.remedy) from error

    @property
    def label(self) -> str:
        """The varied options as ``--vary`` reads them: ``exit=fade, long-only=on``."""
        return _label(self.varied) or "as given"

    @property
    def model_label(self) -> str:
        """The varied options that models depend on, as ``--vary`` reads them; empty where none is."""
        return _label((name, value) for name, value in self.varied if _VARIABLES[name].part == "settings")

    def changed(self, name: str, value: OptionValue) -> ParameterSet:
        """Return this set with one option changed; raise UsageError for a value out of range."""
        variable = _VARIABLES[name]
        plugins = self.settings.plugins if value else ()
        changed = {variable.field: plugins if variable.spec is _PLUGIN else value}
        part = replace(getattr(self, variable.part), **changed)
        return replace(self, **{variable.part: part, "varied": (*self.varied, (name, value))})


def _label(varied: Iterable[tuple[str, OptionValue]]) -> str:
    return ", ".join(f"{name}={value_text(name, value)}" for name, value in varied)


class Axis(NamedTuple):
    """An option and the values to try, each once."""

    name: str
    values: tuple[OptionValue, ...]


def value_text(name: str, value: OptionValue) -> str:
    """Return a value as ``--vary`` reads it."""
    return _VARIABLES[name].spec.format(value)


def parse_axis(text: str) -> Axis:
    """Read ``NAME=V1,V2,…``; a value that is named twice counts once.

    Raises UsageError if the option cannot be varied or does not take a value.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    if name not in _VARIABLES or not equals:
        near = difflib.get_close_matches(name, VARIABLE_OPTIONS, n=1)
        raise UsageError(
            f"--vary is {text!r}.",
            expected=f"NAME=V1,V2,… with NAME one of {', '.join(VARIABLE_OPTIONS)}.",
            remedy=f"write --vary {near[0]}={values or '…'}." if near else "correct --vary.",
        )
    return Axis(name=name, values=tuple(dict.fromkeys(_parse(name, value) for value in values.split(","))))


def axis_of(name: str, values: Iterable[OptionValue] | str) -> Axis:
    """Return the axis of an option, named as its keyword or as on the command line, from values as a program has them.

    Values that are texts are read as ``--vary`` reads them; one text may hold several, separated by commas.  Raises
    UsageError if the option cannot be varied or does not take a value.
    """
    known = {variable.field: spec_name for spec_name, variable in _VARIABLES.items()}
    option = known.get(name, name)
    if option not in _VARIABLES:
        raise UsageError.invalid("vary", name, "one of " + ", ".join(known))
    if isinstance(values, str):
        values = values.split(",")
    if not isinstance(values, Iterable):
        raise UsageError.invalid(f"vary {name}", values, "several values, such as a list")
    found = tuple(dict.fromkeys(_value(option, value) for value in values))
    if not found:
        raise UsageError(
            f"vary names no value of {name}.",
            expected="one or more.",
            remedy=f"leave {name} out, or name some.",
        )
    return Axis(name=option, values=found)


def _value(name: str, value: object) -> OptionValue:
    if isinstance(value, str):
        return _parse(name, value)
    spec = _VARIABLES[name].spec
    if is_number(value):
        value = int(value) if is_whole(value) else float(value)  # numpy's numbers are not JSON
    if not spec.is_of_kind(value) or (spec.kind is int and not is_whole(value)):
        raise UsageError.invalid(f"vary {name}", value, spec.variation_text)
    return cast("OptionValue", value)


def _parse(name: str, text: str) -> OptionValue:
    spec = _VARIABLES[name].spec
    try:
        return spec.parse(text.strip())
    except ValueError as error:
        choices = ("on", "off") if spec.is_switch else spec.choices
        near = difflib.get_close_matches(text.strip(), choices, n=1)
        remedy = f"write --vary {name}={near[0]}." if near else f"correct --vary {name}=…."
        if spec is _PLUGIN:
            remedy = "name the file by --plugin: --plugin FILE.py --vary plugin=on,off."
        raise UsageError(
            f"--vary {name} has the value {text.strip()!r}.",
            expected=f"{spec.variation_text}, separated by commas.",
            remedy=remedy,
        ) from error


def combinations(base: ParameterSet, axes: Sequence[Axis], *, tickers: int = 1) -> tuple[ParameterSet, ...]:
    """Return every combination of the values, the last option changing fastest.

    Raises UsageError if an option is varied twice, a value is out of range or not what the plug-ins have, or the combinations with each of so many
    `tickers` are too many trials; none is made then.
    """
    names = [axis.name for axis in axes]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UsageError(
            f"--vary names {repeated[0]} twice.",
            expected="each option once, with all its values.",
            remedy=f"write --vary {repeated[0]}=V1,V2,… once.",
        )
    if _PLUGIN.name in names and not base.settings.plugins:
        raise UsageError(
            "--vary plugin was given without a plug-in.",
            expected="a plug-in to leave out.",
            remedy="write --plugin FILE.py --vary plugin=on,off, or leave out --vary plugin.",
        )
    require_feasible(tickers, math.prod(len(axis.values) for axis in axes))
    sets = []
    for values in product(*(axis.values for axis in axes)):
        parameters = base
        for name, value in zip(names, values, strict=True):
            parameters = parameters.changed(name, value)
        parameters.check()
        sets.append(parameters)
    return tuple(sets)


def require_feasible(tickers: int, settings: int) -> None:
    """Raise UsageError for more than `MAX_TRIALS` trials."""
    if tickers * settings > MAX_TRIALS:
        with_tickers = (
            f"{tickers} ticker{'s' * (tickers > 1)} with {settings:,} settings{' each' * (tickers > 1)}"
        )
        raise UsageError(
            f"{with_tickers} are {tickers * settings:,} trials.",
            expected=f"at most {MAX_TRIALS:,}.",
            remedy="name fewer tickers with --ticker, or vary fewer options or values.",
        )
