"""The loop that trades as time passes: each hour once, on the bar that has just closed.

Whatever goes wrong (a late bar, a source or a broker that does not answer) is met by asking again until a
deadline; then nothing is traded in that hour, and why is said.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from crypto_refactor.errors import BrokerError, CryptoRefactorError, DataError, UsageError
from crypto_refactor.market.hours import floor_hour, to_datetime
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import UnknownOutcomeError
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.model_choice import StillTrainingError, Trainer
from crypto_refactor.trading.outcomes import TickerRow
from crypto_refactor.trading.realtime.accounts import TradingAccount
from crypto_refactor.trading.realtime.hourly_pass import (
    LATE_SECONDS,
    MAX_SKEW_SECONDS,
    BarLateError,
    HourlyPass,
    OnBlocked,
    OnNote,
    seconds_apart,
)
from crypto_refactor.trading.session import OnRow, TradingSession
from crypto_refactor.trading.ticker_pool import not_offered, row_of

WAKE_SECONDS = 5
"""How long after the close the loop first asks for the bar."""
_MIN_PATIENCE_SECONDS = 120
"""How long troubles are met by asking again, at the least, where the loop was started late in the hour."""
_ASK_AGAIN_SECONDS = (5, 10, 15, 30)
_HEARTBEAT_SECONDS = 900
_LAST_CALL_SECONDS = 60
"""Nothing new is begun this close to the end of the hour."""
_MAX_WAIT_SECONDS = 3600 + WAKE_SECONDS + MAX_SKEW_SECONDS


class TradingLoop:
    """Trades every ticker of a setup once an hour.

    Parameters
    ----------
    setup : TradingSession
        What is traded; its source is `AlpacaSource`.
    source : AlpacaSource
        The very source of the setup.
    ledger : Ledger
        Where the account lives.
    account : TradingAccount
        Where it is traded.
    trainer : Trainer or None
        Trains beside this process; None to wait for models.
    on_row : callable
        Told about each ticker of each hour.
    on_note : callable
        Told what happens in between.
    on_blocked : callable
        Told why nothing may be entered from now on, and None when entries are allowed again.

    Attributes
    ----------
    dropped : list of TickerRow
        What was said of tickers that are not offered and looked at no more.
    """

    def __init__(
        self,
        setup: TradingSession,
        source: AlpacaSource,
        ledger: Ledger,
        account: TradingAccount,
        *,
        trainer: Trainer | None,
        on_row: OnRow,
        on_note: OnNote,
        on_blocked: OnBlocked = lambda _: None,
    ) -> None:
        self._setup = setup
        self._source = source
        self._ledger = ledger
        self._account = account
        self._on_row = on_row
        self._on_note = on_note
        self._tickers = setup.tickers
        self.dropped: list[TickerRow] = []
        self._attempts = HourlyPass(
            setup, source, ledger, account, trainer=trainer, on_note=on_note, on_blocked=on_blocked
        )

    @property
    def blocked(self) -> str | None:
        """Why the account as a whole allowed no entry in the last pass."""
        return self._attempts.blocked

    def once(self) -> list[TickerRow]:
        """Act on the bar that closed last, and return what came of each ticker."""
        return self._hour(self._now(), patient=False)

    def run(self, hours: int | None = None) -> None:
        """Act on the bar that closed last, then on every one that closes, for ever or for so many hours.

        Ends by itself only where no ticker is left that is offered.
        """
        passes = 0
        while hours is None or passes < hours:
            hour = self._now()
            self._hour(hour, patient=True)
            passes += 1
            if not self._tickers:
                return
            if passes != hours:
                self._wait_for(hour + 1)

    def _now(self) -> int:
        if seconds_apart(self._source) is not None:
            self._source.clock_skew_seconds = None  # perhaps the clock was put right since: ask again
        try:
            return self._source.now(self._setup.tickers[0])
        except DataError:  # what is wrong shows for each ticker when its bars are asked for
            return floor_hour(self._setup.clock())

    def _hour(self, hour: int, *, patient: bool) -> list[TickerRow]:
        rows: list[TickerRow] = []
        waiting = list(self._tickers)
        began, attempt, said = self._setup.clock(), 0, ""
        while waiting:
            done = self._attempts.attempt(waiting, hour, self._on_row)
            rows += done.rows
            troubled = [(ticker, done.troubles[ticker]) for ticker in waiting if ticker in done.troubles]
            waiting = []
            for ticker, error in troubled:
                if self._is_final(error, hour, began, patient=patient):
                    rows.append(self._given_up(ticker, error))
                else:
                    waiting.append(ticker)
            if waiting:
                said = self._say_once(said, {ticker: done.troubles[ticker].what for ticker in waiting})
                self._setup.sleep(_ASK_AGAIN_SECONDS[min(attempt, len(_ASK_AGAIN_SECONDS) - 1)])
                attempt += 1
        return rows

    def _given_up(self, ticker: Ticker, error: CryptoRefactorError) -> TickerRow:
        row = row_of(ticker, error, asked=self._setup.asked)
        if not_offered(error) and not self._holds(ticker):
            self._tickers = tuple(other for other in self._tickers if other != ticker)
            self.dropped.append(row)
        self._on_row(row)
        return row

    def _holds(self, ticker: Ticker) -> bool:
        """Whether somebody must go on looking after `ticker`."""
        holding = self._ledger.state(self._account.name, ticker)
        return holding is not None and holding.account.side != 0

    def _is_final(self, error: CryptoRefactorError, hour: int, began: datetime, *, patient: bool) -> bool:
        """Whether asking again is of no use, or too late."""
        now, close = self._setup.clock(), to_datetime(hour)
        if isinstance(error, UsageError) or not_offered(error):
            return True
        if now >= close + timedelta(hours=1, seconds=-_LAST_CALL_SECONDS):
            return True
        if isinstance(error, StillTrainingError):
            return not patient
        passing = isinstance(error, BarLateError | UnknownOutcomeError)
        if not patient and not passing:
            return True
        deadline = close + timedelta(seconds=LATE_SECONDS)
        if patient or not isinstance(error, BarLateError):
            deadline = max(deadline, began + timedelta(seconds=_MIN_PATIENCE_SECONDS))
        return now >= deadline

    def _say_once(self, said: str, troubles: dict[Ticker, str]) -> str:
        text = " ".join(dict.fromkeys(troubles.values()))
        if text != said:
            self._on_note(f"{', '.join(map(str, troubles))}: {text} Asking again.")
        return text

    def _wait_for(self, hour: int) -> None:
        """Wait until a few seconds after `hour` by both clocks, and never much longer than an hour."""
        ahead = max(self._source.clock_skew_seconds or 0.0, 0.0)
        due, waited = to_datetime(hour) + timedelta(seconds=WAKE_SECONDS + ahead), 0.0
        while waited < _MAX_WAIT_SECONDS and (left := (due - self._setup.clock()).total_seconds()) > 0:
            self._setup.sleep(min(left, _HEARTBEAT_SECONDS))
            waited += min(left, _HEARTBEAT_SECONDS)
            if left > _HEARTBEAT_SECONDS:
                self._on_note(self._heartbeat(due))

    def _heartbeat(self, due: datetime) -> str:
        try:
            held = [
                f"{ticker} {holding.account.quantity:+.6g} {ticker.base}"
                for ticker, holding in self._ledger.states(self._account.name).items()
                if holding.account.side
            ]
            said = f"{', '.join(held) if held else 'no position'} in {self._account.name}."
        except BrokerError as error:
            said = error.what
        return f"{self._setup.clock():%H:%M} UTC: waiting for {due:%H:%M:%S}; {said}"
