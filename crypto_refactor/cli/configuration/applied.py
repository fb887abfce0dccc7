"""The configuration file of the command that runs: applied when its options are read, and named in its errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import click
from click.core import ParameterSource

from crypto_refactor.errors import CryptoRefactorError, UsageError

GIVEN = frozenset({ParameterSource.COMMANDLINE, ParameterSource.DEFAULT_MAP})
"""Where an option comes from that someone asked for, on the command line or in a file."""


@dataclass
class _Applied:
    path: Path | None = None
    context: click.Context | None = None


_applied = _Applied()


def apply_config(context: click.Context, given: Path | None) -> None:
    """Let the file `given`, or that of the environment, stand below the command line and the environment.

    Raises
    ------
    UsageError
        If there is no such file, or it cannot be used.
    """
    from crypto_refactor.config import config_file, environment_settings, use_file_settings

    path = given or config_file()
    _applied.path, _applied.context = path, context
    if path is None:
        use_file_settings(None, {})
        return
    from crypto_refactor.cli.configuration.file import read_config

    name = context.command.name or ""
    file = read_config(path)
    _applied.path = file.path
    use_file_settings(file.path, file.settings(name))
    defaults = file.defaults(name, context.command)
    if "plugins" in environment_settings().model_fields_set:
        defaults.pop("plugins", None)
    context.default_map = defaults


def applied_file() -> Path | None:
    """Return the configuration file of the command that runs."""
    return _applied.path


def name_file(error: CryptoRefactorError) -> CryptoRefactorError:
    """Return an error that also names the file, where an option it is about was set there."""
    context = _applied.context
    if _applied.path is None or context is None or not isinstance(error, UsageError):
        return error
    set_there = [
        option.opts[0]
        for option in context.command.params
        if context.get_parameter_source(option.name or "") is ParameterSource.DEFAULT_MAP
        and re.search(rf"{re.escape(option.opts[0])}(?![\w-])", error.what)
    ]
    if not set_there:
        return error
    what = f"{error.what} ({', '.join(set_there)}: set in {_applied.path}.)"
    return type(error)(what, expected=error.expected, remedy=error.remedy)
