"""What a trading command was asked for, in one frozen value, and the pieces each ticker needs of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules, ExitRule
from crypto_refactor.execution.venues import VenueRules
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS, Bars
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.history import bars_with_history
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.dask_cluster import Cluster
from crypto_refactor.model.training.observer import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.decider import CachedModelSelector, Decider, ModelSelector, PinnedModelSelector
from crypto_refactor.trading.outcomes import TickerRow

OnRow = Callable[[TickerRow], None]
"""Told about each ticker as soon as something is known of it; called from one thread at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSession:
    """What a run trades, with which models and rules.

    Attributes
    ----------
    tickers : tuple of Ticker
        In the order asked for.
    asked : bool
        Whether they were named one by one, so that one that is not offered is a failure.
    source : Source
        Where bars come from.
    settings : ModelSettings
        Which models decide.
    signal_rules : SignalRules
        What a forecast needs to become a signal.
    options : ExecutionOptions
        Execution rules.
    model : str or None
        Name of a frozen model that decides everything.
    model_dir, state_dir : Path
        Models and their cache; ledger and locks.
    initial_balance : float
        Shared out among the tickers, quote currency.
    allow_gaps : bool
        Accept more than 5 % missing bars.
    workers : int
        Tickers at the same time.
    watch : TrainingObserver
        Told about training.
    clock : callable
        Returns the aware local time.
    sleep : callable
        Waits for so many seconds.
    cluster : Cluster or None
        Where models are trained; None for this machine.
    """

    tickers: tuple[Ticker, ...]
    asked: bool
    source: Source
    settings: ModelSettings
    signal_rules: SignalRules
    options: ExecutionOptions
    model: str | None
    model_dir: Path
    state_dir: Path
    initial_balance: float
    allow_gaps: bool
    workers: int
    watch: TrainingObserver
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    cluster: Cluster | None = None

    def history(self, ticker: Ticker, hours: int, end: int, *, option: str | None = None) -> Bars:
        """Return real bars up to `end` with the history that decisions in the last `hours` hours need.

        Raises
        ------
        DataError
            If there are too few, the last one is too old, or too many are missing.
        """
        bars, _ = bars_with_history(
            self.source,
            ticker,
            hours,
            end,
            self.settings,
            allow_gaps=self.allow_gaps,
            option=option,
        )
        return bars

    def prefetch(self, tickers: Iterable[Ticker]) -> None:
        """Ask for the latest bars of several tickers at once, where the source can.

        Raises
        ------
        DataError
            If it cannot be asked.
        """
        self.source.prefetch(tickers, hours_needed(1, self.settings) + MAX_FILLED_GAP_HOURS)

    def rules(self, ticker: Ticker) -> ExecutionRules:
        """Return the execution rules of `ticker`."""
        return self.options.resolve(ticker)

    def decider(self, choice: ModelSelector | None = None, *, ledger: Path | None = None) -> Decider:
        """Return a decider for one ticker, by default with the model of each cut-off from the cache."""
        if self.model is not None:
            choice = PinnedModelSelector(self.settings, self.model_dir, self.model)
        if choice is None:
            choice = CachedModelSelector(
                self.settings, self.model_dir, self.watch, ledger=ledger, cluster=self.cluster
            )
        return Decider(self.settings, self.signal_rules, choice)

    def about(self) -> dict[str, Any]:
        """Return what an account remembers of the run that traded it last."""
        return {
            "source": self.source.name,
            "initial_balance": self.initial_balance,
            "options": asdict(self.options),
            "settings": asdict(self.settings),
            "signal_rules": asdict(self.signal_rules),
            "model": self.model,
        }


def rules_from_snapshot(
    about: Mapping[str, Any], ticker: Ticker, *, stated: VenueRules | None = None
) -> ExecutionRules:
    """Return the execution rules an account was last traded with.

    `stated` are the order rules of `ticker` as Alpaca itself states them, for an account there.
    """
    values = dict(about["options"])
    options = ExecutionOptions(**{**values, "exit": ExitRule(values["exit"])})
    return (options if stated is None else replace(options, venue="alpaca")).resolve(ticker, stated=stated)
