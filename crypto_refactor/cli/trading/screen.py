"""What a trading run shows: rows as they come, one document or lines of JSON, and notices to a webhook."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from crypto_refactor.trading.outcomes import Failure, TickerRow

if TYPE_CHECKING:
    from crypto_refactor.execution.sub_account import SubAccount
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.notifications import Notifier


class Screen:
    """Shows rows as they come, as text or as JSON.

    With `as_json`, each row is one line if `lines`; otherwise the rows wait for the one document at the end.
    A ticker that ended in an error has a row only if `failures`; otherwise that error is raised at the end.
    """

    def __init__(
        self, tz: ZoneInfo, *, as_json: bool, lines: bool, failures: bool, notifier: Notifier | None
    ) -> None:
        self._tz = tz
        self._failures = failures
        self._as_json = as_json
        self._lines = lines
        self._notifier = notifier

    def heading(self, account: str | None, source: str, tickers: Sequence[Ticker]) -> None:
        """Show the account and the source of its bars."""
        if not self._as_json:
            from crypto_refactor.report.terminal.trading import heading

            click.echo(heading(account, source, tickers))

    def row(self, row: TickerRow) -> None:
        """Show one ticker's row."""
        if isinstance(row, Failure) and not self._failures:
            pass
        elif not self._as_json:
            from crypto_refactor.report.terminal.trading import outcome_line

            click.echo(outcome_line(row, self._tz))
        elif self._lines:
            from crypto_refactor.report.documents.trading import row_json

            self.line(row_json(row))
        if self._notifier is not None:
            from crypto_refactor.trading.notifications import notices

            for notice in notices(row):
                self._notifier.post(notice)

    def line(self, document: object) -> None:
        """Print one line of JSON, at once."""
        click.echo(json.dumps(document, allow_nan=False))

    def note(self, text: str) -> None:
        """Show a sentence to people only."""
        click.echo(text, err=True)

    def blocked(self, account: str, why: str | None) -> None:
        """Show why entries are blocked from now on or, with None, that they are allowed again."""
        text = "entries are allowed again" if why is None else f"entries are blocked: {why}"
        self.note(f"{account}: {text}.")
        if self._notifier is not None:
            from crypto_refactor.trading.notifications import of_account

            self._notifier.post(of_account(account, text))

    def left_open(self, account: str, holdings: Mapping[Ticker, SubAccount]) -> None:
        """List every open position."""
        from crypto_refactor.report.terminal.trading import positions_text

        self.note(f"Open in {account}:")
        for text in positions_text(holdings, self._tz):
            self.note(f"  {text}")
