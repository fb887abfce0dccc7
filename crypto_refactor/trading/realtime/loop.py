"""The loop that trades as time passes: once an hour, on the bar that has just closed.

Late bars and failed requests are retried until a deadline; then the hour is skipped and the reason reported.
"""

from datetime import datetime, timedelta

from crypto_refactor.errors import BrokerError, CryptoRefactorError, DataError, UsageError
from crypto_refactor.market.hours import floor_hour, to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers import UnknownOutcomeError
from crypto_refactor.trading.model_choice import StillTrainingError
from crypto_refactor.trading.outcomes import TickerRow, error_row, is_unavailable
from crypto_refactor.trading.realtime.hourly_pass import (
    LATE_SECONDS,
    MAX_SKEW_SECONDS,
    BarLateError,
    HourlyPass,
    excess_clock_skew,
)

WAKE_SECONDS = 5
"""How long after the close the loop first asks for the bar."""
_MIN_RETRY_SECONDS = 120
"""How long errors are retried at least, even where the loop was started late in the hour."""
_RETRY_SECONDS = (5, 10, 15, 30)
_HEARTBEAT_SECONDS = 900
_HOUR_END_SECONDS = 60
"""Nothing new is started this close to the end of the hour."""
_MAX_WAIT_SECONDS = 3600 + WAKE_SECONDS + MAX_SKEW_SECONDS


class TradingLoop:
    """Runs an hourly pass once an hour, and retries it within the hour.

    Attributes
    ----------
    dropped : list of TickerRow
        Rows of unavailable tickers, which are not tried again.
    """

    def __init__(self, hourly_pass: HourlyPass) -> None:
        self._pass = hourly_pass
        self._session = hourly_pass.session
        self._observer = hourly_pass.observer
        self._tickers = hourly_pass.session.tickers
        self.dropped: list[TickerRow] = []

    @property
    def blocked(self) -> str | None:
        """Why the account as a whole allowed no entry in the last pass."""
        return self._pass.blocked

    def once(self) -> list[TickerRow]:
        """Act on the bar that closed last, and return a row for each ticker."""
        return self._trade_hour(self._now(), patient=False)

    def run(self, hours: int | None = None) -> None:
        """Act on the bar that closed last, then on every later one, for so many hours or without end.

        Ends early only where no ticker is available any more.
        """
        passes = 0
        while hours is None or passes < hours:
            hour = self._now()
            self._trade_hour(hour, patient=True)
            passes += 1
            if not self._tickers:
                return
            if passes != hours:
                self._wait_for(hour + 1)

    def _now(self) -> int:
        source = self._pass.source
        if excess_clock_skew(source) is not None:
            source.clock_skew_seconds = None  # the clock may have been corrected since: measure again
        try:
            return source.now(self._session.tickers[0])
        except DataError:  # reported for each ticker when its bars are loaded
            return floor_hour(self._session.clock())

    def _trade_hour(self, hour: int, *, patient: bool) -> list[TickerRow]:
        rows: list[TickerRow] = []
        tickers = self._tickers
        began, attempt, last_note = self._session.clock(), 0, ""
        while tickers:
            result = self._pass.run(tickers, hour)
            rows += result.rows
            errors = {ticker: result.errors[ticker] for ticker in tickers if ticker in result.errors}
            tickers = ()
            for ticker, error in errors.items():
                if self._is_final(error, hour, began, patient=patient):
                    rows.append(self._give_up(ticker, error))
                else:
                    tickers += (ticker,)
            if tickers:
                last_note = self._note_retry({ticker: errors[ticker].what for ticker in tickers}, last_note)
                self._session.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)])
                attempt += 1
        return rows

    def _give_up(self, ticker: Ticker, error: CryptoRefactorError) -> TickerRow:
        row = error_row(ticker, error, explicitly_requested=self._session.explicitly_requested)
        if is_unavailable(error) and not self._has_position(ticker):
            self._tickers = tuple(other for other in self._tickers if other != ticker)
            self.dropped.append(row)
        self._observer.row(row)
        return row

    def _has_position(self, ticker: Ticker) -> bool:
        state = self._pass.ledger.state(self._pass.account.name, ticker)
        return state is not None and state.account.side != 0

    def _is_final(self, error: CryptoRefactorError, hour: int, began: datetime, *, patient: bool) -> bool:
        """Whether retrying is of no use, or too late."""
        now, close = self._session.clock(), to_datetime(hour)
        if isinstance(error, UsageError) or is_unavailable(error):
            return True
        if now >= close + timedelta(hours=1, seconds=-_HOUR_END_SECONDS):
            return True
        if isinstance(error, StillTrainingError):
            return not patient
        temporary = isinstance(error, BarLateError | UnknownOutcomeError)
        if not patient and not temporary:
            return True
        deadline = close + timedelta(seconds=LATE_SECONDS)
        if patient or not isinstance(error, BarLateError):
            deadline = max(deadline, began + timedelta(seconds=_MIN_RETRY_SECONDS))
        return now >= deadline

    def _note_retry(self, errors: dict[Ticker, str], last_note: str) -> str:
        text = " ".join(dict.fromkeys(errors.values()))
        if text != last_note:
            self._observer.note(f"{', '.join(map(str, errors))}: {text} Retrying.")
        return text

    def _wait_for(self, hour: int) -> None:
        """Wait until a few seconds after `hour` by both clocks, and never much longer than an hour."""
        ahead = max(self._pass.source.clock_skew_seconds or 0.0, 0.0)
        due, waited = to_datetime(hour) + timedelta(seconds=WAKE_SECONDS + ahead), 0.0
        while waited < _MAX_WAIT_SECONDS and (remaining := (due - self._session.clock()).total_seconds()) > 0:
            self._session.sleep(min(remaining, _HEARTBEAT_SECONDS))
            waited += min(remaining, _HEARTBEAT_SECONDS)
            if remaining > _HEARTBEAT_SECONDS:
                self._observer.note(self._heartbeat(due))

    def _heartbeat(self, due: datetime) -> str:
        account = self._pass.account.name
        try:
            positions = [
                f"{ticker} {state.account.quantity:+.6g} {ticker.base}"
                for ticker, state in self._pass.ledger.states(account).items()
                if state.account.side
            ]
            text = f"{', '.join(positions) or 'no position'} in {account}."
        except BrokerError as error:
            text = error.what
        return f"{self._session.clock():%H:%M} UTC: waiting for {due:%H:%M:%S}; {text}"
