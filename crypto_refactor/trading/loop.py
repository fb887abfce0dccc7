"""The loop that trades as time passes: each hour once, on the bar that has just closed.

Whatever goes wrong (a late bar, a source or a broker that does not answer) is met by asking again until a
deadline; then nothing is traded in that hour, and why is said.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from crypto_refactor.errors import BrokerError, CryptoRefactorError, DataError, UsageError
from crypto_refactor.market.alpaca import AlpacaSource
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_datetime, to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.selection import cutoff_for
from crypto_refactor.trading.broker import UnknownOutcomeError
from crypto_refactor.trading.crew import Crew, crew_for, not_offered, trained_ahead
from crypto_refactor.trading.deciding import Decider
from crypto_refactor.trading.desks import Account
from crypto_refactor.trading.entry import Row
from crypto_refactor.trading.halting import halted
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.realtime import RealtimeTrader
from crypto_refactor.trading.setup import OnRow, Setup
from crypto_refactor.trading.standing import Standing, StillTrainingError, Trainer

WAKE_SECONDS = 5
"""How long after the close the loop first asks for the bar."""
LATE_SECONDS = 600
"""A decision made later than this after the close is late, and a bar that comes later is not waited for."""
_LEAST_PATIENCE_SECONDS = 120
"""How long troubles are met by asking again, at the least, where the loop was started late in the hour."""
_ASK_AGAIN_SECONDS = (5, 10, 15, 30)
_HEARTBEAT_SECONDS = 900
_MOST_SKEW_SECONDS = 120
_LAST_CALL_SECONDS = 60
"""Nothing new is begun this close to the end of the hour."""

OnNote = Callable[[str], None]
"""Told sentences for people: waiting, asking again, heartbeat."""


class BarLateError(DataError):
    """The bar of the latest full hour is not there yet."""


class Loop:
    """Trades every ticker of a setup once an hour.

    Parameters
    ----------
    setup : Setup
        What is traded; its source is `AlpacaSource`.
    source : AlpacaSource
        The very source of the setup.
    ledger : Ledger
        Where the account lives.
    account : Account
        Where it is traded.
    trainer : Trainer or None
        Trains beside this process; None to wait for models.
    on_row : callable
        Told about each ticker of each hour.
    on_note : callable
        Told what happens in between.

    Attributes
    ----------
    blocked : str or None
        Why the account as a whole allowed no entry in the last pass.
    """

    def __init__(
        self,
        setup: Setup,
        source: AlpacaSource,
        ledger: Ledger,
        account: Account,
        *,
        trainer: Trainer | None,
        on_row: OnRow,
        on_note: OnNote,
    ) -> None:
        self._setup = setup
        self._source = source
        self._ledger = ledger
        self._account = account
        self._trainer = trainer
        self._on_row = on_row
        self._on_note = on_note
        self._tickers = setup.tickers
        self._share: float | None = None
        self._deciders = {ticker: self._decider() for ticker in setup.tickers}
        self._bars: dict[Ticker, Bars] = {}
        self.blocked: str | None = None

    def once(self) -> list[Row]:
        """Act on the bar that closed last, and return what came of each ticker."""
        return self._hour(self._now(), patient=False)

    def run(self, hours: int | None = None) -> None:
        """Act on the bar that closed last, then on every one that closes, for ever or for so many hours."""
        passes = 0
        while hours is None or passes < hours:
            hour = self._now()
            self._hour(hour, patient=True)
            passes += 1
            if not self._tickers:
                return
            self._train_ahead(hour)
            if passes != hours:
                self._wait_until(to_datetime(hour + 1) + timedelta(seconds=WAKE_SECONDS + self._ahead()))

    def _now(self) -> int:
        return self._source.now(self._setup.tickers[0])

    def _ahead(self) -> float:
        """Return how far the local clock is ahead of Alpaca's, which says when a bar has closed."""
        return max(self._source.clock_skew_seconds or 0.0, 0.0)

    def _hour(self, hour: int, *, patient: bool) -> list[Row]:
        rows: list[Row] = []
        waiting = list(self._tickers)
        began, attempt, said = self._setup.clock(), 0, ""
        while waiting:
            troubles: dict[Ticker, CryptoRefactorError] = {}
            with crew_for(self._setup, self._on_row, troubles.__setitem__) as crew:
                self._attempt(crew, waiting, hour, troubles)
                for ticker, error in list(troubles.items()):
                    if self._is_final(error, hour, began, patient=patient):
                        crew.failed(ticker, error)
                        del troubles[ticker]
                        if not_offered(error):
                            self._tickers = tuple(other for other in self._tickers if other != ticker)
                rows += crew.rows
            waiting = [ticker for ticker in waiting if ticker in troubles]
            if waiting:
                said = self._say_once(said, troubles)
                self._setup.sleep(_ASK_AGAIN_SECONDS[min(attempt, len(_ASK_AGAIN_SECONDS) - 1)])
                attempt += 1
        return rows

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
            deadline = max(deadline, began + timedelta(seconds=_LEAST_PATIENCE_SECONDS))
        return now >= deadline

    def _say_once(self, said: str, troubles: dict[Ticker, CryptoRefactorError]) -> str:
        text = " ".join(dict.fromkeys(error.what for error in troubles.values()))
        if text != said:
            names = ", ".join(map(str, troubles))
            self._on_note(f"{names}: {text} Asking again.")
        return text

    def _attempt(
        self, crew: Crew, waiting: list[Ticker], hour: int, troubles: dict[Ticker, CryptoRefactorError]
    ) -> None:
        try:
            self._setup.prefetch(waiting)
        except DataError as error:
            troubles.update(dict.fromkeys(waiting, error))
            return
        loaded = crew.load(waiting, lambda ticker: self._load(ticker, hour))
        share = self._settled_share(troubles)
        opening = {
            ticker: share for ticker in loaded if self._ledger.holding(self._account.name, ticker) is None
        }
        if not loaded:
            return
        try:
            self.blocked = self._account.begin(opening)
        except BrokerError as error:
            troubles.update(dict.fromkeys(loaded, error))
            return
        ready = self._ready(crew, loaded, hour)
        for ticker in ready:
            crew.start(ticker, lambda ticker: crew.show(self._act(loaded[ticker], share)))
        crew.finish()

    def _settled_share(self, troubles: dict[Ticker, CryptoRefactorError]) -> float:
        """Return what new sub-accounts are opened with, the same in every hour of this run."""
        if self._share is None:
            gone = sum(map(not_offered, troubles.values()))
            self._share = self._setup.initial_balance / max(len(self._setup.tickers) - gone, 1)
        return self._share

    def _ready(self, crew: Crew, loaded: dict[Ticker, Bars], hour: int) -> list[Ticker]:
        """Return the tickers that can be decided, after training for them where this process waits."""
        if self._trainer is not None:
            return list(loaded)
        missing, ready = {}, []
        for ticker, bars in loaded.items():
            if self._ledger.acted_on(self._account.name, ticker, hour):
                ready.append(ticker)
                continue
            try:
                missing[ticker] = self._deciders[ticker].missing(bars, hour, hour)
            except CryptoRefactorError as error:
                crew.trouble(ticker, error)
        for ticker, failed in trained_ahead(self._setup, missing):
            if failed is None:
                ready.append(ticker)
            else:
                crew.trouble(ticker, failed)
        return ready

    def _load(self, ticker: Ticker, hour: int) -> Bars:
        holding = self._ledger.holding(self._account.name, ticker)
        since = 1 if holding is None else max(1, hour - holding.walked_to)
        bars = self._setup.history(ticker, since, hour)
        self._check_clock()
        if int(bars.closed[-1]) != hour:
            raise BarLateError(
                f"The {ticker} bar that closed at {to_iso(hour)} is not there yet.",
                expected=f"it within {LATE_SECONDS // 60} minutes of the close.",
                remedy="nothing is traded without it; the next hour is tried again.",
            )
        self._bars[ticker] = bars
        return bars

    def _check_clock(self) -> None:
        skew = self._source.clock_skew_seconds
        if skew is not None and abs(skew) > _MOST_SKEW_SECONDS:
            raise DataError(
                f"The local clock and Alpaca's are {abs(skew):.0f} s apart.",
                expected=f"at most {_MOST_SKEW_SECONDS} s: which bar is the latest must be beyond doubt.",
                remedy="set this machine's clock; nothing is traded before.",
            )

    def _act(self, bars: Bars, share: float) -> Row:
        ticker, hour = bars.ticker, int(bars.closed[-1])
        trader = RealtimeTrader(
            self._ledger,
            self._account.name,
            state=self._setup.state_dir,
            balance=share,
            rules=self._account.rules(ticker),
            confirmations=self._setup.signal_rules.min_confirmations,
            executor=self._account.executor(),
            clock=self._setup.clock,
        )
        late = (self._setup.clock() - to_datetime(hour)).total_seconds() > LATE_SECONDS
        blocked = halted(self._setup.state_dir) or self.blocked
        return trader.act(bars, lambda: self._deciders[ticker].decide(bars, hour), blocked=blocked, late=late)

    def _decider(self) -> Decider:
        return self._setup.decider(
            Standing(
                self._ledger,
                self._account.name,
                self._setup.settings,
                self._setup.model_dir,
                self._setup.watch,
                self._trainer,
            )
        )

    def _train_ahead(self, hour: int) -> None:
        """Begin training for the next hour where another cut-off decides then."""
        if self._trainer is None or cutoff_for(hour + 1, self._setup.settings) != hour:
            return
        for ticker in self._tickers:
            bars = self._bars.get(ticker)
            if bars is None or int(bars.closed[-1]) != hour:
                continue
            try:
                lessons = self._deciders[ticker].missing(bars, hour + 1, hour + 1)
            except CryptoRefactorError as error:
                self._on_note(f"{ticker}: the next model cannot be trained: {error.what}")
                continue
            for key, lesson in lessons.items():
                self._trainer.begin(key, lesson)

    def _wait_until(self, instant: datetime) -> None:
        while (left := (instant - self._setup.clock()).total_seconds()) > 0:
            self._setup.sleep(min(left, _HEARTBEAT_SECONDS))
            if left > _HEARTBEAT_SECONDS:
                self._on_note(self._heartbeat(instant))

    def _heartbeat(self, instant: datetime) -> str:
        held = [
            f"{ticker} {holding.account.quantity:+.6g} {ticker.base}"
            for ticker, holding in self._ledger.holdings(self._account.name).items()
            if holding.account.side
        ]
        return (
            f"{self._setup.clock():%H:%M} UTC: waiting for {instant:%H:%M:%S}; "
            f"{', '.join(held) if held else 'no position'} in {self._account.name}."
        )
