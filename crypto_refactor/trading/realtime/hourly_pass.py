"""One pass over the bars that closed at one hour, for every ticker that is still to be processed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from crypto_refactor.errors import BrokerError, CryptoRefactorError, DataError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_datetime, to_iso
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import cutoff_for
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.trading.account_names import share_note
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.kill_switch import halt_reason
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.model_choice import FirstUsedModelSelector, Trainer
from crypto_refactor.trading.outcomes import TickerOutcome, TickerRow, is_unavailable
from crypto_refactor.trading.realtime.accounts import TradingAccount
from crypto_refactor.trading.realtime.trader import RealtimeTrader
from crypto_refactor.trading.session import SessionObserver, TradingSession
from crypto_refactor.trading.ticker_pool import TickerPool, open_pool

LATE_SECONDS = 600
"""A decision made later than this after the close is late, and a bar that comes later is not waited for."""
MAX_SKEW_SECONDS = 120


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
        self.ledger = ledger
        self.account = account
        self.observer = observer
        self.blocked: str | None = None
        self._trainer = trainer
        self._deciders = {ticker: self._decider() for ticker in session.tickers}
        self._share: float | None = None
        self._share_noted: set[Ticker] = set()
        self._reported_block: str | None = None

    def run(self, tickers: Iterable[Ticker], hour: int) -> PassResult:
        """Act on the bars of `tickers` that closed at `hour`."""
        tickers = tuple(tickers)
        errors: dict[Ticker, CryptoRefactorError] = {}
        with open_pool(self.session, self.observer.row, errors.__setitem__) as pool:
            if pool.prefetch(tickers):
                bars = pool.load(tickers, lambda ticker: self._load(ticker, hour))
                share = self._settled_share(errors)
                if bars and self._preflight(pool, bars, share):
                    for ticker in self._decidable(pool, bars, hour):
                        pool.submit(
                            ticker, lambda ticker: pool.report(self._act(bars[ticker], share, pool.report))
                        )
                    pool.wait()
                self._train_ahead(bars, hour)
        return PassResult(rows=pool.rows, errors=errors)

    def _load(self, ticker: Ticker, hour: int) -> Bars:
        state = self.ledger.state(self.account.name, ticker)
        hours = 1 if state is None else max(1, hour - state.processed_through)
        bars = self.session.history(ticker, hours, hour)
        _check_clocks(self.source, self.account)
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
            self._share = self.session.share(sum(map(is_unavailable, errors.values())))
        return self._share

    def _preflight(self, pool: TickerPool, tickers: Iterable[Ticker], share: float) -> bool:
        """Check the whole account; whether it can be traded now."""
        try:
            states = {ticker: self.ledger.state(self.account.name, ticker) for ticker in tickers}
            self.blocked = self.account.begin_pass(
                {ticker: share for ticker, state in states.items() if state is None}
            )
            self._report_block(halt_reason(self.session.state_dir) or self.blocked)
        except BrokerError as error:
            for ticker in tickers:
                pool.report_error(ticker, error)
            return False
        return True

    def _report_block(self, why: str | None) -> None:
        if (why is None) != (self._reported_block is None):
            self.observer.blocked(self.account.name, why)
        self._reported_block = why

    def _decidable(self, pool: TickerPool, bars: Mapping[Ticker, Bars], hour: int) -> Iterable[Ticker]:
        """Return each ticker once it can be decided, trained for where this process waits for models."""

        def missing(ticker: Ticker) -> Mapping[str, TrainingJob]:
            if self.ledger.has_decision(self.account.name, ticker, hour):
                return {}
            return self._deciders[ticker].missing(bars[ticker], hour, hour)

        return bars if self._trainer is not None else pool.trained(bars, missing)

    def _act(self, bars: Bars, share: float, on_recovered: Callable[[TickerOutcome], None]) -> TickerOutcome:
        ticker, hour, session = bars.ticker, int(bars.closed[-1]), self.session
        trader = RealtimeTrader(
            self.ledger,
            self.account.name,
            state_dir=session.state_dir,
            processor=session.processor(share, self.account.rules(ticker)),
            executor=self.account.executor,
            clock=session.clock,
            on_recovered=on_recovered,
        )
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
        return replace(outcome, notes=outcome.notes + notes)

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
            except CryptoRefactorError as error:
                self.observer.note(f"{ticker}: the next model cannot be trained: {error.what}")
                continue
            for key, job in jobs.items():
                self._trainer.begin(key, job)


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
