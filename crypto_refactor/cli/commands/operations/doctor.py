"""`crypto-refactor doctor`."""

import click

from crypto_refactor.cli.trading.account_selection import account_options


@click.command("doctor")
@account_options
def command(**values: object) -> None:
    """Check."""
