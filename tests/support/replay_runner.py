"""Replays and single entries of planted models, as the trading commands make them."""

from __future__ import annotations

from datetime import UTC, datetime

from support.stub_models import BTC, sample_bars

from crypto_refactor.errors import UnavailableError
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.account_names import ledger_of
from crypto_refactor.trading.bar_processor import BarProcessor
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.historical.replay import run_replay
from crypto_refactor.trading.historical.trader import HistoricalTrader
from crypto_refactor.trading.model_choice import CachedModelSelector
from crypto_refactor.trading.session import TradingSession

SETTINGS = ModelSettings(lookback=12, train_hours=480, refit_every=60, network="small")
SIGNALS = SignalRules(min_confirmations=4)
NOW = datetime(2024, 6, 1, tzinfo=UTC)


class SeveralBars:
    """A source of the bars of several tickers; each one's `now` is the close of its last bar."""

    def __init__(self, *held):
        self.held = {bars.ticker: bars for bars in held}
        self.name = held[0].source

    def bars(self, ticker, start, end):
        return self._of(ticker).between(start, end)

    def prefetch(self, tickers, hours, end=None):
        """Everything is here already."""

    def latest_price(self, ticker):
        return LatestPrice(price=float(self._of(ticker).close[-1]), at=NOW.isoformat())

    def now(self, ticker):
        return int(self._of(ticker).closed[-1])

    def _of(self, ticker):
        if ticker not in self.held:
            raise UnavailableError(
                f"There are no bars of {ticker}.", expected="bars.", remedy="choose another."
            )
        return self.held[ticker]


def session_of(folder, source, tickers, *, explicitly_requested=False, balance=10_000.0, **rules):
    return TradingSession(
        tickers=tuple(tickers),
        explicitly_requested=explicitly_requested,
        source=source,
        settings=SETTINGS,
        signal_rules=SIGNALS,
        options=ExecutionOptions(**rules),
        model=None,
        model_dir=folder / "models",
        state_dir=folder / "state",
        initial_balance=balance,
        allow_gaps=True,
        allow_jumps=True,
        workers=1,
        observer=TrainingObserver(),
        clock=lambda: NOW,
        sleep=lambda _: None,
    )


def replay_run(folder, *held, tickers=None, hours=72, end=None, explicitly_requested=False, **rules):
    """Return the result of a replay of the last `hours` of `held`, and every row it showed."""
    source = SeveralBars(*held)
    session = session_of(
        folder, source, tickers or source.held, explicitly_requested=explicitly_requested, **rules
    )
    rows = []
    result = run_replay(
        session,
        ledger_of(session.state_dir),
        hours,
        end,
        delay=0.0,
        on_row=rows.append,
        on_start=lambda _: None,
        on_hour=lambda _: None,
    )
    return result, rows


def past_trader(folder, **rules):
    """Return a trader of past BTC bars in the account demo/sample."""
    return HistoricalTrader(
        ledger_of(folder / "state"),
        "demo/sample",
        decider=Decider(
            SETTINGS, SIGNALS, CachedModelSelector(ModelProvider(folder=folder / "models", settings=SETTINGS))
        ),
        processor=BarProcessor(
            balance=10_000.0,
            rules=ExecutionOptions(**rules).resolve(BTC),
            confirmations=SIGNALS.min_confirmations,
        ),
    )


def entries(folder, hours=30, bars=None, **rules):
    """Return the entries of the last `hours` bars of a past account."""
    bars = sample_bars(1200) if bars is None else bars
    trader, end = past_trader(folder, **rules), int(bars.closed[-1])
    return [trader.process_bar(bars, hour) for hour in range(end - hours, end + 1)]
