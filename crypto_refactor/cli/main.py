"""`crypto-refactor`: every job under one name.  Subcommands are imported when they are called."""

from importlib import import_module

import click

from crypto_refactor.cli.runner import run_command
from crypto_refactor.version import __version__

_COMMANDS = {
    "adopt": ("holdings", "Put coins of the account under the ledger's care."),
    "audit": ("audit", "Check a backtest for look-ahead."),
    "backtest": ("backtest", "Backtest the signals (models/app_backtester.py)."),
    "check-history": ("checks", "Check historical bars (test_historical_data.py)."),
    "check-mountain-time": ("checks", "Check Mountain-Time conversion (test_mountain_time.py)."),
    "check-plugin": ("checks", "Check a plug-in for look-ahead."),
    "close": ("accounts", "Sell what an account holds."),
    "compare": ("compare", "Rank tickers and settings over one window."),
    "data": ("data", "Try the data client (models/data/app.py)."),
    "download": ("download", "Write bars to CSV files."),
    "evaluate": ("evaluate", "Backtest external targets."),
    "halt": ("accounts", "Block entries, until resume."),
    "import": ("importing", "Convert files of bars in other layouts."),
    "models": ("models", "List models, or prune their cache."),
    "multi": ("trade", "Trade many tickers (run_multi_ticker.py)."),
    "panic": ("holdings", "Halt entries and close until flat."),
    "reconcile": ("holdings", "Compare the ledger with the account at Alpaca."),
    "resume": ("accounts", "Allow entries again."),
    "signal": ("signal", "Give a trading signal (models/app_lstm.py)."),
    "status": ("accounts", "Show an account."),
    "trade": ("trade", "Trade one ticker (run_trading.py)."),
    "trades": ("accounts", "List an account's trades."),
    "trials": ("compare", "List what was tried: the journal."),
}


class _LazyGroup(click.Group):
    """A group whose help imports no command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"crypto_refactor.cli.commands.{_COMMANDS[cmd_name][0]}")
        command = module.COMMANDS[cmd_name] if hasattr(module, "COMMANDS") else module.command
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _COMMANDS[name][1]) for name in self.list_commands(ctx)])


@click.group(cls=_LazyGroup, no_args_is_help=True)
@click.version_option(__version__, prog_name="crypto-refactor")
def cli() -> None:
    """Hourly crypto research: bars, 14 indicators, an LSTM signal, an honest backtest."""


def run() -> None:
    """Run the command line."""
    run_command(cli, name="crypto-refactor")
