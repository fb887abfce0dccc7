"""`crypto-refactor config`: what is in force for a command, and where each value comes from."""

from __future__ import annotations

import click

from crypto_refactor.cli import command_table, options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.configuration.applied import applied_file
from crypto_refactor.cli.output import console
from crypto_refactor.cli.runner import print_json


@grouped_command("config", context_settings={"ignore_unknown_options": True})
@click.argument(
    "command", required=False, type=click.Choice(sorted(command_table.COMMANDS)), metavar="[COMMAND]"
)
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF COMMAND]...")
@options.as_json
@options.debug
def command(command: str | None, words: tuple[str, ...], as_json: bool) -> None:
    """Show what is in force, and where each value comes from.

    The command line comes before the environment (with .env), the environment before the file of --config or
    CRYPTO_CONFIG, the file before the defaults.  Values of secrets are not shown.
    """
    from crypto_refactor.cli.configuration.in_force import options_in_force, settings_in_force

    chosen = click.get_current_context().get_parameter_source("config")
    file = applied_file()
    if command is not None and chosen is click.core.ParameterSource.COMMANDLINE and file is not None:
        words = ("--config", str(file), *words)
    given = [] if command is None else options_in_force(command, words)
    settings = settings_in_force(value.name for value in given)
    file = applied_file()
    if as_json:
        parts = {"options": given, "settings": settings}
        values = {
            part: {value.name: {"value": value.value, "from": value.source} for value in shown}
            for part, shown in parts.items()
        }
        print_json({"schema": 1, "command": command, "file": None if file is None else str(file), **values})
        return
    from crypto_refactor.report.terminal.configuration import print_values

    screen = console()
    click.echo(f"File: {'none' if file is None else file}")
    rows = [(value.name, value.value, value.source) for value in given]
    if command is not None:
        print_values(f"Options of {command}", rows, screen)
    print_values("Settings", [(value.name, value.value, value.source) for value in settings], screen)
