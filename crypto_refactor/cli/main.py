"""`crypto-refactor`: every job under one name.  Subcommands are imported when they are called."""

import difflib

import click

from crypto_refactor.cli.command_table import COMMANDS, GROUPS, HELP_OPTIONS, load_command
from crypto_refactor.cli.runner import PROGRAM, run_command
from crypto_refactor.version import __version__


class _LazyGroup(click.Group):
    """A group whose help imports no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            like = difflib.get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {like[0]!r}?" if like else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, COMMANDS)) + 2
        for title, commands in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width - 2), text) for name, (_, text) in commands.items()])

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Examples"):
            for line in _EXAMPLES:
                formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
        formatter.write_paragraph()
        formatter.write_text("`crypto-refactor COMMAND --help` lists the options of a command.")


_EXAMPLES = (
    "crypto-refactor signal --ticker BTC/USD --source sample",
    "crypto-refactor backtest --ticker BTC/USD --source sample --report btc.html",
    "crypto-refactor trade --ticker BTC/USD --demo --source sample",
    "crypto-refactor multi --mode continuous --demo",
    "crypto-refactor status --report account.html",
    "crypto-refactor reconcile",
    "crypto-refactor import klines.csv --ticker BTC/USD --data-dir bars",
    "crypto-refactor download --from kraken --ticker BTC/USD --data-dir bars",
    "crypto-refactor doctor",
    "crypto-refactor config multi",
)
"""Two for each group."""


# In the settings of the group: click keeps the help option of whoever asks first, and completion asks without them.
@click.group(cls=_LazyGroup, no_args_is_help=True, context_settings={"help_option_names": HELP_OPTIONS})
@click.version_option(__version__, prog_name=PROGRAM)
def cli() -> None:
    """Hourly crypto research: bars, 14 indicators, an LSTM signal, an honest backtest."""


def run() -> None:
    """Run the command line."""
    run_command(cli, name=PROGRAM)
