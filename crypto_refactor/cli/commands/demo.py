"""`make demo`, `crypto-refactor demo`: the main job on simulated bars, without keys or network."""

import shlex

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.cli.runner import PROGRAM, run_command

_SIGNAL = "--ticker BTC/USD --source sample --network small"
_BACKTEST = "--hours 2160 --source sample --network linear"
_NEXT = "--ticker BTC/USD --hours 240"


@grouped_command("demo")
@options.debug
def command() -> None:
    """Show a signal and a backtest on simulated bars, with models that are trained in seconds."""
    from crypto_refactor.config import checkout_root

    in_checkout = checkout_root() is not None
    click.echo(
        "Everything below is SIMULATED: no market, no keys, no network.\nThe first run takes under a minute.\n"
    )
    click.secho(
        f"$ {'python3 models/app_lstm.py' if in_checkout else f'{PROGRAM} signal'} {_SIGNAL}", bold=True
    )
    signal.main(shlex.split(_SIGNAL), standalone_mode=False)
    click.echo()
    backtester = "python3 models/app_backtester.py" if in_checkout else f"{PROGRAM} backtest"
    click.secho(f"$ {backtester} {_BACKTEST}", bold=True)
    backtest.main(shlex.split(_BACKTEST), standalone_mode=False)
    click.echo("\nNow with real bars and the full network (no keys, less than a minute of training):")
    following = ".venv/bin/python models/app_lstm.py" if in_checkout else f"{PROGRAM} signal"
    click.secho(f"  {following} {_NEXT}", bold=True)
    if in_checkout:
        click.echo("Bars and ideas of your own: docs/quickstart.md, from step 4.")


if __name__ == "__main__":
    run_command(command)
