"""The loop that trades as time passes: once an hour, on the bar that has just closed.

Late bars and failed requests are retried until a deadline; then the hour is skipped and the reason reported.  What lasts
for hours is reported when it begins and when it ends.  Nothing but a signal, or a start without any ticker, ends it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from crypto_refactor.errors import (
    CryptoRefactorError,
    InternalError,
    SourceFailedError,
    UsageError,
)
from crypto_refactor.market.hours import floor_hour, to_datetime, to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import UnknownOutcomeError, UnreachableError
from crypto_refactor.trading.explanations import positions_in_words, tickers_in_words
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.kill_switch import halt_reason
from crypto_refactor.trading.model_choice import StillTrainingError
from crypto_refactor.trading.outcomes import (
    TickerOutcome,
    TickerRow,
    error_row,
    is_hopeless,
    is_unavailable,
)
from crypto_refactor.trading.realtime.conditions import Conditions
from crypto_refactor.trading.realtime.daily_summary import SummaryDays, decided_through, summarise
from crypto_refactor.trading.realtime.hourly_pass import (
    MAX_SKEW_SECONDS,
    BarLateError,
    HourlyPass,
    excess_clock_skew,
)
from crypto_refactor.trading.realtime.patience import Heartbeat, hour_end, retry_deadline, retry_seconds
from crypto_refactor.trading.realtime.record_watch import RecordWatch
from crypto_refactor.trading.record.alarms import KIND
from crypto_refactor.trading.ticker_pool import as_error

_log = logging.getLogger(__name__)

WAKE_SECONDS = 5
"""How long after the close the loop first asks for the bar."""
_CLOCK_SECONDS = 15.0
"""How long Alpaca is asked for its time before an hour begins."""
_STOP_SECONDS = 2.0
"""How long a stop waits for the work of an hour; then it interrupts it."""
_WAITING_SECONDS = 900
"""How long the loop sleeps at most before it shows a sign of life."""
_MAX_WAIT_SECONDS = 3600 + WAKE_SECONDS + MAX_SKEW_SECONDS
_FAILED_REQUESTS = (SourceFailedError, UnreachableError, UnknownOutcomeError)


class TradingLoop:
    """Runs an hourly pass once an hour, and retries it within the hour.

    Parameters
    ----------
    hourly_pass : HourlyPass
        What is done in an hour.
    after_hour : callable or None
        Called at the end of each hour, whatever became of it.

    Attributes
    ----------
    dropped : dict of Ticker to TickerRow
        Rows of unavailable tickers without a position; they are asked for again each hour.
    """

    def __init__(self, hourly_pass: HourlyPass, *, after_hour: Callable[[], None] | None = None) -> None:
        self._pass = hourly_pass
        self._session = hourly_pass.session
        self._observer = hourly_pass.observer
        self._account = hourly_pass.account.name
        self._conditions = Conditions(hourly_pass.session.clock)
        self._heartbeat = Heartbeat(hourly_pass.session.clock)
        self._days = SummaryDays()
        self._watch = RecordWatch(hourly_pass.ledger, self._account)
        self._after_hour = after_hour
        self._hopeless: dict[Ticker, CryptoRefactorError] = {}
        self.dropped: dict[Ticker, TickerRow] = {}

    @property
    def blocked(self) -> str | None:
        """Why the account as a whole allowed no entry in the last pass."""
        return self._pass.blocked

    def once(self) -> list[TickerRow]:
        """Act on the bar that closed last, and return a row for each ticker.

        Failing requests are retried up to ten minutes after the close, for two minutes at least.
        """
        return self._trade_hour(self._session.tickers, self._now(), patient=False)

    def run(self, hours: int | None = None) -> None:
        """Act on the bar that closed last, then on every later one, for so many hours or without end.

        Ends by itself only after a first hour in which no ticker is available, or none can ever be traded.

        Raises
        ------
        UsageError, KeysRefusedError
            If none can be traded because of the command line or the keys.
        """
        passes = 0
        while hours is None or passes < hours:
            hour = self._now()
            if not passes:
                self._begin_days(hour)
            with deferred_interrupts(at_most=_STOP_SECONDS):
                self._guarded_hour(hour)
                self._look_at_record()
                self._summarise(hour)
                if self._after_hour is not None:
                    self._after_hour()
            passes += 1
            if passes == 1:
                if len(self.dropped) == len(self._session.tickers):
                    return
                if len(self._hopeless) == len(self._session.tickers):
                    raise next(iter(self._hopeless.values()))
            if passes != hours:
                self._wait_for(hour + 1)

    def _now(self) -> int:
        source = self._pass.source
        try:
            if excess_clock_skew(source) is not None:
                source.clock_skew_seconds = None  # the clock may have been corrected since: measure again
            with source.budget.phase(total=_CLOCK_SECONDS):
                return source.now(self._session.tickers[0])
        except Exception as error:  # noqa: BLE001 - reported for each ticker when its bars are loaded
            _log.info("%s", as_error(error).what)
            return floor_hour(self._session.clock())

    def _guarded_hour(self, hour: int) -> None:
        """Trade an hour; whatever goes wrong, the next one is tried."""
        try:
            dropped = tuple(self.dropped)
            self._trade_hour(
                tuple(ticker for ticker in self._session.tickers if ticker not in dropped), hour, patient=True
            )
            # On their own: one symbol that is not known would spoil the request for all.
            self._trade_hour(dropped, hour, patient=True)
        except Exception as error:  # noqa: BLE001 - the positions that are open need the next hour
            text = f"The hour ended early. {as_error(error)}"
            self._observer.announce("failure", text, account=self._account)

    def _trade_hour(self, tickers: tuple[Ticker, ...], hour: int, *, patient: bool) -> list[TickerRow]:
        rows: list[TickerRow] = []
        began, attempt, last_note = self._session.clock(), 0, ""
        while tickers:
            result = self._pass.run(tickers, hour)
            rows += result.rows
            self._note_recovered(result.rows)
            errors = {ticker: result.errors[ticker] for ticker in tickers if ticker in result.errors}
            given_up = {
                ticker: error
                for ticker, error in errors.items()
                if self._is_final(error, hour, began, patient=patient)
            }
            rows += self._give_up(given_up)
            tickers = tuple(ticker for ticker in errors if ticker not in given_up)
            if tickers:
                until = min(self._deadline(errors[ticker], hour, began) for ticker in tickers)
                last_note = self._note_retry({t: errors[t].what for t in tickers}, until, last_note)
                training = tuple(t for t in tickers if isinstance(errors[t], StillTrainingError))
                seconds = retry_seconds(attempt)
                self._observer.retrying(self._session.clock() + timedelta(seconds=seconds), tickers, training)
                self._session.sleep(seconds)
                attempt += 1
        return rows

    def _give_up(self, errors: Mapping[Ticker, CryptoRefactorError]) -> list[TickerRow]:
        """Report why tickers are not traded this hour, unless that is known from the hour before."""
        rows: list[TickerRow] = []
        new: list[TickerRow] = []
        known: list[TickerRow] = []
        for ticker, error in errors.items():
            row = error_row(ticker, error, explicitly_requested=self._session.explicitly_requested)
            holds = self._has_position(ticker)
            rows.append(row)
            if self._conditions.begin(ticker, error):
                new.append(row)
            elif holds:
                known.append(row)
            self.dropped.pop(ticker, None)
            if is_unavailable(error) and not holds:
                self.dropped[ticker] = row
            if is_hopeless(error):
                self._hopeless[ticker] = error
        self._observer.given_up(new)
        self._observer.given_up_again(known)
        for row in new:
            error = errors[row.ticker]
            if is_unavailable(error):
                text = f"{error.what} It is asked for again each hour."
                self._observer.announce("unavailable", text, account=self._account, ticker=row.ticker)
        return rows

    def _note_recovered(self, rows: list[TickerRow]) -> None:
        """Announce what is traded again; tickers that failed together return together."""
        returned: dict[tuple[str, str], list[Ticker]] = {}
        for ticker in dict.fromkeys(row.ticker for row in rows if isinstance(row, TickerOutcome)):
            self.dropped.pop(ticker, None)
            ended = self._conditions.end(ticker)
            if ended is not None:
                error, lasted = ended
                kind = "available" if is_unavailable(error) else "recovered"
                text = f"traded again after {lasted} (it was: {error.what})"
                returned.setdefault((kind, text), []).append(ticker)
        for (kind, text), tickers in returned.items():
            if len(tickers) == 1:
                self._observer.announce(kind, f"is {text}", account=self._account, ticker=tickers[0])
            else:
                self._observer.announce(kind, f"{self._named(tickers)} are {text}", account=self._account)

    def _named(self, tickers: Sequence[Ticker]) -> str:
        return tickers_in_words(tickers, self._session.tickers)

    def _has_position(self, ticker: Ticker) -> bool:
        """Whether the ledger holds some of it; it counts as held while the ledger cannot be read."""
        try:
            state = self._pass.ledger.state(self._account, ticker)
        except Exception as error:  # noqa: BLE001 - the ticker's own row says what is wrong with the ledger
            _log.info("%s", as_error(error).what)
            return True
        return state is not None and state.account.side != 0

    def _is_final(self, error: CryptoRefactorError, hour: int, began: datetime, *, patient: bool) -> bool:
        """Whether retrying is of no use, or too late."""
        now = self._session.clock()
        if isinstance(error, UsageError | InternalError) or is_unavailable(error) or now >= hour_end(hour):
            return True
        if isinstance(error, StillTrainingError):
            return not patient
        if not patient and not isinstance(error, (*_FAILED_REQUESTS, BarLateError)):
            return True
        if not patient and isinstance(error, BarLateError):
            return now >= self._deadline(error, hour, to_datetime(hour))
        return now >= self._deadline(error, hour, began)

    def _deadline(self, error: CryptoRefactorError, hour: int, began: datetime) -> datetime:
        """Return until when an error is retried."""
        return hour_end(hour) if isinstance(error, StillTrainingError) else retry_deadline(hour, began)

    def _note_retry(self, errors: dict[Ticker, str], until: datetime, last_note: str) -> str:
        new = {ticker: what for ticker, what in errors.items() if not self._conditions.lasts(ticker)}
        text = " ".join(dict.fromkeys(new.values()))
        if text and text != last_note:
            named = self._named(tuple(new))
            self._observer.note(f"{named[0].upper()}{named[1:]}: {text} Retrying until {until:%H:%M:%S} UTC.")
        return text

    def _wait_for(self, hour: int) -> None:
        """Wait until a few seconds after `hour` by both clocks, and never much longer than an hour."""
        ahead = max(self._pass.source.clock_skew_seconds or 0.0, 0.0)
        due, waited = to_datetime(hour) + timedelta(seconds=WAKE_SECONDS + ahead), 0.0
        failing = self._named(self._conditions.tickers)
        again = [f"not traded now, and asked for again then: {failing}"] if failing else []
        while waited < _MAX_WAIT_SECONDS and (remaining := (due - self._session.clock()).total_seconds()) > 0:
            self._beat()
            self._observer.waiting(due, [self._positions(), *again])
            self._session.sleep(min(remaining, _WAITING_SECONDS))
            waited += min(remaining, _WAITING_SECONDS)

    def _begin_days(self, hour: int) -> None:
        try:
            through = decided_through(self._pass.ledger, self._account)
            self._watch.begin()
        except Exception as error:  # noqa: BLE001 - the first pass reports what is wrong with the ledger
            _log.info("%s", as_error(error).what)
            through = None
        self._days.begin(through, hour)

    def _look_at_record(self) -> None:
        try:
            alarms = self._watch.new()
        except Exception as error:  # noqa: BLE001 - the record is no reason to stop trading
            _log.warning("The record of forecasts has to wait: %s", as_error(error).what)
            return
        for alarm in alarms:
            self._observer.announce(KIND, alarm.text, account=self._account, found_at=to_iso(alarm.at))

    def _summarise(self, hour: int) -> None:
        """Announce the day that has ended, once; where the ledger cannot be read, the next hour tries again."""
        day = self._days.due(hour)
        if day is None:
            return
        try:
            summary = summarise(self._pass.ledger, self._account, day)
        except Exception as error:  # noqa: BLE001 - a summary is no reason to stop trading
            _log.warning("The daily summary has to wait: %s", as_error(error).what)
            return
        self._days.done(hour)
        if summary is None:
            return
        failing = [str(ticker) for ticker in self._conditions.tickers]
        blocked = halt_reason(self._session.state_dir) or self.blocked
        health = [f"Not traded now: {self._named(self._conditions.tickers)}."] if failing else []
        health += [f"Entries are blocked: {blocked}."] if blocked is not None else []
        self._observer.announce(
            "summary",
            " ".join([f"{summary.text()}; {self._positions()}", *health]),
            account=self._account,
            not_traded=failing,
            blocked=blocked,
            **summary.details(),
        )

    def _beat(self) -> None:
        if not self._heartbeat.due():
            return
        failing = self._named(self._conditions.tickers)
        self._observer.announce(
            "heartbeat",
            f"alive; {self._positions()}{f' Not traded now: {failing}.' if failing else ''}",
            account=self._account,
        )

    def _positions(self) -> str:
        try:
            positions = positions_in_words(self._pass.ledger.positions(self._account))
        except Exception as error:  # noqa: BLE001 - a heartbeat is no reason to stop trading
            return as_error(error).what
        return f"{positions or 'no position'} in {self._account}."
