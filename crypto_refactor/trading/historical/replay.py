"""Replaying a window that has passed, one bar at a time, as a process would that knows no later one.

Every bar is committed to the ledger before the next is looked at, so a replay that was stopped goes on
where it was; at its end it is held against the backtest of the same window.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.errors import CryptoRefactorError, UsageError
from crypto_refactor.execution.sub_account import Fill, Trade
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.history import window_of
from crypto_refactor.trading.account_names import replay_account
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.historical.trader import HistoricalTrader
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.locks import locked
from crypto_refactor.trading.outcomes import TickerOutcome, TickerRow
from crypto_refactor.trading.session import OnRow, TradingSession
from crypto_refactor.trading.ticker_pool import TickerPool, open_pool, train_ahead


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Window:
    """The bars of one ticker, and the hours ``start … end`` of them that are replayed."""

    bars: Bars
    start: int
    end: int
    decider: Decider


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TickerReplay:
    """What a replay of one ticker came to.

    Attributes
    ----------
    ticker : Ticker
        Which.
    backtest : BacktestResult
        Of the same window, with the same balance.
    equity : tuple of (int, float)
        Close of each bar and equity there, as the ledger has it, the opening balance first.
    fills, trades : tuple
        As the ledger has them; what is still held is in no trade.
    same : bool
        Whether decisions, models, fills, trades and equity are those of the backtest, to the last bit.
    """

    ticker: Ticker
    backtest: BacktestResult
    equity: tuple[tuple[int, float], ...]
    fills: tuple[Fill, ...]
    trades: tuple[Trade, ...]
    same: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReplayResult:
    """What a replay came to: one row a ticker that was not replayed to its end, and what the others did."""

    account: str
    resumed: bool
    replayed: tuple[TickerReplay, ...]
    rows: tuple[TickerRow, ...]


def replay(
    setup: TradingSession,
    ledger: Ledger,
    hours: int,
    end: int | None,
    *,
    delay: float,
    on_row: OnRow,
    on_start: Callable[[str, bool], None],
) -> ReplayResult:
    """Replay the `hours` hours up to `end` for every ticker, hour by hour.

    Parameters
    ----------
    setup : TradingSession
        What is traded.
    ledger : Ledger
        Where the replay lives.
    hours : int
        Length of the window.
    end : int or None
        Its end; by default the source's now, for each ticker.
    delay : float
        Seconds to wait after each hour, for those who watch.
    on_row : callable
        Told about each bar of each ticker.
    on_start : callable
        Told the account's name and whether an unfinished replay goes on.
    """
    if hours < 1:
        raise UsageError(
            f"--replay-hours is {hours}.", expected="1 or more.", remedy="correct --replay-hours."
        )
    with open_pool(setup, on_row) as crew:
        windows = _windows(setup, ledger, crew, hours, end)
        share = crew.share()
        account = replay_account(
            (window.bars for window in windows.values()),
            {
                **setup.about(),
                "share": share,
                "windows": [[window.start, window.end] for window in windows.values()],
            },
        )
        with locked(setup.state_dir, account):
            ledger.reset_if_finished(account)
            resumed = bool(ledger.states(account))
            ledger.open_account(account, to_iso_now(setup), setup.about())
            on_start(account, resumed)
            _play(setup, ledger, account, share, windows, crew, delay)
            failed = {
                row.ticker
                for row in crew.rows
                if row.ticker in windows and not isinstance(row, TickerOutcome)
            }
            replayed = tuple(
                _held_against_backtest(setup, ledger, account, window, share)
                for ticker, window in windows.items()
                if ticker not in failed
            )
            if not failed:
                ledger.mark_finished(account)
        rows = tuple(row for row in crew.rows if not isinstance(row, TickerOutcome))
    return ReplayResult(account=account, resumed=resumed, replayed=replayed, rows=rows)


def to_iso_now(setup: TradingSession) -> str:
    """Return the present as ISO-8601 UTC, to the microsecond."""
    return setup.clock().isoformat()


def _windows(
    setup: TradingSession, ledger: Ledger, crew: TickerPool, hours: int, end: int | None
) -> dict[Ticker, Window]:
    """Load every window and train what its decisions need, all tickers side by side."""

    def load(ticker: Ticker) -> Window:
        last = setup.source.now(ticker) if end is None else end
        setup.rules(ticker)
        bars = setup.history(ticker, hours, last, option="--replay-hours")
        window_of(bars, hours, last)
        return Window(bars=bars, start=last - hours, end=last, decider=setup.decider(ledger=ledger.path))

    windows = crew.load(setup.tickers, load)
    missing = {}
    for ticker, window in windows.items():
        try:
            last = int(window.bars.closed[-1])
            missing[ticker] = window.decider.missing(window.bars, window.start, last)
        except CryptoRefactorError as error:
            crew.trouble(ticker, error)
    for ticker, failed in train_ahead(setup, missing):
        if failed is not None:
            crew.trouble(ticker, failed)
            del missing[ticker]
    return {ticker: window for ticker, window in windows.items() if ticker in missing}


def _play(
    setup: TradingSession,
    ledger: Ledger,
    account: str,
    share: float,
    windows: dict[Ticker, Window],
    crew: TickerPool,
    delay: float,
) -> None:
    traders = {ticker: _trader(setup, ledger, account, share, window) for ticker, window in windows.items()}
    walked = {ticker: holding.walked_to for ticker, holding in ledger.states(account).items()}
    closes = {ticker: set(window.bars.closed.tolist()) for ticker, window in windows.items()}
    first = min((window.start for window in windows.values()), default=0)
    last = max((window.end for window in windows.values()), default=-1)
    for hour in range(first, last + 1):
        due = [
            ticker
            for ticker, window in windows.items()
            if ticker in traders
            and max(window.start, walked.get(ticker, -1) + 1) <= hour <= window.end
            and (hour == window.start or hour in closes[ticker])
        ]
        for ticker in due:
            with deferred_interrupts():
                try:
                    crew.show(traders[ticker].visit(windows[ticker].bars, hour))
                except CryptoRefactorError as error:
                    del traders[ticker]
                    crew.trouble(ticker, error)
        if due and delay:
            setup.sleep(delay)


def _trader(
    setup: TradingSession, ledger: Ledger, account: str, share: float, window: Window
) -> HistoricalTrader:
    return HistoricalTrader(
        ledger,
        account,
        balance=share,
        decider=window.decider,
        rules=setup.rules(window.bars.ticker),
        confirmations=setup.signal_rules.min_confirmations,
    )


def _held_against_backtest(
    setup: TradingSession, ledger: Ledger, account: str, window: Window, share: float
) -> TickerReplay:
    ticker = window.bars.ticker
    backtest = Backtester(
        ticker,
        source=setup.source,
        settings=setup.settings,
        signal_rules=setup.signal_rules,
        options=setup.options,
        model=setup.model,
        model_dir=setup.model_dir,
        watch=setup.watch,
        cluster=setup.cluster,
    ).run(
        window.end - window.start,
        end=window.end,
        initial_balance=share,
        allow_gaps=setup.allow_gaps,
        judge=False,
    )
    fills, trades = ledger.fills(account, ticker), ledger.trades(account, ticker)
    equity = tuple(ledger.equity(account, ticker))
    run, walk = backtest.requested.simulation, backtest.walk
    decisions = [row for row in ledger.decisions(account, ticker) if "signal" in row]
    same = (
        fills == run.fills
        and trades == tuple(trade for trade in run.trades if trade.closed)
        and [value for _, value in equity] == run.equity.tolist()
        and [row["bar"] for row in decisions] == walk.signals.made_at.tolist()
        and [row["signal"] for row in decisions] == walk.signals.signal.tolist()
        and [row["predicted"] for row in decisions] == walk.signals.predicted.tolist()
        and _targets(ledger.decisions(account, ticker)) == _targets_of(backtest)
        and [row["model"] for row in decisions] == walk.deciders
    )
    return TickerReplay(
        ticker=ticker, backtest=backtest, equity=equity, fills=fills, trades=trades, same=same
    )


def _targets(decisions: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    return {row["bar"]: row["target"] for row in decisions}


def _targets_of(backtest: BacktestResult) -> dict[int, int]:
    window = backtest.window
    pairs = zip(
        window.closed.tolist(),
        backtest.requested.simulation.target.tolist(),
        window.synthetic.tolist(),
        strict=True,
    )
    return {hour: target for hour, target, synthetic in pairs if not synthetic}
