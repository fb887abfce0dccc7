"""What a comparison varies: named options with the values to try, and every combination of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.network import NETWORKS
from crypto_refactor.signals.conditions import SignalRules

Value = bool | int | float | str | None
"""Of a varied option; None is the model's own threshold scale, or a protection that is off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterSet:
    """One way to decide and to trade.

    Attributes
    ----------
    settings, signal_rules, options : object
        What decides, what a signal needs, and the execution rules.
    varied : tuple of (str, Value)
        The varied options and their values here, in the order asked for; empty where nothing is varied.
    """

    settings: ModelSettings
    signal_rules: SignalRules
    options: ExecutionOptions
    varied: tuple[tuple[str, Value], ...] = ()

    @property
    def label(self) -> str:
        """The varied options as they would be written: ``exit=fade, long-only=on``."""
        return ", ".join(f"{name}={value_text(name, value)}" for name, value in self.varied) or "as given"

    def changed(self, name: str, value: Value) -> ParameterSet:
        """Return this setting with one option changed.

        Raises
        ------
        UsageError
            If the value is out of the option's range.
        """
        option = _OPTIONS[name]
        part = replace(getattr(self, option.part), **{option.field: value})
        return replace(self, **{option.part: part, "varied": (*self.varied, (name, value))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """An option and the values to try, each once."""

    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Option:
    """An option that can be varied: where it lives, how its values are read, and the word for None."""

    part: str
    field: str
    expected: str
    read: Callable[[str], Value]
    none: str | None = None


def _parse_on_off(text: str) -> bool:
    return {"on": True, "off": False}[text]


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _one_of(names: Iterable[str], kind: Callable[[str], str] = str) -> Callable[[str], str]:
    allowed = {name: kind(name) for name in names}
    return allowed.__getitem__


_EXITS = tuple(str(rule) for rule in ExitRule)
_VENUES = ("none", "alpaca")
_OPTIONS: Mapping[str, _Option] = {
    "threshold-scale": _Option(
        part="signal_rules",
        field="threshold_scale",
        expected="numbers, or own for the model's own",
        read=_number,
        none="own",
    ),
    "min-confirmations": _Option(
        part="signal_rules", field="min_confirmations", expected="whole numbers", read=int
    ),
    "exit": _Option(part="options", field="exit", expected=", ".join(_EXITS), read=_one_of(_EXITS, ExitRule)),
    "long-only": _Option(part="options", field="long_only", expected="on, off", read=_parse_on_off),
    "network": _Option(
        part="settings", field="network", expected=", ".join(NETWORKS), read=_one_of(tuple(NETWORKS))
    ),
    "venue": _Option(part="options", field="venue", expected=", ".join(_VENUES), read=_one_of(_VENUES)),
    "strict": _Option(part="options", field="strict", expected="on, off", read=_parse_on_off),
    "stop-loss": _Option(
        part="options",
        field="stop_loss",
        expected="fractions such as 0.05, or off",
        read=_number,
        none="off",
    ),
    "take-profit": _Option(
        part="options",
        field="take_profit",
        expected="fractions such as 0.05, or off",
        read=_number,
        none="off",
    ),
}
VARIABLE_OPTIONS = tuple(_OPTIONS)
"""The names of the options that can be varied."""


def value_text(name: str, value: Value) -> str:
    """Return a value as it would be written on the command line."""
    if value is None:
        return _OPTIONS[name].none or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def parse_axis(text: str) -> Axis:
    """Read ``NAME=V1,V2,…``; a value that is named twice counts once.

    Raises
    ------
    UsageError
        If there is no such option to vary, or a value is none of its.
    """
    name, equals, values = (part.strip() for part in text.partition("="))
    if name not in _OPTIONS or not equals:
        raise UsageError(
            f"--vary is {text!r}.",
            expected="NAME=V1,V2,… with NAME one of " + ", ".join(VARIABLE_OPTIONS) + ".",
            remedy="correct --vary.",
        )
    return Axis(name=name, values=tuple(dict.fromkeys(_read(name, each) for each in values.split(","))))


def _read(name: str, text: str) -> Value:
    option, text = _OPTIONS[name], text.strip()
    if text and text == option.none:
        return None
    try:
        return option.read(text)
    except (KeyError, ValueError) as error:
        raise UsageError(
            f"--vary {name} has the value {text!r}.",
            expected=f"{option.expected}, with commas between them.",
            remedy=f"correct --vary {name}=….",
        ) from error


def combinations(base: ParameterSet, variations: Sequence[Axis]) -> tuple[ParameterSet, ...]:
    """Return every combination of the values, the last option changing fastest.

    Raises
    ------
    UsageError
        If an option is varied twice, or a value is out of its range.
    """
    names = [variation.name for variation in variations]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise UsageError(
            f"--vary names {twice[0]} twice.",
            expected="each option once, with all its values.",
            remedy=f"write --vary {twice[0]}=V1,V2,… once.",
        )
    found = []
    for values in product(*(variation.values for variation in variations)):
        setting = base
        for name, value in zip(names, values, strict=True):
            setting = setting.changed(name, value)
        found.append(setting)
    return tuple(found)
