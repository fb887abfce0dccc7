"""`crypto-refactor completion SHELL`: what a shell needs to complete commands, options and their values."""

import click
from click.shell_completion import get_completion_class

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.runner import PROGRAM

_COMPLETE_VARIABLE = "_CRYPTO_REFACTOR_COMPLETE"
"""What click looks for, derived from the name of the program."""


@grouped_command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@options.debug
def command(shell: str) -> None:
    """Print a script that lets a shell complete commands, options, tickers, sources, accounts and models.

    For bash, put `eval "$(crypto-refactor completion bash)"` into ~/.bashrc; for zsh the same with zsh into ~/.zshrc; for
    fish, `crypto-refactor completion fish | source` into ~/.config/fish/config.fish.
    """
    group = click.get_current_context().find_root().command
    kind = get_completion_class(shell)
    assert kind is not None, "click knows all three"
    click.echo(kind(group, {}, PROGRAM, _COMPLETE_VARIABLE).source())
