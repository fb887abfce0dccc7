"""What is in force for a command, and where each value comes from."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import click
from click.core import ParameterSource

from crypto_refactor.cli.command_table import load_command
from crypto_refactor.cli.configuration.keys import SETTINGS, options_of
from crypto_refactor.config import EnvironmentSettings, environment_settings, settings

COMMAND_LINE, ENVIRONMENT, FILE, DEFAULT = "command line", "environment", "file", "default"
_KINDS: Mapping[ParameterSource | None, str] = {
    ParameterSource.COMMANDLINE: COMMAND_LINE,
    ParameterSource.DEFAULT_MAP: FILE,
}
_HIDDEN = frozenset({"notify"})
"""Options whose values may be secrets."""
_SECRETS = {
    "ALPACA_API_KEY": "alpaca_api_key",
    "ALPACA_SECRET_KEY": "alpaca_secret_key",
    "CRYPTO_NOTIFY": "notify",
}
_URLS = frozenset({"alpaca_data_url", "alpaca_trading_url"})
_NOT_SETTINGS = frozenset({"config", "debug", "json", "help"})
_SETTING_OF = {"plugin": "plugins"}
"""Options that a setting of another name stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value in force: None where nothing is set and the command decides; a secret only says that it is set."""

    name: str
    value: str | float | bool | list[str] | None
    source: str
    secret: bool = False


def options_in_force(name: str, words: Sequence[str]) -> list[Value]:
    """Return the options of a command as this command line would give them.

    Raises
    ------
    click.ClickException, CryptoRefactorError
        What the command itself would raise for these words, this file and this environment.
    """
    command = copy.copy(load_command(name))
    command.params = [_optional(parameter) for parameter in command.params]
    context = command.make_context(name, list(words))
    return [
        _option(context, key, option)
        for key, option in options_of(command).items()
        if key not in _NOT_SETTINGS
    ]


def settings_in_force(without: Iterable[str] = ()) -> list[Value]:
    """Return the settings, all but those `without`."""
    current, given = settings(), environment_settings().model_fields_set
    left_out = set(without)
    values = [
        Value(name=key, value=_setting(field, current), source=_origin(field, given, current))
        for key, field in SETTINGS.items()
        if key not in left_out
    ]
    keys = [
        Value(
            name=name,
            value=None if getattr(current, field) is None else "set",
            source=_origin(field, given, current),
            secret=True,
        )
        for name, field in _SECRETS.items()
    ]
    paper = Value(
        name="ALPACA_PAPER", value=current.alpaca_paper, source=_origin("alpaca_paper", given, current)
    )
    return [*values, *keys, paper]


def _optional(parameter: click.Parameter) -> click.Parameter:
    """Return a parameter that may be missing: what is in force can be asked without it."""
    changed = copy.copy(parameter)
    changed.required = False
    return changed


def _option(context: click.Context, key: str, option: click.Option) -> Value:
    name = option.name or ""
    source = _KINDS.get(context.get_parameter_source(name), DEFAULT)
    value = context.params.get(name)
    if key in _HIDDEN:
        if source == DEFAULT and value:  # taken from the setting of its name
            source = ENVIRONMENT
        return Value(name=key, value="set" if value else None, source=source, secret=True)
    field = _SETTING_OF.get(key) or SETTINGS.get(key)
    if source == DEFAULT and field is not None:
        current = settings()
        given = environment_settings().model_fields_set
        shown = list(current.plugin_names) if field == "plugins" else _setting(field, current)
        return Value(name=key, value=shown, source=_origin(field, given, current))
    return Value(name=key, value=_plain(value), source=source)


def _setting(field: str, current: EnvironmentSettings) -> str | float | bool | list[str] | None:
    """Return a setting as it may be shown: in the wrong place, the environment may hold a secret."""
    from crypto_refactor.market.sources.factory import SOURCES
    from crypto_refactor.model.training.cluster import is_address

    value = getattr(current, field)
    if (field == "source" and value not in SOURCES) or (
        field == "cluster" and value is not None and not is_address(value)
    ):
        return "not shown, because it cannot be used"
    if field in _URLS and value is not None:
        parts = urlsplit(str(value))  # a key may stand before the host, or after it
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    return _plain(value)


def _origin(field: str, given: Iterable[str], current: EnvironmentSettings) -> str:
    if field in set(given):
        return ENVIRONMENT
    return FILE if field in current.model_fields_set else DEFAULT


def _plain(value: object) -> str | float | bool | list[str] | None:
    """Return a value as JSON and people read it."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return [str(each) for each in value] if isinstance(value, tuple | list) else str(value)
