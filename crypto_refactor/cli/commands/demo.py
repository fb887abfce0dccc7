"""What `make demo` shows: the main job on simulated bars, without keys or network."""

import shlex

import click

from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.cli.runner import run_command

_SIGNAL = "--ticker BTC/USD --hours 240 --source sample --network small"
_BACKTEST = "--ticker BTC/USD --hours 2160 --source sample --network linear"


@click.command()
@click.pass_context
def command(context: click.Context) -> None:
    """Show a signal and a backtest on simulated bars, with models that are trained in seconds."""
    click.echo(
        "Everything below is SIMULATED: no market, no keys, no network. The first run takes under a minute.\n"
    )
    click.secho(f"$ python3 models/app_lstm.py {_SIGNAL}", bold=True)
    signal.main(shlex.split(_SIGNAL), standalone_mode=False)
    click.echo()
    click.secho(f"$ python3 models/app_backtester.py {_BACKTEST}", bold=True)
    backtest.main(shlex.split(_BACKTEST), standalone_mode=False)
    click.echo(
        "\nNext, a signal on Alpaca's bars with the full network; it needs no keys and trains for half a minute:"
    )
    click.secho("  .venv/bin/python models/app_lstm.py --ticker BTC/USD --hours 240", bold=True)


if __name__ == "__main__":
    run_command(command)
