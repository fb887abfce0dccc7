"""Every command: its module in `cli/commands`, and its line in `crypto-refactor --help`."""

from collections.abc import Mapping
from importlib import import_module

import click

COMMANDS: Mapping[str, tuple[str, str]] = {
    "adopt": ("accounts.holdings", "Put coins of the account under the ledger's care."),
    "audit": ("audit", "Check a backtest for look-ahead."),
    "backtest": ("backtest", "Backtest the signals (models/app_backtester.py)."),
    "check-history": ("checks", "Check historical bars (test_historical_data.py)."),
    "check-mountain-time": ("checks", "Check Mountain-Time conversion (test_mountain_time.py)."),
    "check-plugin": ("checks", "Check a plug-in for look-ahead."),
    "close": ("accounts.account", "Sell what an account holds."),
    "compare": ("compare", "Rank tickers and settings over one window."),
    "config": ("operations.config", "Show what is in force, and where it comes from."),
    "data": ("data", "Try the data client (models/data/app.py)."),
    "doctor": ("operations.doctor", "Check what an unattended run needs."),
    "download": ("download", "Write bars to CSV files."),
    "evaluate": ("evaluate", "Backtest external targets."),
    "halt": ("accounts.account", "Block entries, until resume."),
    "import": ("importing", "Convert files of bars in other layouts."),
    "models": ("models", "List models, or prune their cache."),
    "multi": ("trade", "Trade many tickers (run_multi_ticker.py)."),
    "notify": ("operations.notify", "List the receivers of notices, or test them."),
    "panic": ("accounts.holdings", "Halt entries and close until flat."),
    "reconcile": ("accounts.reconcile", "Explain an account against its own backtest."),
    "record": ("accounts.record", "Score every forecast that was made."),
    "resume": ("accounts.account", "Allow entries again."),
    "signal": ("signal", "Give a trading signal (models/app_lstm.py)."),
    "status": ("accounts.account", "Show an account."),
    "trade": ("trade", "Trade one ticker (run_trading.py)."),
    "trades": ("accounts.account", "List an account's trades."),
    "trials": ("compare", "List what was tried: the journal."),
}


def load_command(name: str) -> click.Command:
    """Import a command by its name; its module is imported now, not with this one."""
    module = import_module(f"crypto_refactor.cli.commands.{COMMANDS[name][0]}")
    command = module.COMMANDS[name] if hasattr(module, "COMMANDS") else module.command
    assert isinstance(command, click.Command), "what the table names"
    return command
