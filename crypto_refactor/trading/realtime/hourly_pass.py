"""One pass over the bars that closed at one hour, for every ticker that is still to be processed."""

import gc
import logging
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from crypto_refactor.errors import BrokerError, CryptoRefactorError, DataError, UnavailableError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_datetime, to_iso
from crypto_refactor.market.plausibility import SETTLING_BARS, JumpKind, find_jumps, trusted
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import cutoff_for
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.storage.atomic_file import write_obstacle
from crypto_refactor.trading.account_names import share_note
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.explanations import jump_notes
from crypto_refactor.trading.kill_switch import halt_reason
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.limits import LimitGuard
from crypto_refactor.trading.model_choice import FirstUsedModelSelector, Trainer
from crypto_refactor.trading.orders.account_review import SecondLedgerError
from crypto_refactor.trading.orders.reconciliation import MissingCoinsError
from crypto_refactor.trading.outcomes import TickerOutcome, TickerRow, is_unavailable
from crypto_refactor.trading.realtime.accounts import TradingAccount
from crypto_refactor.trading.realtime.conditions import duration
from crypto_refactor.trading.realtime.patience import LATE_SECONDS
from crypto_refactor.trading.realtime.prices import ConfirmedPrices
from crypto_refactor.trading.realtime.trader import RealtimeTrader
from crypto_refactor.trading.session import SessionObserver, TradingSession
from crypto_refactor.trading.ticker_pool import TickerPool, as_error, open_pool

_log = logging.getLogger(__name__)

MAX_SKEW_SECONDS = 120
FETCH_SECONDS = 60.0
"""How long the first attempt of an hour waits for bars, of all tickers together."""
PRICE_SECONDS = 60.0
"""How long the orders, or the protections, of one pass wait for prices in all."""
_PREFETCH_SHARE = 0.25
"""Part of the wait that the request for all tickers together may take."""


