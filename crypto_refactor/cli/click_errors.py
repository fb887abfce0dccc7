"""What click refuses, in this tool's words: what happened, what was expected, what to write instead."""

import difflib
import re
import sys
from pathlib import Path
from typing import Any

import click

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.options import EXECUTION_OPTIONS

_FACTORS = {"k": 1e3, "m": 1e6, "h": 1, "d": 24, "w": 168}
"""Suffixes of numbers; lengths are hours."""


def usage_error(error: click.ClickException, program: str | None) -> UsageError:
    """Return the error that says what `error` of click does; `program` is what was called."""
    context = getattr(error, "ctx", None)
    helped = _runnable(context.command_path if context is not None else program or "")
    if isinstance(error, click.NoSuchOption):
        like = difflib.get_close_matches(error.option_name, error.possibilities or [], n=2, cutoff=0.7)
        return UsageError(
            f"There is no option {error.option_name!r}.",
            expected=f"one of the options that `{helped} --help` lists.",
            remedy=f"did you mean {' or '.join(like)}?" if like else f"run `{helped} --help`.",
        )
    if isinstance(error, click.BadOptionUsage) and "requires an argument" in error.message:
        return UsageError(
            f"{error.option_name} has no value.",
            expected="a value after it.",
            remedy=f"add one; `{helped} --help` says what it takes.",
        )
    if isinstance(error, click.MissingParameter):
        name = "An argument" if error.param is None else _name(error.param)
        return UsageError(
            f"{name} is missing.",
            expected=f"a value for {name}, which this command cannot do without.",
            remedy=f"add {name}; `{helped} --help` says what it takes.",
        )
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _bad_value(error, error.param, helped)
    extra = _EXTRA.fullmatch(error.format_message())
    if extra is not None:
        return UsageError(
            f"{extra[1]!r} belongs to no option.",
            expected="options and their values; each option begins with two dashes, and takes one value.",
            remedy=f"leave it out, or run `{helped} --help`.",
        )
    return UsageError(
        error.format_message(),
        expected=f"what `{helped} --help` lists.",
        remedy=f"run `{helped} --help`.",
    )


_EXTRA = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)
_REFUSED = re.compile(
    r"'(.*)' is not (?:a valid (?:integer|float)|one of )|(\S+) is not in the range ", re.DOTALL
)


def _runnable(path: str) -> str:
    """Return a command path as it is typed: a script of the checkout is started by Python."""
    name, *commands = path.split(" ")
    started = sys.argv[0]
    if name.endswith(".py") and Path(started).name == name:
        return " ".join(["python3", started, *commands])
    return path


def _name(parameter: click.Parameter) -> str:
    return parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name


def _bad_value(error: click.BadParameter, parameter: click.Parameter, helped: str) -> UsageError:
    name, kind = _name(parameter), parameter.type
    refused = _REFUSED.match(error.message)
    if refused is None:
        what, expected = f"{name}: {error.message.rstrip('.')}.", f"a value that `{helped} --help` names."
        return UsageError(
            what, expected=expected, remedy=f"correct {name}; `{helped} --help` says what it takes."
        )
    value = refused[1] or refused[2]
    meant = number_meant(value, whole=isinstance(kind, click.types.IntParamType))
    if isinstance(kind, click.Choice):
        like = difflib.get_close_matches(value, list(map(str, kind.choices)), n=1)
        meant = like[0] if like else None
    written = f"{name} {meant}" if isinstance(parameter, click.Option) else meant
    return UsageError(
        f"{name} is {value!r}." if refused[1] is not None else f"{name} is {value}.",
        expected=f"{_expected(kind)}.",
        remedy=f"correct {name}; `{helped} --help` says what it takes."
        if meant is None or refused[1] is None
        else f"write {written}{_in_per_cent(parameter, meant)}.",
    )


def _in_per_cent(parameter: click.Parameter, meant: str) -> str:
    """Return what a fraction is in per cent, and what the usual one is; nothing for another number."""
    spec = EXECUTION_OPTIONS.get(parameter.name or "")
    if spec is None or spec.example is None or spec.choices:
        return ""
    example = f"; {spec.example} is {float(spec.example) * spec.percent:g} %" if meant != spec.example else ""
    return f", which is {float(meant) * spec.percent:g} %{example}"


def _expected(kind: Any) -> str:
    if isinstance(kind, click.Choice):
        return " or ".join(str(choice) for choice in kind.choices)
    text = "a whole number" if isinstance(kind, click.types.IntParamType) else "a number"
    if isinstance(kind, click.IntRange | click.FloatRange):
        if kind.min is not None:
            text += f", more than {kind.min:g}" if kind.min_open else f", {kind.min:g} or more"
        if kind.max is not None:
            text += f", less than {kind.max:g}" if kind.max_open else f", at most {kind.max:g}"
    return text


def number_meant(text: str, *, whole: bool) -> str | None:
    """Return the plain number that a text such as ``0.1%``, ``0,001``, ``10k`` or ``30d`` means; None where it means none.

    A comma is one of thousands where three digits follow each and no zero leads, else the decimal one.
    """
    match = re.fullmatch(r"([+-]?)([0-9][0-9_,]*(?:\.[0-9]+)?)\s*(%|[kKmMhHdDwW])?", text.strip())
    if match is None:
        return None
    digits = match[2].replace("_", "")
    if re.fullmatch(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?", digits):
        digits = digits.replace(",", "")
    elif re.fullmatch(r"[0-9]+,[0-9]+", digits):
        digits = digits.replace(",", ".")
    elif "," in digits:
        return None
    value = float(match[1] + digits)
    if match[3] == "%":
        value /= 100
    elif match[3]:
        value *= _FACTORS[match[3].lower()]
    return f"{round(value) if whole else value:.12g}"
