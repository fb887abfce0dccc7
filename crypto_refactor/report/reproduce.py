"""The command that comes to the same figures again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import click
from click.core import ParameterSource

_NOT_OF_THE_RESULT = frozenset(
    {"as_json", "cluster", "debug", "end", "report", "signals", "source", "trades"}
)


def repeat_command(program: Sequence[str], source: str, end: int) -> str:
    """Return the running command as it has to be given to look at the very same bars again.

    Options are taken as they were given, but for those that only say where results go; the source and
    ``--end`` are always written out, because their defaults change with the environment and the hour.

    Parameters
    ----------
    program : sequence of str
        What is run, word by word.
    source : str
        Where the bars came from.
    end : int
        End of the window.
    """
    from crypto_refactor.market.hours import to_iso

    context = click.get_current_context()
    words = [*program]
    for option in context.command.params:
        name = option.name or ""
        given = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if isinstance(option, click.Option) and given and name not in _NOT_OF_THE_RESULT:
            words += _words(option, context.params[name])
    words += ["--source", source, *_folder(source, words), "--end", to_iso(end)]
    return shlex.join(words)


def _words(option: click.Option, value: object) -> list[str]:
    if option.is_flag:
        return [option.opts[0] if value else option.secondary_opts[0]]
    return [option.opts[0], str(value)]


def _folder(source: str, words: list[str]) -> list[str]:
    """Return the folder of bars where the environment named it."""
    from crypto_refactor.config import settings

    folder = settings().data_dir
    if source != "files" or folder is None or "--data-dir" in words:
        return []
    return ["--data-dir", str(folder)]
