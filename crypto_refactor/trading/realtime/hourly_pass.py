"""One attempt at an hour: the bar that has just closed, for every ticker that was not acted on yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

from crypto_refactor.errors import BrokerError, CryptoRefactorError, DataError, UnavailableError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_datetime, to_iso
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import cutoff_for
from crypto_refactor.trading.account_names import share_note
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.kill_switch import halted
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.model_choice import FirstUsedModelSelector, Trainer
from crypto_refactor.trading.outcomes import TickerOutcome, TickerRow
from crypto_refactor.trading.realtime.accounts import TradingAccount
from crypto_refactor.trading.realtime.trader import RealtimeTrader
from crypto_refactor.trading.session import OnRow, TradingSession
from crypto_refactor.trading.ticker_pool import TickerPool, not_offered, open_pool, train_ahead

LATE_SECONDS = 600
"""A decision made later than this after the close is late, and a bar that comes later is not waited for."""
MAX_SKEW_SECONDS = 120

OnNote = Callable[[str], None]
"""Told sentences for people: waiting, asking again, heartbeat."""
OnBlocked = Callable[[str | None], None]


class BarLateError(DataError):
    """The bar of the latest full hour is not there yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """What an attempt came to: a row for each ticker it is done with, and what stood in the way of the others."""

    rows: list[TickerRow]
    troubles: dict[Ticker, CryptoRefactorError]


