"""Which keys a configuration file may hold, for each command."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path

import click

from crypto_refactor.cli.command_table import COMMANDS, load_command
from crypto_refactor.config import FILE_SETTINGS
from crypto_refactor.errors import UsageError

SETTINGS: Mapping[str, str] = {name.replace("_", "-"): name for name in FILE_SETTINGS}
"""The settings by their keys."""
_SECRET = frozenset(
    {"alpaca-api-key", "alpaca-secret-key", "api-key", "secret-key", "notify", "crypto-notify"}
)
_ONE_RUN = frozenset(
    {
        "accept",
        "alpaca-paper",
        "all",
        "config",
        "debug",
        "drawdown",
        "help",
        "json",
        "live",
        "prune",
        "version",
    }
)
"""What acts, or moves real money, or shapes one output: it is asked for each time."""
_BY_HAND = frozenset({"adopt", "close", "halt", "panic", "reconcile", "resume"})
"""Commands that act on an account: a file says where they look, never on what they act."""
_WHERE = frozenset({"account", "demo", "data-dir", "source", "state-dir"})


def options_of(command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command by their names without dashes."""
    options = (parameter for parameter in command.params if isinstance(parameter, click.Option))
    return {option.opts[0].removeprefix("--"): option for option in options}


def allowed_options(name: str, command: click.Command) -> dict[str, click.Option]:
    """Return the options of a command that a file may give."""
    options = options_of(command)
    if name in _BY_HAND:
        options = {key: option for key, option in options.items() if key in _WHERE}
    return {key: option for key, option in options.items() if key not in _ONE_RUN | _SECRET}


def check_tables(path: Path, shared: Iterable[str], tables: Mapping[str, Iterable[str]]) -> None:
    """Refuse keys that mean nothing: `shared` by all commands, and in the `tables` of commands.

    Raises
    ------
    UsageError
        With the key that was probably meant.
    """
    commands = {name: load_command(name) for name in COMMANDS}
    every = {key for name, command in commands.items() for key in allowed_options(name, command)}
    for key in shared:
        _check(path, key, every | SETTINGS.keys(), "", also=tables.keys() | COMMANDS.keys())
    for name, keys in tables.items():
        if name not in commands:
            raise UsageError(
                f"{path} has a table [{name}], and there is no such command.",
                expected="a table named after a command, for example [trade].",
                remedy=_suggestion(name, COMMANDS, "the table") or "run `crypto-refactor --help`.",
            )
        for key in keys:
            if key in every and key not in allowed_options(name, commands[name]) and name not in _BY_HAND:
                raise _of_another(path, key, name, commands)
            _check(path, key, allowed_options(name, commands[name]).keys() | SETTINGS.keys(), name)


def _of_another(path: Path, key: str, table: str, commands: Mapping[str, click.Command]) -> UsageError:
    owners = ", ".join(name for name, command in commands.items() if key in allowed_options(name, command))
    return UsageError(
        f"[{table}] of {path} sets {key}, which {table} does not take.",
        expected=f"{key} above all tables, or in the table of a command that takes it: {owners}.",
        remedy="move it there, or remove it.",
    )


def _check(path: Path, key: str, known: Iterable[str], table: str, also: Iterable[str] = ()) -> None:
    where = f"[{table}] of {path}" if table else f"{path}"
    known = set(known)
    if key in known:
        return
    if key in _SECRET:
        raise UsageError(
            f"{where} sets {key}, which is a secret.",
            expected="a file without secrets: it is shown, copied and kept under version control.",
            remedy="set it in the environment or in .env, and change it if others have seen this file.",
        )
    if key in _ONE_RUN or (table in _BY_HAND and key in options_of(load_command(table))):
        raise UsageError(
            f"{where} sets {key}, which is asked for each time.",
            expected=f"--{key} on the command line of the run that it is meant for.",
            remedy=f"remove {key} from the file.",
        )
    raise UsageError(
        f"{where} sets {key}, which is no option{f' of {table}' if table else ''} and no setting.",
        expected="names of options without their dashes, and settings such as source and state-dir.",
        remedy=_suggestion(key, (*known, *also), "it")
        or f"run `crypto-refactor {table or 'COMMAND'} --help`, or remove it.",
    )


def _suggestion(name: str, known: Iterable[str], what: str) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1)
    return f"rename {what} to {close[0]}, if that was meant." if close else ""
