"""One pass over bars that have passed: signals alone, or acted on in the demo account of files or sample."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from crypto_refactor.errors import CryptoRefactorError, DataError, ModelError, UnavailableError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_names import share_note
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.explanations import explain
from crypto_refactor.trading.historical.trader import HistoricalTrader
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.outcomes import TickerOutcome, TickerRow
from crypto_refactor.trading.session import OnRow, TradingSession
from crypto_refactor.trading.stepper import bar_signal, first_decision, new_state
from crypto_refactor.trading.ticker_pool import TickerPool, open_pool, train_ahead


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedTicker:
    """What a pass knows of one ticker before it decides."""

    bars: Bars
    hour: int
    decider: Decider

    @property
    def real(self) -> bool:
        """Whether a bar closed at that hour."""
        return int(self.bars.closed[-1]) == self.hour


class PassMode(Protocol):
    """What is done with a decision."""

    def hours(self, ticker: Ticker, now: int) -> int:
        """Return how many hours before `now` must be looked at."""
        ...

    def decider(self) -> Decider:
        """Return a decider for one ticker."""
        ...

    def decides(self, loaded: LoadedTicker) -> bool:
        """Whether there is anything to decide, and so a model is needed."""
        ...

    def act(self, loaded: LoadedTicker, share: float) -> TickerOutcome:
        """Decide, and do something with it."""
        ...


class SignalPass:
    """Nothing is traded: the signal and the side that would be wanted from flat."""

    def __init__(self, setup: TradingSession) -> None:
        self._setup = setup

    def hours(self, ticker: Ticker, now: int) -> int:  # noqa: ARG002 - as every desk is asked
        """Return 1: only the last close is decided."""
        return 1

    def decider(self) -> Decider:
        """Return a decider for one ticker."""
        return self._setup.decider()

    def decides(self, loaded: LoadedTicker) -> bool:
        """Whether a bar closed at that hour."""
        return loaded.real

    def act(self, loaded: LoadedTicker, share: float) -> TickerOutcome:
        """Decide at the last close, as seen from flat."""
        bars, rules = loaded.bars, self._setup.rules(loaded.bars.ticker)
        decided = target = None
        why = "no bar closed at this hour"
        if loaded.real:
            decided = loaded.decider.decide(bars, loaded.hour)
            flat, verdict = new_state(share, loaded.hour), bar_signal(decided.made, rules)
            then, target = first_decision(flat, float(bars.close[-1]), verdict, rules)
            needed = self._setup.signal_rules.min_confirmations
            why = explain(decided, target, flat.account, then.pending, rules, needed)
        return TickerOutcome(
            ticker=bars.ticker,
            simulated=bars.simulated,
            account=None,
            bar=loaded.hour,
            decided=decided,
            target=target,
            holding=None,
            price=float(bars.close[-1]),
            acted=False,
            reason=why,
        )


class DemoPass:
    """The demo account of files or sample: orders wait for the next bar's open.

    Parameters
    ----------
    setup : TradingSession
        What is traded.
    ledger : Ledger
        Where the account lives.
    account : str
        Its name.
    """

    def __init__(self, setup: TradingSession, ledger: Ledger, account: str) -> None:
        self._setup = setup
        self._ledger = ledger
        self._account = account

    def hours(self, ticker: Ticker, now: int) -> int:
        """Return the hours since the sub-account was last visited."""
        holding = self._ledger.state(self._account, ticker)
        return 1 if holding is None else max(1, now - holding.walked_to)

    def decider(self) -> Decider:
        """Return a decider for one ticker."""
        return self._setup.decider(ledger=self._ledger.path)

    def decides(self, loaded: LoadedTicker) -> bool:
        """Whether a bar closed at that hour that the sub-account has not been led through."""
        holding = self._ledger.state(self._account, loaded.bars.ticker)
        return loaded.real and (holding is None or holding.walked_to < loaded.hour)

    def act(self, loaded: LoadedTicker, share: float) -> TickerOutcome:
        """Fill what was pending, then decide."""
        trader = HistoricalTrader(
            self._ledger,
            self._account,
            balance=share,
            decider=loaded.decider,
            rules=self._setup.rules(loaded.bars.ticker),
            confirmations=self._setup.signal_rules.min_confirmations,
        )
        ticker = loaded.bars.ticker
        with locked(self._setup.state_dir, self._account, ticker):
            notes = share_note(self._ledger, self._account, ticker, share)
            entry = trader.visit(loaded.bars, loaded.hour)
        return replace(entry, notes=entry.notes + notes)


def single_pass(setup: TradingSession, desk: PassMode, end: int | None, on_row: OnRow) -> list[TickerRow]:
    """Decide the last close of every ticker once, and act at `desk`.

    Parameters
    ----------
    setup : TradingSession
        What is asked for.
    desk : PassMode
        What is done with the decisions.
    end : int or None
        Now; by default the source's.
    on_row : callable
        Told about each ticker as it finishes.

    Returns
    -------
    list of Row
        One for each ticker, as they finished.
    """

    def load(ticker: Ticker) -> LoadedTicker:
        now = setup.source.now(ticker) if end is None else end
        bars = setup.history(ticker, desk.hours(ticker, now), now)
        setup.rules(ticker)  # what cannot be traded by these rules is said before anything is trained
        hour = int(bars.closed[-1]) if end is None else end
        return LoadedTicker(bars=bars, hour=hour, decider=desk.decider())

    with open_pool(setup, on_row) as crew:
        loaded = crew.load(_reachable(setup, crew, end), load)
        share = crew.share()
        missing = {}
        for ticker, found in loaded.items():
            try:
                wanted = desk.decides(found)
                missing[ticker] = found.decider.missing(found.bars, found.hour, found.hour) if wanted else {}
            except CryptoRefactorError as error:
                crew.trouble(ticker, error)
        for ticker, failed in train_ahead(setup, missing):
            _go_on(crew, desk, loaded[ticker], share, failed)
        crew.finish()
        return crew.rows


def _reachable(setup: TradingSession, crew: TickerPool, end: int | None) -> tuple[Ticker, ...]:
    """Ask for all tickers at once; return those that are worth asking for alone."""
    try:
        if end is None:
            with suppress(UnavailableError):  # one of them is meant, and finds out for itself
                setup.prefetch(setup.tickers)
    except DataError as error:
        for ticker in setup.tickers:
            crew.trouble(ticker, error)
        return ()
    return setup.tickers


def _go_on(
    crew: TickerPool, desk: PassMode, loaded: LoadedTicker, share: float, error: ModelError | None
) -> None:
    ticker = loaded.bars.ticker
    if error is not None:
        crew.trouble(ticker, error)
        return
    crew.start(ticker, lambda _: crew.show(desk.act(loaded, share)))
