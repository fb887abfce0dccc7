"""What a trading run shows: rows as they come, one document or lines of JSON, and notices to people at a distance."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from crypto_refactor.cli.trading.lasting_output import LastingOutput
from crypto_refactor.cli.trading.log_file import SHOWN
from crypto_refactor.trading.outcomes import Failure, TickerRow

if TYPE_CHECKING:
    from crypto_refactor.execution.sub_account import SubAccount
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.notifications import Notifier
_log = logging.getLogger(SHOWN)


_CLOSING_SECONDS = 8.0
"""How long the end of a run may be held up by its last notices; some services take one in five seconds."""


class Screen:
    """Shows rows as they come, as text or as JSON.

    With `as_json`, each row is one line if `lines`; otherwise the rows wait for the one document at the end.
    A ticker that ended in an error has a row only if `failures`; otherwise that error is raised at the end.
    With `lasting`, output that cannot be written ends nothing.
    """

    def __init__(
        self,
        tz: ZoneInfo,
        *,
        as_json: bool,
        lines: bool,
        failures: bool,
        notifier: Notifier | None,
        lasting: bool = False,
    ) -> None:
        self._tz = tz
        self._failures = failures
        self._as_json = as_json
        self._lines = lines
        self._notifier = notifier
        self._lasting = LastingOutput(self._post_output_failure) if lasting else None

    def heading(self, account: str | None, source: str, tickers: Sequence[Ticker]) -> None:
        """Show the account and the source of its bars."""
        if not self._as_json:
            from crypto_refactor.report.terminal.accounts.trading import heading

            self._write(heading(account, source, tickers))

    def row(self, row: TickerRow) -> None:
        """Show one ticker's row."""
        try:
            self._show_row(row)
        except Exception as error:  # a row that cannot be drawn is no reason to stop trading
            if self._lasting is None:
                raise
            self.note(f"{row.ticker}: its row cannot be shown ({type(error).__name__}: {error}).")
        self._post_row(row)

    def row_again(self, row: TickerRow) -> None:
        """Post once more what keeps a ticker with a position from being traded."""
        self._post_row(row)

    def _show_row(self, row: TickerRow) -> None:
        if isinstance(row, Failure) and not self._failures:
            return
        if not self._as_json:
            from crypto_refactor.report.terminal.accounts.trading import outcome_line

            self._write(outcome_line(row, self._tz))
        elif self._lines:
            from crypto_refactor.report.documents.trading import row_json

            self.line(row_json(row))

    def line(self, document: object) -> None:
        """Print one line of JSON, at once."""
        self._write(json.dumps(document, allow_nan=False))

    def note(self, text: str) -> None:
        """Show a sentence to people only."""
        self._write(text, err=True)

    def announce(
        self,
        kind: str,
        text: str,
        *,
        account: str | None,
        ticker: Ticker | None = None,
        shown: bool = True,
        **details: Any,
    ) -> None:
        """Post what happens to a run, and show it unless it is known already."""
        if shown:
            self.note(f"{ticker or account or kind}: {text}")
        if self._notifier is None:
            return
        from crypto_refactor.trading.notifications import of_run

        undelivered = self._notifier.undelivered
        if undelivered and shown:
            self.note(f"Notices that are not delivered: {undelivered}.")
        details |= {"undelivered": undelivered}
        self._post([of_run(kind, text, account=account, ticker=ticker, **details)])

    def blocked(self, account: str, why: str | None, *, lasted: str | None = None) -> None:
        """Show why entries are blocked from now on or, with None, that they are allowed again."""
        again = "entries are allowed again" + ("" if lasted is None else f" after {lasted}")
        text = again if why is None else f"entries are blocked: {why}"
        self.note(f"{account}: {text}.")
        from crypto_refactor.trading.notifications import of_account

        self._post([of_account(account, text)])

    def left_open(self, account: str, holdings: Mapping[Ticker, SubAccount], *, simulated: bool) -> None:
        """List every open position."""
        from crypto_refactor.report.formatting import simulated_mark
        from crypto_refactor.report.terminal.accounts.trading import positions_text

        self.note(f"Open in {account}:{simulated_mark(simulated=simulated)}")
        for text in positions_text(holdings, self._tz):
            self.note(f"  {text}")

    def close(self) -> None:
        """Deliver what can be delivered, and say what could not."""
        if self._notifier is not None:
            self._notifier.close(_CLOSING_SECONDS)
        if self._lasting is not None:
            self._lasting.close()

    def _write(self, text: str, *, err: bool = False) -> None:
        _log.info("%s", text)
        if self._lasting is None:
            click.echo(text, err=err)
        else:
            self._lasting.write(text, err=err)

    def _post_output_failure(self, text: str) -> None:
        from crypto_refactor.trading.notifications import of_run

        self._post([of_run("output", text, account=None)])

    def _post_row(self, row: TickerRow) -> None:
        from crypto_refactor.trading.notifications import notices

        self._post(notices(row))

    def _post(self, notices: Iterable[Mapping[str, Any]]) -> None:
        """Post notices with the time they are made at: they may be delivered later."""
        if self._notifier is not None:
            from crypto_refactor.trading.notifications import stamped

            for notice in notices:
                self._notifier.post(stamped(notice))
