"""Replay a window of the past bar by bar, as a process that knows no later bar would trade it.

Every bar is committed to the ledger before the next one is read, so an interrupted replay continues where it was;
at its end it is compared with the backtest of the same window.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.errors import CryptoRefactorError, UsageError
from crypto_refactor.execution.sub_account import Fill, Trade
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.history import window_of
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.trading.account_names import replay_account
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.historical.trader import HistoricalTrader
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.outcomes import TickerOutcome, TickerRow
from crypto_refactor.trading.session import OnRow, TradingSession, about
from crypto_refactor.trading.ticker_pool import TickerPool, open_pool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """The bars of one ticker, and the hours `start` to `end` of them that are replayed."""

    bars: Bars
    start: int
    end: int
    decider: Decider

    @property
    def ticker(self) -> Ticker:
        """The ticker of the bars."""
        return self.bars.ticker

    def missing(self) -> Mapping[str, TrainingJob]:
        """Return the models to train before the window can be decided."""
        return self.decider.missing(trusted(self.bars), self.start, int(self.bars.closed[-1]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickerReplay:
    """The result of the replay of one ticker.

    Attributes
    ----------
    backtest : BacktestResult
        Of the same window, with the same balance.
    equity : tuple of (int, float)
        Close of each bar and equity there, from the ledger, the opening balance first.
    fills, trades : tuple
        From the ledger; an open position is in no trade.
    same : bool
        Whether decisions, models, fills, trades and equity equal the backtest's to the last bit.
    """

    ticker: Ticker
    backtest: BacktestResult
    equity: tuple[tuple[int, float], ...]
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplayResult:
    """The result of a replay; `rows` holds a row for each ticker that was not replayed to its end."""

    account: str
    resumed: bool
    replayed: tuple[TickerReplay, ...]
    rows: tuple[TickerRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayStart:
    """A replay that is about to be played.

    Attributes
    ----------
    resumed : bool
        Whether an interrupted replay continues.
    share : float
        What each sub-account is opened with.
    first, last : int
        The hours between which it is played.
    first_end : int
        The hour at which the first ticker ends; others may end later, where their bars do.
    next : int
        The first hour that is left to play.
    played : dict of Ticker to (float, int)
        Equity and side of each sub-account by now.
    """

    account: str
    resumed: bool
    share: float
    first: int
    last: int
    first_end: int
    next: int
    played: Mapping[Ticker, tuple[float, int]]


def run_replay(
    session: TradingSession,
    ledger: Ledger,
    hours: int,
    end: int | None,
    *,
    delay: float,
    on_row: OnRow,
    on_start: Callable[[ReplayStart], None],
    on_hour: Callable[[int], None],
) -> ReplayResult:
    """Replay the `hours` hours up to `end` for every ticker, hour by hour.

    Parameters
    ----------
    session : TradingSession
        What is traded.
    ledger : Ledger
        Records the replay.
    hours : int
        Length of the window.
    end : int or None
        Its end; by default each ticker's now at the source.
    delay : float
        Seconds to wait after each hour, for people who watch.
    on_row : callable
        Receives each bar of each ticker.
    on_start : callable
        Receives what is known before the first hour.
    on_hour : callable
        Receives each hour once every ticker has been played there.
    """
    if hours < 1:
        raise UsageError(
            f"--replay-hours is {hours}.", expected="1 or more.", remedy="correct --replay-hours."
        )
    with open_pool(session, on_row) as pool:
        windows = _windows(session, ledger, pool, hours, end)
        share, snapshot = pool.share(), session.snapshot()
        bounds = [[window.start, window.end] for window in windows.values()]
        account = replay_account(
            (window.bars for window in windows.values()), {**snapshot, "share": share, "windows": bounds}
        )
        with locked(session.state_dir, account):
            ledger.reset_if_finished(account)
            played = _played(ledger, account, windows, share)
            resumed = bool(ledger.states(account))
            ledger.prepare_account(account, session.clock().isoformat(), about(session))
            if windows:
                ends = [window.end for window in windows.values()]
                last = max(ends)
                start = ReplayStart(
                    account=account,
                    resumed=resumed,
                    share=share,
                    first=min(window.start for window in windows.values()),
                    last=last,
                    first_end=min(ends),
                    next=min(
                        set[int]().union(*_hours_to_replay(windows, ledger, account).values()), default=last
                    ),
                    played=played,
                )
                on_start(start)
            _play(session, ledger, account, share, windows, pool, delay, on_hour)
            rows = tuple(row for row in pool.rows if not isinstance(row, TickerOutcome))
            failed = {row.ticker for row in rows if row.ticker in windows}
            replayed = tuple(
                _compare_with_backtest(session, ledger, account, window, share)
                for ticker, window in windows.items()
                if ticker not in failed
            )
            if not failed:
                ledger.mark_finished(account)
    return ReplayResult(account=account, resumed=resumed, replayed=replayed, rows=rows)


def _played(
    ledger: Ledger, account: str, windows: Mapping[Ticker, Window], share: float
) -> dict[Ticker, tuple[float, int]]:
    """Return equity and side of each sub-account: as an interrupted replay left it, or as it will be opened."""
    states = ledger.states(account)
    return {
        ticker: (
            (ledger.equity(account, ticker)[-1][1], states[ticker].account.side)
            if ticker in states
            else (share, 0)
        )
        for ticker in windows
    }


def _windows(
    session: TradingSession, ledger: Ledger, pool: TickerPool, hours: int, end: int | None
) -> dict[Ticker, Window]:
    """Load every window and train what its decisions need, all tickers side by side."""

    def load(ticker: Ticker) -> Window:
        last = session.source.now(ticker) if end is None else end
        session.rules(ticker)  # rules that cannot apply fail before anything is trained
        bars = session.history(ticker, hours, last, option="--replay-hours")
        window_of(bars, hours, last)
        return Window(bars=bars, start=last - hours, end=last, decider=session.decider(ledger=ledger.path))

    windows = pool.load(session.tickers, load)
    trained = set(pool.trained(windows, lambda ticker: windows[ticker].missing()))
    return {ticker: window for ticker, window in windows.items() if ticker in trained}


def _play(
    session: TradingSession,
    ledger: Ledger,
    account: str,
    share: float,
    windows: dict[Ticker, Window],
    pool: TickerPool,
    delay: float,
    on_hour: Callable[[int], None],
) -> None:
    traders = {ticker: _trader(session, ledger, account, share, window) for ticker, window in windows.items()}
    hours = _hours_to_replay(windows, ledger, account)
    for hour in sorted(set[int]().union(*hours.values())):
        due = [ticker for ticker in traders if hour in hours[ticker]]
        for ticker in due:
            with deferred_interrupts():
                try:
                    pool.report(traders[ticker].process_bar(windows[ticker].bars, hour))
                except CryptoRefactorError as error:
                    del traders[ticker]
                    pool.report_error(ticker, error)
        on_hour(hour)
        if due and delay:
            session.sleep(delay)


def _hours_to_replay(windows: dict[Ticker, Window], ledger: Ledger, account: str) -> dict[Ticker, set[int]]:
    """Return the start of each window and every close in it, without those an interrupted replay processed."""
    states = ledger.states(account)
    hours = {}
    for ticker, window in windows.items():
        first = window.start if ticker not in states else states[ticker].processed_through + 1
        closes = {window.start, *window.bars.closed.tolist()}
        hours[ticker] = {hour for hour in closes if max(window.start, first) <= hour <= window.end}
    return hours


def _trader(
    session: TradingSession, ledger: Ledger, account: str, share: float, window: Window
) -> HistoricalTrader:
    processor = session.processor(share, session.rules(window.ticker))
    return HistoricalTrader(ledger, account, decider=window.decider, processor=processor)


def _compare_with_backtest(
    session: TradingSession, ledger: Ledger, account: str, window: Window, share: float
) -> TickerReplay:
    ticker, backtest = window.ticker, _backtest(session, window, share)
    fills, trades = ledger.fills(account, ticker), ledger.trades(account, ticker)
    equity = tuple(ledger.equity(account, ticker))
    run, walk = backtest.requested.simulation, backtest.walk
    decisions = ledger.decisions(account, ticker)
    signals = [row for row in decisions if "signal" in row]
    same = (
        fills == run.fills
        and trades == tuple(trade for trade in run.trades if trade.closed)
        and [value for _, value in equity] == run.equity.tolist()
        and [row["bar"] for row in signals] == walk.signals.decided_at.tolist()
        and [row["signal"] for row in signals] == walk.signals.signal.tolist()
        and [row["predicted"] for row in signals] == walk.signals.predicted.tolist()
        and {row["bar"]: row["target"] for row in decisions} == _targets(backtest)
        and [row["model"] for row in signals] == walk.model_fingerprints
    )
    return TickerReplay(
        ticker=ticker, backtest=backtest, equity=equity, fills=fills, trades=trades, same=same
    )


def _backtest(session: TradingSession, window: Window, balance: float) -> BacktestResult:
    return Backtester(
        window.ticker,
        source=session.source,
        settings=session.settings,
        signal_rules=session.signal_rules,
        options=session.options,
        model=session.model,
        model_dir=session.model_dir,
        observer=session.observer,
        cluster=session.cluster,
    ).run(
        window.end - window.start,
        end=window.end,
        initial_balance=balance,
        allow_gaps=session.allow_gaps,
        allow_jumps=session.allow_jumps,
        assess=False,
    )


def _targets(backtest: BacktestResult) -> dict[int, int]:
    window, targets = backtest.window, backtest.requested.simulation.target
    rows = zip(window.closed.tolist(), targets.tolist(), window.synthetic.tolist(), strict=True)
    return {hour: target for hour, target, synthetic in rows if not synthetic}
