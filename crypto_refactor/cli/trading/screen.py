"""What a trading run shows: rows as they come, one document or lines of JSON, and notices to elsewhere."""

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
    """Shows rows as they come.

    Parameters
    ----------
    tz : ZoneInfo
        Zone people read.
    as_json : bool
        Print JSON in the place of text.
    lines : bool
        One JSON line a row; otherwise rows wait for the one document at the end.
    failures : bool
        Show the row of a ticker that ended in an error; otherwise the error is raised in the end.
    notifier : Notifier or None
        Posts what must not be missed.
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
        """Say where it acts, and on whose bars."""
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
        """Say something to people only."""
        click.echo(text, err=True)

    def blocked(self, account: str, why: str | None) -> None:
        """Say that nothing may be entered from now on, or, with None, that entries are allowed again."""
        text = "entries are allowed again" if why is None else f"nothing is entered: {why}"
        self.note(f"{account}: {text}.")
        if self._notifier is not None:
            from crypto_refactor.trading.notifications import of_account

            self._notifier.post(of_account(account, text))

    def left_open(self, account: str, holdings: Mapping[Ticker, SubAccount]) -> None:
        """Name every position left open."""
        from crypto_refactor.report.terminal.trading import positions_text

        self.note(f"Left in {account}:")
        for text in positions_text(holdings, self._tz):
            self.note(f"  {text}")
