"""Every command: its module in `cli/commands`, its line in `crypto-refactor --help`, and the sections of its own help."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

import click

from crypto_refactor.execution.options import EXECUTION_OPTIONS

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
_OTHERS = "Options"
_FEW = 16
"""So many options are read as one list."""
OPTION_GROUPS: Mapping[str, frozenset[str]] = {
    "Signals and models": frozenset(
        {
            "model",
            "lookback",
            "train-hours",
            "refit-every",
            "retrain",
            "retrain-threshold",
            "walk-forward",
            "min-confirmations",
            "threshold-scale",
            "network",
            "plugin",
            "residual",
            "seed",
            "cluster",
        }
    ),
    "Orders and costs": frozenset(spec.name for spec in EXECUTION_OPTIONS.values()),
    "Limits of the account": frozenset(
        {"max-deviation", "max-daily-loss", "max-loss", "max-positions", "max-orders-per-day"}
    ),
    "Bars": frozenset({"source", "data-dir", "end", "allow-gaps", "allow-jumps"}),
    "Output": frozenset(
        {
            "csv",
            "details",
            "json",
            "log-file",
            "no-journal",
            "no-record",
            "notify",
            "report",
            "signals",
            "trades",
            "tz",
            "verbose",
            "wide",
        }
    ),
    "Program": frozenset({"config", "debug", "help", "state-dir", "version"}),
}
"""The names of the options of each section; what is in none is what the command itself is about, and stands first."""


def load_command(name: str) -> click.Command:
    """Import a command by its name; its module is imported now, not with this one."""
    module = import_module(f"crypto_refactor.cli.commands.{COMMANDS[name][0]}")
    command = module.COMMANDS[name] if hasattr(module, "COMMANDS") else module.command
    assert isinstance(command, click.Command), "what the table names"
    command.context_settings.setdefault("help_option_names", HELP_OPTIONS)
    return command


class GroupedCommand(click.Command):
    """A command whose help lists its options by what they are about, if there are many."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse; what click's parser refuses without a context gets this command's, not that of the group above."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if error.ctx is None:
                error.ctx = ctx
            raise

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one section for each group of which the command has options."""
        for title, options in by_group(self.get_params(ctx)).items():
            with formatter.section(title):
                formatter.write_dl([record for option in options if (record := option.get_help_record(ctx))])


def by_group(parameters: Iterable[click.Parameter]) -> dict[str, list[click.Option]]:
    """Return the options among `parameters` by the title of their section; a few need no sections."""
    given = [parameter for parameter in parameters if isinstance(parameter, click.Option)]
    if len(given) <= _FEW:
        return {_OTHERS: given}
    sections: dict[str, list[click.Option]] = {title: [] for title in (_OTHERS, *OPTION_GROUPS)}
    for option in given:
        names = {name.removeprefix("--") for name in option.opts}
        titles = (title for title, group in OPTION_GROUPS.items() if names & group)
        sections[next(titles, _OTHERS)].append(option)
    return {title: options for title, options in sections.items() if options}


grouped_command: Callable[..., Callable[[Callable[..., Any]], GroupedCommand]] = partial(
    click.command, cls=GroupedCommand
)
"""Make a command of a function, as `click.command` does, with sections in its help."""