class BarLateError(DataError):
    """The bar of the latest full hour is not there yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassResult:
    """A row for each ticker that is finished, and the errors that keep the others from it."""

    rows: list[TickerRow]
    errors: dict[Ticker, CryptoRefactorError]


class HourlyPass:
    """Processes the bars of one hour as far as that is possible now.

    Parameters
    ----------
    session : TradingSession
        What is traded, on bars of an `AlpacaSource`.
    ledger : Ledger
        Records the account.
    account : TradingAccount
        The account that is traded.
    trainer : Trainer or None
        Trains beside this process; None to wait for models.
    observer : SessionObserver
        Receives rows, notes, and whether entries are blocked.

    Attributes
    ----------
    blocked : str or None
        Why the account as a whole allowed no entry in the last pass.
    """

    def __init__(
        self,
        session: TradingSession,
        ledger: Ledger,
        account: TradingAccount,
        *,
        trainer: Trainer | None,
        observer: SessionObserver,
    ) -> None:
        assert isinstance(session.source, AlpacaSource), "only Alpaca's bars are traded as time passes"
        self.session = session
        self.source = session.source
        self.source.stores_always = False  # on a full disk exits still go
        self.ledger = ledger
        self.account = account
        self.observer = observer
        self.blocked: str | None = None
        self._trainer = trainer
        self._deciders = {ticker: self._decider() for ticker in session.tickers}
        self._prices = ConfirmedPrices(session.source)
        self._jump_notes: dict[Ticker, tuple[str, ...]] = {}
        self._share: float | None = None
        self._without_share: frozenset[Ticker] = frozenset()
        self._share_noted: set[Ticker] = set()
        self._blocked_since: datetime | None = None
        self._limits = LimitGuard(session.limits, ledger, account.name, session.clock)
        self._unmanaged: dict[Ticker, str] = {}
        self._reviewed_hour: int | None = None
        self._attempted_hour: int | None = None

    def run(self, tickers: Iterable[Ticker], hour: int) -> PassResult:
        """Act on the bars of `tickers` that closed at `hour`."""
        tickers = tuple(tickers)
        errors: dict[Ticker, CryptoRefactorError] = {}
        with open_pool(self.session, self.observer.row, errors.__setitem__) as pool:
            bars = self._fetch(pool, tickers, hour)
            share = self._settled_share(errors)
            if bars and self._preflight(pool, bars, share):
                with self.source.budget.phase(each=PRICE_SECONDS / self._rounds(bars)):
                    for ticker in self._decidable(pool, bars, hour):
                        pool.submit(ticker, lambda ticker: self._act(bars[ticker], share, pool.report))
                    pool.wait()
            self._protect(pool, errors, hour)
            self._train_ahead(bars, hour)
        self._report_unmanaged(hour)
        # A failed request leaves its session behind in a circle of exception and frames.  By itself Python looks
        # for circles among its older objects only once these have grown by a quarter: after days.
        gc.collect()
        return PassResult(rows=pool.rows, errors=errors)

    def _fetch(self, pool: TickerPool, tickers: Collection[Ticker], hour: int) -> dict[Ticker, Bars]:
        """Return the bars that come in time: those of one ticker do not wait for a source that is silent on others.

        Later attempts of an hour, where only they wait for each other, take twice as long: much history over a slow
        line comes as well.
        """
        seconds = FETCH_SECONDS * (2 if hour == self._attempted_hour else 1)
        self._attempted_hour = hour
        with self.source.budget.phase(total=seconds * _PREFETCH_SHARE):
            pool.prefetch(tickers)
        seconds *= 1 - _PREFETCH_SHARE
        with self.source.budget.phase(total=seconds, each=seconds / self._rounds(tickers)):
            return pool.load(tickers, lambda ticker: self._load(ticker, hour))

    def _rounds(self, tickers: Collection[Ticker]) -> int:
        """Return how often each worker has a ticker to work on."""
        return math.ceil(len(tickers) / self.session.workers) or 1

    def _load(self, ticker: Ticker, hour: int) -> Bars:
        state = self.ledger.state(self.account.name, ticker)
        hours = 1 if state is None else max(1, hour - state.processed_through)
        bars = self.session.history(ticker, hours, hour, allow_ticks=True)
        if state is None and ticker in self._without_share:
            raise UnavailableError(
                f"{ticker} has no part of the budget, because it was not offered when this run divided it.",
                expected="a ticker that is offered at the start.",
                remedy="start the run again once it is offered.",
            )
        _check_clocks(self.source, self.account)
        if state is not None and state.account.side:
            _require_same_unit(bars, state.account.entry_hour)
        # A jump is named from its first bar until it is settled.
        self._jump_notes[ticker] = jump_notes(bars, hour - 1 - SETTLING_BARS)
        bars = trusted(bars, "last")
        self._prices.note_close(ticker, float(bars.close[-1]))
        if int(bars.closed[-1]) != hour:
            raise BarLateError(
                f"The {ticker} bar that closed at {to_iso(hour)} is not there yet.",
                expected=f"it within {LATE_SECONDS // 60} minutes of the close.",
                remedy="nothing is traded without it; the next hour is tried again.",
            )
        return bars

    def _settled_share(self, errors: Mapping[Ticker, CryptoRefactorError]) -> float:
        """Return the balance of new sub-accounts, which stays the same throughout this run."""
        if self._share is None:
            self._without_share = frozenset(
                ticker for ticker, error in errors.items() if is_unavailable(error)
            )
            self._share = self.session.share(len(self._without_share))
        return self._share

    def _preflight(self, pool: TickerPool, bars: Mapping[Ticker, Bars], share: float) -> bool:
        """Check the whole account; whether it can be traded now."""

        def check() -> None:
            states = {ticker: self.ledger.state(self.account.name, ticker) for ticker in bars}
            blocked = self.account.begin_pass(
                {ticker: share for ticker, state in states.items() if state is None}
            )
            closes = {ticker: float(ticker_bars.close[-1]) for ticker, ticker_bars in bars.items()}
            self.blocked = self._state_obstacle() or blocked or self._limits.begin_pass(closes)
            self._report_block(halt_reason(self.session.state_dir) or self.blocked)

        return _holds_for_all(check, pool, bars)

    def _state_obstacle(self) -> str | None:
        """Return why nothing can be recorded, and so nothing be entered."""
        folder = self.session.state_dir
        why = write_obstacle(folder) if folder.is_dir() else None  # the first transaction creates it
        return None if why is None else f"the state folder {folder} cannot be written: {why}; exits go"

    def _report_block(self, why: str | None) -> None:
        if why is not None and self._blocked_since is None:
            self._blocked_since = self.session.clock()
            self.observer.blocked(self.account.name, why)
        elif why is None and self._blocked_since is not None:
            lasted = duration(self.session.clock() - self._blocked_since)
            self._blocked_since = None
            self.observer.blocked(self.account.name, None, lasted=lasted)

    def _decidable(self, pool: TickerPool, bars: Mapping[Ticker, Bars], hour: int) -> Iterable[Ticker]:
        """Return each ticker once it can be decided, trained for where this process waits for models."""

        def missing(ticker: Ticker) -> Mapping[str, TrainingJob]:
            if self.ledger.has_decision(self.account.name, ticker, hour):
                return {}
            return self._deciders[ticker].missing(bars[ticker], hour, hour)

        return bars if self._trainer is not None else pool.trained(bars, missing)

    def _act(self, bars: Bars, share: float, on_recovered: Callable[[TickerOutcome], None]) -> TickerOutcome:
        ticker, hour, session = bars.ticker, int(bars.closed[-1]), self.session
        trader = self._trader(ticker, share, on_recovered)
        notes: tuple[str, ...] = ()
        if ticker not in self._share_noted:
            notes = share_note(self.ledger, self.account.name, ticker, share)
        outcome = trader.act(
            bars,
            lambda: self._deciders[ticker].decide(bars, hour),
            blocked=halt_reason(session.state_dir) or self.blocked,
            late=(session.clock() - to_datetime(hour)).total_seconds() > LATE_SECONDS,
        )
        self._share_noted.add(ticker)
        return replace(outcome, notes=outcome.notes + notes + self._jump_notes.get(ticker, ()))

    def _trader(
        self, ticker: Ticker, share: float, on_recovered: Callable[[TickerOutcome], None]
    ) -> RealtimeTrader:
        return RealtimeTrader(
            self.ledger,
            self.account.name,
            state_dir=self.session.state_dir,
            processor=self.session.processor(share, self.account.rules(ticker)),
            executor=self.account.executor,
            clock=self.session.clock,
            admit=self._limits.admit,
            on_recovered=on_recovered,
        )

    def _protect(self, pool: TickerPool, errors: Mapping[Ticker, CryptoRefactorError], hour: int) -> None:
        """Look at the protections of positions that could not be decided on, at the newest price."""
        due = [
            ticker
            for ticker, error in errors.items()
            if not isinstance(error, SecondLedgerError | MissingCoinsError) and self._holds(ticker)
        ]
        if not due or not self._reviewed(pool, due):
            return
        for ticker in due:
            try:
                with self.source.budget.phase(total=PRICE_SECONDS / len(due)):
                    price = self._prices.newest(ticker)
                if price is None:
                    continue
                outcome = self._trader(ticker, self._share or 0.0, pool.report).protect(ticker, hour, price)
                if outcome is not None:
                    self.observer.row(outcome)
            except BrokerError as failure:  # worse than what kept the ticker from being decided
                pool.report_error(ticker, failure)
            except Exception as failure:  # noqa: BLE001 - the ticker's own error is reported already
                _log.warning("%s: protections: %s", ticker, as_error(failure).what)

    def _reviewed(self, pool: TickerPool, due: Iterable[Ticker]) -> bool:
        """Look at the account's orders, without which no exit leaves, either; whether that was possible."""
        return _holds_for_all(lambda: self.account.begin_pass({}), pool, due)

    def _holds(self, ticker: Ticker) -> bool:
        try:
            state = self.ledger.state(self.account.name, ticker)
        except Exception as error:  # noqa: BLE001 - reported as the ticker's own error
            _log.warning("%s: protections: %s", ticker, as_error(error).what)
            return False
        return state is not None and state.account.side != 0

    def _report_unmanaged(self, hour: int) -> None:
        """Name each holding that this run does not manage when it appears, and post it each hour."""
        if hour == self._reviewed_hour:
            return
        try:
            holdings = self.account.unmanaged(self.session.tickers)
        except Exception as error:  # noqa: BLE001 - asked again with the next attempt
            _log.info("holdings: %s", as_error(error).what)
            return
        self._reviewed_hour = hour
        for ticker, text in holdings.items():
            new = self._unmanaged.get(ticker) != text
            self.observer.announce("unmanaged", text, account=self.account.name, ticker=ticker, shown=new)
        for ticker in self._unmanaged.keys() - holdings.keys():
            text = "no holding is unmanaged any more"
            self.observer.announce("managed", text, account=self.account.name, ticker=ticker)
        self._unmanaged = holdings

    def _decider(self) -> Decider:
        return self.session.decider(
            FirstUsedModelSelector(self.ledger, self.account.name, self.session.models, self._trainer)
        )

    def _train_ahead(self, bars: Mapping[Ticker, Bars], hour: int) -> None:
        """Start training for the next hour where it belongs to another cut-off."""
        if self._trainer is None or cutoff_for(hour + 1, self.session.settings) != hour:
            return
        for ticker, ticker_bars in bars.items():
            try:
                jobs = self._deciders[ticker].missing(ticker_bars, hour + 1, hour + 1)
            except Exception as error:  # noqa: BLE001 - the hour that needs the model reports it
                self.observer.note(f"{ticker}: the next model cannot be trained: {as_error(error).what}")
                continue
            for key, job in jobs.items():
                self._trainer.begin(key, job)