class HourlyPass:
    """Acts at an hour as far as it can be done now.

    Parameters
    ----------
    setup : TradingSession
        What is traded.
    source : AlpacaSource
        The very source of the setup.
    ledger : Ledger
        Where the account lives.
    account : TradingAccount
        Where it is traded.
    trainer : Trainer or None
        Trains beside this process; None to wait for models.
    on_note : callable
        Told what a person should know beside the rows.
    on_blocked : callable
        Told why nothing may be entered from now on, and None when entries are allowed again.

    Attributes
    ----------
    blocked : str or None
        Why the account as a whole allowed no entry in the last attempt.
    """

    def __init__(
        self,
        setup: TradingSession,
        source: AlpacaSource,
        ledger: Ledger,
        account: TradingAccount,
        *,
        trainer: Trainer | None,
        on_note: OnNote,
        on_blocked: OnBlocked,
    ) -> None:
        self._on_blocked = on_blocked
        self._said_blocked: str | None = None
        self._setup = setup
        self._source = source
        self._ledger = ledger
        self._account = account
        self._trainer = trainer
        self._on_note = on_note
        self._share: float | None = None
        self._deciders = {ticker: self._decider() for ticker in setup.tickers}
        self._told: set[Ticker] = set()
        self.blocked: str | None = None

    def attempt(self, tickers: list[Ticker], hour: int, on_row: OnRow) -> PassResult:
        """Act on the bars of `tickers` that closed at `hour`; `on_row` is told of each that is acted on."""
        troubles: dict[Ticker, CryptoRefactorError] = {}
        try:
            with suppress(UnavailableError):  # one of them is meant, and finds out for itself
                self._setup.prefetch(tickers)
        except DataError as error:
            return PassResult(rows=[], troubles=dict.fromkeys(tickers, error))
        with open_pool(self._setup, on_row, troubles.__setitem__) as crew:
            loaded = crew.load(tickers, lambda ticker: self._load(ticker, hour))
            share = self._settled_share(troubles)
            if loaded and self._begun(crew, loaded, share):
                for ticker in self._ready(crew, loaded, hour):
                    crew.start(ticker, lambda ticker: crew.show(self._act(loaded[ticker], share, crew.show)))
                crew.finish()
            self._train_ahead(loaded, hour)
        return PassResult(rows=crew.rows, troubles=troubles)

    def _load(self, ticker: Ticker, hour: int) -> Bars:
        holding = self._ledger.state(self._account.name, ticker)
        since = 1 if holding is None else max(1, hour - holding.walked_to)
        bars = self._setup.history(ticker, since, hour)
        _check_clocks(self._source)
        if int(bars.closed[-1]) != hour:
            raise BarLateError(
                f"The {ticker} bar that closed at {to_iso(hour)} is not there yet.",
                expected=f"it within {LATE_SECONDS // 60} minutes of the close.",
                remedy="nothing is traded without it; the next hour is tried again.",
            )
        return bars

    def _begun(self, crew: TickerPool, loaded: dict[Ticker, Bars], share: float) -> bool:
        """Look at the whole account; whether it can be traded now."""
        try:
            opening = {
                ticker: share for ticker in loaded if self._ledger.state(self._account.name, ticker) is None
            }
            self.blocked = self._account.begin(opening)
            self._say_blocked(halted(self._setup.state_dir) or self.blocked)
        except BrokerError as error:
            for ticker in loaded:
                crew.trouble(ticker, error)
            return False
        return True

    def _say_blocked(self, why: str | None) -> None:
        if (why is None) != (self._said_blocked is None):
            self._on_blocked(why)
        self._said_blocked = why

    def _settled_share(self, troubles: dict[Ticker, CryptoRefactorError]) -> float:
        """Return what new sub-accounts are opened with, the same in every hour of this run."""
        if self._share is None:
            gone = sum(map(not_offered, troubles.values()))
            self._share = self._setup.initial_balance / max(len(self._setup.tickers) - gone, 1)
        return self._share

    def _ready(self, crew: TickerPool, loaded: dict[Ticker, Bars], hour: int) -> Iterator[Ticker]:
        """Yield each ticker once it can be decided, after training for it where this process waits."""
        if self._trainer is not None:
            yield from loaded
            return
        missing = {}
        for ticker, bars in loaded.items():
            try:
                acted_on = self._ledger.has_decision(self._account.name, ticker, hour)
                missing[ticker] = {} if acted_on else self._deciders[ticker].missing(bars, hour, hour)
            except CryptoRefactorError as error:
                crew.trouble(ticker, error)
        for ticker, failed in train_ahead(self._setup, missing):
            if failed is None:
                yield ticker
            else:
                crew.trouble(ticker, failed)

    def _act(self, bars: Bars, share: float, on_settled: Callable[[TickerOutcome], None]) -> TickerRow:
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
            on_settled=on_settled,
        )
        notes = (
            share_note(self._ledger, self._account.name, ticker, share) if ticker not in self._told else ()
        )
        late = (self._setup.clock() - to_datetime(hour)).total_seconds() > LATE_SECONDS
        blocked = halted(self._setup.state_dir) or self.blocked
        entry = trader.act(
            bars, lambda: self._deciders[ticker].decide(bars, hour), blocked=blocked, late=late
        )
        self._told.add(ticker)
        return replace(entry, notes=entry.notes + notes)

    def _decider(self) -> Decider:
        return self._setup.decider(
            FirstUsedModelSelector(
                self._ledger,
                self._account.name,
                self._setup.settings,
                self._setup.model_dir,
                self._setup.watch,
                self._trainer,
                self._setup.cluster,
            )
        )

    def _train_ahead(self, loaded: dict[Ticker, Bars], hour: int) -> None:
        """Begin training for the next hour where another cut-off decides then."""
        if self._trainer is None or cutoff_for(hour + 1, self._setup.settings) != hour:
            return
        for ticker, bars in loaded.items():
            try:
                lessons = self._deciders[ticker].missing(bars, hour + 1, hour + 1)
            except CryptoRefactorError as error:
                self._on_note(f"{ticker}: the next model cannot be trained: {error.what}")
                continue
            for key, lesson in lessons.items():
                self._trainer.begin(key, lesson)


def seconds_apart(source: AlpacaSource) -> float | None:
    """Return the seconds between the local clock and Alpaca's, where they are too many to trade."""
    skew = source.clock_skew_seconds
    return None if skew is None or abs(skew) <= MAX_SKEW_SECONDS else abs(skew)


def _check_clocks(source: AlpacaSource) -> None:
    apart = seconds_apart(source)
    if apart is not None:
        raise DataError(
            f"The local clock and Alpaca's are {apart:.0f} s apart.",
            expected=f"at most {MAX_SKEW_SECONDS} s: which bar is the latest must be beyond doubt.",
            remedy="set this machine's clock; nothing is traded before.",
        )
