"""Reading a configuration file, and what it gives a command."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click

from crypto_refactor.cli.configuration.keys import SETTINGS, allowed_options, check_tables
from crypto_refactor.env_file import warn_if_others_may_write
from crypto_refactor.errors import UsageError

MAX_BYTES = 1_000_000
_PATHS = frozenset({"data-dir", "model-dir", "state-dir", "tickers", "log-file"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFile:
    """A configuration file whose keys are known; keys have dashes.

    Attributes
    ----------
    shared : dict
        What stands above all tables, for every command that has the option.
    tables : dict of dict
        What stands in the table of a command, which comes before `shared`.
    """

    path: Path
    shared: Mapping[str, Any]
    tables: Mapping[str, Mapping[str, Any]]

    def values(self, command: str) -> dict[str, Any]:
        """Return what the file says to a command, as written."""
        return {**self.shared, **self.tables.get(command, {})}

    def settings(self, command: str) -> dict[str, object]:
        """Return the settings for a command by their fields in `EnvironmentSettings`."""
        return {
            SETTINGS[key]: self._setting(key, value)
            for key, value in self.values(command).items()
            if key in SETTINGS
        }

    def defaults(self, name: str, command: click.Command) -> dict[str, Any]:
        """Return the options for a command by their parameters, as texts that are read like the command line's."""
        options = allowed_options(name, command)
        return {
            str(options[key].name): self._option(key, options[key], value)
            for key, value in self.values(name).items()
            if key in options and key not in SETTINGS
        }

    def _setting(self, key: str, value: object) -> object:
        if key == "journal":
            return self._switch(key, value)
        text = self._text(key, value)
        return self._beside(key, text) if key in _PATHS else text

    def _option(self, key: str, option: click.Option, value: object) -> object:
        if option.is_flag:
            return self._switch(key, value)
        if option.multiple:
            return tuple(
                self._word(key, option, each) for each in (value if isinstance(value, list) else [value])
            )
        return self._word(key, option, value)

    def _word(self, key: str, option: click.Option, value: object) -> str:
        text = self._text(key, value)
        is_path = isinstance(option.type, click.Path) or (key == "plugin" and text.endswith(".py"))
        return self._beside(key, text) if is_path else text

    def _switch(self, key: str, value: object) -> bool:
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false, without quotes")
        return value

    def _text(self, key: str, value: object) -> str:
        if isinstance(value, date):  # a datetime is one, too
            return value.isoformat()
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._wrong(key, "one text or number")
        return str(value)

    def _beside(self, key: str, text: str) -> str:
        """Return a path that starts at the file's own folder, wherever the command runs."""
        try:
            return str(self.path.parent / Path(text).expanduser())
        except RuntimeError as error:
            raise self._wrong(key, "a path; its ~ names no home folder") from error

    def _wrong(self, key: str, expected: str) -> UsageError:
        return UsageError(
            f"{key} in {self.path} has a value of another kind.",
            expected=f"{expected}.",
            remedy=f"correct {key}.",
        )


def read_config(path: Path) -> ConfigFile:
    """Read a configuration file and check every key in it.

    Raises
    ------
    UsageError
        If it cannot be read, is no TOML, or has a key that means nothing.
    """
    path = path.absolute()
    shared, tables = {}, {}
    for key, value in _normalised(path, _parse(path)).items():
        if isinstance(value, dict):
            tables[key] = _normalised(path, value)
        else:
            shared[key] = value
    check_tables(path, shared, tables)
    return ConfigFile(path=path, shared=shared, tables=tables)


def _normalised(path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table with dashes in its keys."""
    values: dict[str, Any] = {}
    for written, value in table.items():
        key = written.replace("_", "-")
        if key in values:
            raise UsageError(
                f"{path} sets {key} twice, with dashes and with underscores.",
                expected="one of them.",
                remedy="remove the other.",
            )
        values[key] = value
    return values


def _parse(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            warn_if_others_may_write(path, os.fstat(file.fileno()))
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _unusable(path, f"cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise _unusable(path, f"has more than {MAX_BYTES:,} bytes")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise _unusable(path, "is not UTF-8 text") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _unusable(path, f"is not TOML: {error}") from error


def _unusable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} {why.rstrip('.')}.",
        expected="a TOML file: `fee = 0.001` for every command, and tables such as [trade] for one.",
        remedy="correct the file, or name another with --config or CRYPTO_CONFIG.",
    )