def _require_same_unit(bars: Bars, since: int) -> None:
    """Refuse to go on with a position that was opened in another unit of the coin."""
    breaks = [jump for jump in find_jumps(bars) if jump.kind is JumpKind.LEVEL_BREAK and jump.opened >= since]
    if breaks:
        raise DataError(
            f"The prices of {bars.ticker} have changed their unit since its position was opened: {breaks[-1].text}.",
            expected="a position and prices in one unit; no protection acts on such a price.",
            remedy=f"look at the account at its venue, then end the position with `close --ticker {bars.ticker}`.",
        )


def _holds_for_all(check: Callable[[], object], pool: TickerPool, tickers: Iterable[Ticker]) -> bool:
    """Whether `check`, of the account as a whole, passes; what it raises is reported as each ticker's error."""
    try:
        check()
    except Exception as error:  # noqa: BLE001 - reported as each ticker's
        failure = as_error(error)
        for ticker in tickers:
            pool.report_error(ticker, failure)
        return False
    return True


def excess_clock_skew(source: AlpacaSource) -> float | None:
    """Return the seconds between the local clock and Alpaca's where they are too many to trade."""
    return _excess(source.clock_skew_seconds)


def _excess(skew: float | None) -> float | None:
    return None if skew is None or abs(skew) <= MAX_SKEW_SECONDS else abs(skew)


def _check_clocks(source: AlpacaSource, account: TradingAccount) -> None:
    skew = source.clock_skew_seconds
    if skew is None:
        skew = account.clock_skew()
    if skew is None:
        raise DataError(
            f"Neither the bars nor {account.name} come with the time at Alpaca.",
            expected="an answer with a date, so that both agree on the latest bar.",
            remedy="remove what takes the Date header off Alpaca's answers; nothing is traded before.",
        )
    excess = _excess(skew)
    if excess is not None:
        raise DataError(
            f"The local clock and Alpaca's are {excess:.0f} s apart.",
            expected=f"at most {MAX_SKEW_SECONDS} s, so that both agree on the latest bar.",
            remedy="set this machine's clock; nothing is traded before.",
        )
