"""What a trading run shows: rows as they come, one document or lines of JSON, and notices to people at a distance."""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO
from zoneinfo import ZoneInfo

import click

from crypto_refactor.cli.progress import duration_text
from crypto_refactor.cli.trading.lasting_output import LastingOutput
from crypto_refactor.cli.trading.log_file import SHOWN
from crypto_refactor.cli.trading.status_line import StatusLine
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.report.terminal.wrapping import command_lines
from crypto_refactor.trading.explanations import tickers_in_words
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, failed_together, is_hopeless

if TYPE_CHECKING:
    from datetime import datetime

    from crypto_refactor.execution.sub_account import SubAccount
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.historical.replay import ReplayStart
    from crypto_refactor.trading.notifications import Notifier
_log = logging.getLogger(SHOWN)


COSTLY_SIGNALS = "Every signal is traded, also one that promises less than its round trip costs; --strict would not enter on those."
_CLOSING_SECONDS = 8.0
"""How long the end of a run may be held up by its last notices; some services take one in five seconds."""


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and not stream.closed and stream.isatty()


def _fitted(text: str, stream: TextIO | None) -> str:
    """Return lines that a terminal breaks between words; whatever else reads them gets them whole."""
    if not _is_terminal(stream):
        return text
    from crypto_refactor.report.terminal.tables import wrapped

    room = shutil.get_terminal_size().columns
    return "\n".join(part for line in text.split("\n") for part in wrapped(line, room, indent=4))


