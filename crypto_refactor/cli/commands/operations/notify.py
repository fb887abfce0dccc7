"""`crypto-refactor notify`: the receivers of notices, and whether they take one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.runner import print_json
from crypto_refactor.errors import EXIT_OK, EXIT_TICKERS_DIFFER, UsageError

if TYPE_CHECKING:
    from crypto_refactor.trading.notifications.sender import Sender


@grouped_command("notify")
@options.flag("--test", "Send a test notice to each receiver, once.", "send_test")
@options.notify
@options.as_json
@options.debug
def command(send_test: bool, notify: tuple[str, ...], as_json: bool) -> int:
    """List the receivers of notices; with --test, send each a notice and say whether it took it.

    The exit code is 1 where a receiver did not.  No URL is ever shown: it may hold a secret.
    """
    from crypto_refactor.trading.notifications.addresses import open_senders

    if not notify:
        raise UsageError(
            "No receiver of notices is named.",
            expected="--notify URL, or CRYPTO_NOTIFY with one or several URLs.",
            remedy="name one; docs/notifications.md has an example of each service.",
        )
    rows = [_row(sender, send_test=send_test) for sender in open_senders(notify)]
    if as_json:
        print_json({"schema": 1, "receivers": rows})
    else:
        for row in rows:
            click.echo(f"{row['receiver']}: {_text(row)}")
        if not send_test:
            click.echo("Nothing was sent; --test sends a notice to each.")
    return EXIT_TICKERS_DIFFER if any(row["delivered"] is False for row in rows) else EXIT_OK


def _row(sender: Sender, *, send_test: bool) -> dict[str, object]:
    """Return a receiver, and whether it took a notice and why not; None where nothing was sent."""
    from crypto_refactor.trading.notifications.notices import of_test, stamped

    refusal = sender.send(stamped(of_test())) if send_test else None
    return {
        "receiver": sender.name,
        "delivered": refusal is None if send_test else None,
        "why": None if refusal is None else refusal.why,
    }


def _text(row: dict[str, object]) -> str:
    if row["delivered"] is None:
        return "a usable receiver"
    return "delivered" if row["delivered"] else f"not delivered: {row['why']}"
