"""One pass over bars of the past: signals alone, or traded in the demo account of files or sample."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.trading.account_names import share_note
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.explanations import jump_notes, missed_hours_note
from crypto_refactor.trading.historical.trader import HistoricalTrader
from crypto_refactor.trading.ledger import ForecastRecord, Ledger
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.outcomes import TickerOutcome, TickerRow
from crypto_refactor.trading.record.series_names import LOOP_MODELS, model_series
from crypto_refactor.trading.session import OnRow, TradingSession
from crypto_refactor.trading.ticker_pool import open_pool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedTicker:
    """What a pass knows of one ticker before it decides at `hour`."""

    bars: Bars
    hour: int
    decider: Decider

    @property
    def ticker(self) -> Ticker:
        """The ticker of the bars."""
        return self.bars.ticker

    @property
    def bar_closed(self) -> bool:
        """Whether a bar closed at that hour."""
        return int(self.bars.closed[-1]) == self.hour

    def missing(self) -> Mapping[str, TrainingJob]:
        """Return the models to train before that hour can be decided."""
        return self.decider.missing(trusted(self.bars), self.hour, self.hour)


class SignalPass:
    """Trades nothing: the signal of the last close, and the target side as seen from flat.

    `record` is the ledger that keeps the forecasts; None to keep none.
    """

    def __init__(self, session: TradingSession, record: Ledger | None = None) -> None:
        self._session = session
        self._record = record

    def hours(self, ticker: Ticker, now: int) -> int:  # noqa: ARG002 - depends on them where the account is traded
        """Return how many hours before `now` are to be decided."""
        return 1

    def decider(self) -> Decider:
        """Return a decider for one ticker."""
        return self._session.decider()

    def decides(self, loaded: LoadedTicker) -> bool:
        """Whether there is anything to decide, so that a model is needed."""
        return loaded.bar_closed

    def act(self, loaded: LoadedTicker, share: float) -> TickerOutcome:
        """Decide, and act on it."""
        bars, hour = trusted(loaded.bars, "last"), loaded.hour
        decision = loaded.decider.decide(bars, hour) if loaded.bar_closed else None
        processor = self._session.processor(share, self._session.rules(loaded.ticker))
        processed = processor.process(None, bars, hour, decision)
        outcome = processed.outcome(bars, hour, None)
        notes = jump_notes(loaded.bars) + self._keep(loaded.ticker, processed.forecast)
        return replace(outcome, notes=outcome.notes + notes)

    def _keep(self, ticker: Ticker, forecast: ForecastRecord | None) -> tuple[str, ...]:
        """Record a forecast, and return why that was not possible: a signal is never lost for its record."""
        if self._record is None or forecast is None:
            return ()
        series = model_series(self._session.model or LOOP_MODELS, self._session.source)
        try:
            self._record.record_forecast(series, ticker, forecast)
        except BrokerError as error:
            return (f"the forecast was not recorded: {error.what}",)
        return ()


class DemoPass(SignalPass):
    """Trades the demo account of files or sample: orders wait for the next bar's open."""

    def __init__(self, session: TradingSession, ledger: Ledger, account: str) -> None:
        super().__init__(session)
        self._ledger = ledger
        self._account = account

    def hours(self, ticker: Ticker, now: int) -> int:
        """Return the hours since the sub-account was last processed."""
        state = self._ledger.state(self._account, ticker)
        return 1 if state is None else max(1, now - state.processed_through)

    def decider(self) -> Decider:
        """Return a decider for one ticker."""
        return self._session.decider(ledger=self._ledger.path)

    def decides(self, loaded: LoadedTicker) -> bool:
        """Whether a bar closed at that hour that the sub-account has not processed yet."""
        state = self._ledger.state(self._account, loaded.ticker)
        return loaded.bar_closed and (state is None or state.processed_through < loaded.hour)

    def act(self, loaded: LoadedTicker, share: float) -> TickerOutcome:
        """Fill what was pending, then decide."""
        ticker = loaded.ticker
        processor = self._session.processor(share, self._session.rules(ticker))
        trader = HistoricalTrader(self._ledger, self._account, decider=loaded.decider, processor=processor)
        with locked(self._session.state_dir, self._account, ticker):
            notes = share_note(self._ledger, self._account, ticker, share)
            missed = missed_hours_note(self._ledger.state(self._account, ticker), loaded.bars, loaded.hour)
            outcome = trader.process_bar(loaded.bars, loaded.hour)
        return replace(outcome, notes=missed + outcome.notes + notes + jump_notes(loaded.bars))


def run_single_pass(
    session: TradingSession, mode: SignalPass, end: int | None, on_row: OnRow
) -> list[TickerRow]:
    """Decide the last close of every ticker once, and act on it as `mode` says.

    Parameters
    ----------
    session : TradingSession
        What is traded.
    mode : SignalPass
        What is done with the decisions; a `DemoPass` trades them.
    end : int or None
        Now; by default the source's.
    on_row : callable
        Receives each ticker's row as it finishes.

    Returns
    -------
    list of TickerRow
        One for each ticker, in the order they finished.
    """

    def load(ticker: Ticker) -> LoadedTicker:
        now = session.source.now(ticker) if end is None else end
        bars = session.history(ticker, mode.hours(ticker, now), now)
        session.rules(ticker)  # rules that cannot apply fail before anything is trained
        hour = int(bars.closed[-1]) if end is None else end
        return LoadedTicker(bars=bars, hour=hour, decider=mode.decider())

    def missing(ticker: Ticker) -> Mapping[str, TrainingJob]:
        return loaded[ticker].missing() if mode.decides(loaded[ticker]) else {}

    with open_pool(session, on_row) as pool:
        if end is None:
            pool.prefetch(session.tickers)
        loaded = pool.load(session.tickers, load)
        share = pool.share()
        for ticker in pool.trained(loaded, missing):
            pool.submit(ticker, lambda ticker: mode.act(loaded[ticker], share))
        pool.wait()
        return pool.rows
