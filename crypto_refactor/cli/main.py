"""`crypto-refactor`: every job under one name.  Subcommands are imported when they are called."""

import click

from crypto_refactor.cli.command_table import COMMANDS, load_command
from crypto_refactor.cli.runner import run_command
from crypto_refactor.version import __version__


class _LazyGroup(click.Group):
    """A group whose help imports no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, no_args_is_help=True)
@click.version_option(__version__, prog_name="crypto-refactor")
def cli() -> None:
    """Hourly crypto research: bars, 14 indicators, an LSTM signal, an honest backtest."""


def run() -> None:
    """Run the command line."""
    run_command(cli, name="crypto-refactor")