class Screen:
    """Shows rows as they come, as text or as JSON.

    With `as_json`, each row is one line if `lines`; otherwise the rows wait for the one document at the end.
    A ticker that ended in an error has a row only if `failures`; otherwise that error is raised at the end.
    With `lasting`, output that cannot be written ends nothing.  Without `every_row`, text shows the rows in which
    something happens, and beside them how far the run is: in a line that is rewritten in a terminal, else once a day
    of a replay and once an hour of a run that lasts.  `training` shows progress in the same terminal.
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
        every_row: bool = True,
        training: TrainingObserver | None = None,
    ) -> None:
        from crypto_refactor.report.terminal.accounts.events import AccountTotals, HourEvents

        self._tz = tz
        self._failures = failures
        self._as_json = as_json
        self._lines = lines
        self._notifier = notifier
        self._lasting = LastingOutput(self._post_output_failure) if lasting else None
        self._every_row = every_row or as_json
        self._training = training or TrainingObserver()
        self._tickers: tuple[Ticker, ...] = ()
        self._events, self._totals = HourEvents(), AccountTotals()
        self._status = StatusLine()
        self._replay: ReplayStart | None = None
        self._began, self._played_before = 0.0, 0
        self._waiting_until: datetime | None = None

    def heading(self, account: str | None, source: str, tickers: Sequence[Ticker]) -> None:
        """Show the account and the source of its bars."""
        self._tickers = tuple(tickers)
        if not self._as_json:
            from crypto_refactor.report.terminal.accounts.trading import heading

            self._write(heading(account, source, tickers))

    def row(self, row: TickerRow) -> None:
        """Show one ticker's row."""
        try:
            self._totals.take(row)
            if self._events.is_event(row) or self._every_row:
                self._show_row(row)
        except Exception as error:  # a row that cannot be drawn is no reason to stop trading
            if self._lasting is None:
                raise
            self.note(f"{row.ticker}: its row cannot be shown ({type(error).__name__}: {error}).")
        self._post_row(row)

    def given_up(self, rows: Iterable[TickerRow]) -> None:
        """Show why tickers are not traded this hour; in text, those that failed for one reason share a row."""
        for row in rows if self._as_json else failed_together(rows):
            self.row(row)

    def given_up_again(self, rows: Iterable[TickerRow]) -> None:
        """Post once more what keeps tickers with positions from being traded."""
        for row in failed_together(rows):
            self._post_row(row)

    def begin_replay(self, start: ReplayStart, hours: int) -> None:
        """Take what a replay of `hours` hours for each ticker begins with, and say what is not plain from that."""
        from crypto_refactor.market.hours import to_local_text
        from crypto_refactor.report.terminal.accounts.events import Worth

        total = start.last - start.first
        if start.first_end != start.last:
            first_end, last = (to_local_text(hour, self._tz) for hour in (start.first_end, start.last))
            self.note(
                f"The tickers' bars end between {first_end} and {last}. Each is replayed over its own last {hours} hours; "
                f"from the first to the last it is {total}."
            )
        if start.resumed:
            text = "An earlier run of this replay was interrupted; it goes on at"
            self.note(
                f"{text} {to_local_text(start.next, self._tz)}, hour {start.next - start.first} of {total}."
            )

        self._replay, self._began = start, time.monotonic()
        self._totals.begin({ticker: Worth(*worth) for ticker, worth in start.played.items()})

    def replayed(self, hour: int) -> None:
        """Show how far a replay is, with the account as a whole."""
        from crypto_refactor.market.hours import to_datetime, to_local_text

        start = self._replay
        if self._every_row or start is None:
            return
        now, done, total = time.monotonic(), hour - start.first, start.last - start.first
        self._played_before = self._played_before or done
        so_far = now - self._began
        left = so_far * (total - done) / max(done - self._played_before, 1)
        parts = [
            to_local_text(hour, self._tz),
            f"hour {done} of {total}",
            self._totals.equity_text,
            self._totals.positions_text,
        ]
        self._status.show([*parts, f"{duration_text(left)} left", f"{duration_text(so_far)} so far"])
        if to_datetime(hour).hour == 0 or hour == start.last:
            self._tell("  ".join(parts))

    def retrying(self, at: datetime, tickers: Sequence[Ticker], training: Sequence[Ticker]) -> None:
        """Show in a terminal what is waited for within the hour; elsewhere a note has said it."""
        parts = [f"training {tickers_in_words(training, self._tickers)}"] if training else []
        others = [ticker for ticker in tickers if ticker not in training]
        parts += [f"waiting for {tickers_in_words(others, self._tickers)}"] if others else []
        self._status.show([f"Next look at {at:%H:%M:%S} UTC", *parts], at_once=True)

    def waiting(self, until: datetime, sentences: Sequence[str]) -> None:
        """Show until when nothing is done, and how things stand."""
        parts = [
            f"Next hour at {until:%H:%M:%S} UTC",
            *([self._totals.equity_text] if self._totals.parts else []),
            *sentences,
        ]
        self._status.show(parts, at_once=True)
        if until != self._waiting_until:
            self._waiting_until = until
            self._tell("; ".join(part.removesuffix(".") for part in parts) + ".", err=True)

    def _tell(self, text: str, *, err: bool = False) -> None:
        """Say in a line of its own, and in the log, what a terminal shows in the line that is rewritten."""
        if self._status.rewrites:
            _log.info("%s", text)
        else:
            self._write(text, err=err)

    def _show_row(self, row: TickerRow) -> None:
        if isinstance(row, Failure) and not self._failures:
            return
        if not self._as_json:
            from crypto_refactor.report.terminal.accounts.trading import outcome_line

            text = outcome_line(row, self._tz, self._tickers)
            if isinstance(row, Failure) and self._lasting is not None and not is_hopeless(row.error):
                text += " It is tried again each hour."
            self._write(text, strong=isinstance(row, TickerOutcome) and bool(row.fills))
        elif self._lines:
            from crypto_refactor.report.documents.trading import row_json

            self.line(row_json(row))

    def line(self, document: object) -> None:
        """Print one line of JSON, at once."""
        self._write(json.dumps(document, allow_nan=False), as_is=True)

    def summary(self, text: str) -> None:
        """Print what a replay came to, in lines that fit already; the log has its hours."""
        self._status.clear()
        click.echo(text)

    def note(self, text: str, *, as_is: bool = False) -> None:
        """Show a sentence to people only; `as_is` keeps a command in one piece."""
        self._write(text, err=True, as_is=as_is)

    def command(self, label: str, words: Sequence[str]) -> None:
        """Show people a command behind its label; in a terminal it takes lines that can be pasted into a shell."""
        whole = shown = f"{label}: {shlex.join(words)}"
        if _is_terminal(sys.stderr):
            room = shutil.get_terminal_size().columns
            shown = "\n".join([_fitted(f"{label}:", sys.stderr), *command_lines("", words, room, 2)])
        self._write(shown, err=True, as_is=True, logged=whole)

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

        positions = positions_text(holdings, self._tz)
        nothing = "" if positions else " nothing."
        self.note(f"Open in {account}:{nothing}{simulated_mark(simulated=simulated)}")
        for text in positions:
            self.note(f"  {text}")

    def how_to_go_on(self, account: str) -> None:
        """Say what can be done after a run that was stopped."""
        self.note("Run the same command again to go on where it stopped. To look at the account:")
        for command in ("status", "trades"):
            self.note(f"  crypto-refactor {command} --account {shlex.quote(account)}", as_is=True)

    def close(self) -> None:
        """Deliver what can be delivered, and say what could not."""
        self._status.clear()
        if self._notifier is not None:
            self._notifier.close(_CLOSING_SECONDS)
        if self._lasting is not None:
            self._lasting.close()

    def _write(
        self,
        text: str,
        *,
        err: bool = False,
        as_is: bool = False,
        strong: bool = False,
        logged: str | None = None,
    ) -> None:
        _log.info("%s", text if logged is None else logged)
        self._status.clear()
        if not as_is:
            text = _fitted(text, sys.stderr if err else sys.stdout)
        if strong and not os.environ.get("NO_COLOR"):  # click takes it away where there is no terminal
            text = click.style(text, bold=True)
        with self._training.aside():
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
