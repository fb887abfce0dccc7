"""The journal of trials: whether a command writes it, and what happens where it cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.output import fitted
from crypto_refactor.errors import DataError

if TYPE_CHECKING:
    from crypto_refactor.backtest.journal.store import Journal

Result = TypeVar("Result")

no_journal = options.flag(
    "--no-journal", "Neither record this run in the journal of trials nor count those that came before."
)


def open_journal(values: Mapping[str, Any]) -> Journal:
    """Return the journal of the state folder."""
    from crypto_refactor.backtest.journal.store import FILE_NAME, Journal
    from crypto_refactor.config import settings

    return Journal((values["state_dir"] or settings().state_dir) / FILE_NAME)


def recorded(
    values: Mapping[str, Any], result: Result, record: Callable[[Journal, Result], Result]
) -> Result:
    """Return a result as `record` leaves it; as it is without a journal, and where the journal cannot be used.

    A result is never lost for its record: what is wrong with the journal is said on stderr.
    """
    from crypto_refactor.config import settings

    if values["no_journal"] or not settings().journal:
        return result
    try:
        return record(open_journal(values), result)
    except DataError as error:
        click.echo(fitted(f"Not recorded, and earlier trials are not counted: {error.to_text()}"), err=True)
        return result
