"""Every command: its module in `cli/commands`, and its line in `crypto-refactor --help`."""

from collections.abc import Mapping
from importlib import import_module

import click

GROUPS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Research": {
        "demo": ("demo", "Show a signal and a backtest on simulated bars."),
        "signal": ("signal", "Give a trading signal (models/app_lstm.py)."),
        "backtest": ("backtest", "Backtest the signals (models/app_backtester.py)."),
        "compare": ("compare", "Rank tickers and settings over one window."),
        "evaluate": ("evaluate", "Backtest external targets."),
        "audit": ("audit", "Check a backtest for look-ahead."),
        "trials": ("compare", "List what was tried: the journal."),
        "check-plugin": ("checks", "Check a plug-in for look-ahead."),
        "models": ("models", "List models, or prune their cache."),
    },
    "Trading": {
        "trade": ("trade", "Trade one ticker (run_trading.py)."),
        "multi": ("trade", "Trade many tickers (run_multi_ticker.py)."),
    },
    "Account": {
        "status": ("accounts.account", "Show an account."),
        "trades": ("accounts.account", "List an account's trades."),
        "record": ("accounts.record", "Score every forecast that was made."),
        "reconcile": ("accounts.reconcile", "Explain an account against its own backtest."),
        "close": ("accounts.account", "Sell what an account holds."),
        "halt": ("accounts.account", "Block entries, until resume."),
        "resume": ("accounts.account", "Allow entries again."),
        "panic": ("accounts.holdings", "Halt entries and close until flat."),
        "adopt": ("accounts.holdings", "Put coins of the account under the ledger's care."),
    },
    "Data": {
        "download": ("download", "Write bars to CSV files."),
        "import": ("importing", "Convert files of bars in other layouts."),
        "data": ("data", "Try the data client (models/data/app.py)."),
        "check-history": ("checks", "Check historical bars (test_historical_data.py)."),
        "check-mountain-time": ("checks", "Check Mountain-Time conversion (test_mountain_time.py)."),
    },
    "Operations": {
        "doctor": ("operations.doctor", "Check what an unattended run needs."),
        "config": ("operations.config", "Show what is in force, and where it comes from."),
        "notify": ("operations.notify", "List the receivers of notices, or test them."),
        "completion": ("operations.completion", "Print what completes commands in a shell."),
    },
}
"""The commands of `crypto-refactor --help`, by what they are for."""
COMMANDS: Mapping[str, tuple[str, str]] = dict(
    sorted(row for group in GROUPS.values() for row in group.items())
)
HELP_OPTIONS = ["-h", "--help"]


def load_command(name: str) -> click.Command:
    """Import a command by its name; its module is imported now, not with this one."""
    module = import_module(f"crypto_refactor.cli.commands.{COMMANDS[name][0]}")
    command = module.COMMANDS[name] if hasattr(module, "COMMANDS") else module.command
    assert isinstance(command, click.Command), "what the table names"
    command.context_settings.setdefault("help_option_names", HELP_OPTIONS)
    return command
