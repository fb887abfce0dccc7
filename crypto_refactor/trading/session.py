"""What a trading command was asked for, in one value, and the parts each ticker needs of it."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from crypto_refactor.errors import BrokerError, UnavailableError, UsageError
from crypto_refactor.execution.options import EXECUTION_OPTIONS
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.execution.venues import VenueRules
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS, Bars
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.history import bars_with_history
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.bar_processor import BarProcessor
from crypto_refactor.trading.decider import Decider
from crypto_refactor.trading.limits import AccountLimits
from crypto_refactor.trading.model_choice import CachedModelSelector, ModelSelector, PinnedModelSelector
from crypto_refactor.trading.orders.checks import DEFAULT_MAX_DEVIATION
from crypto_refactor.trading.outcomes import TickerRow

OnRow = Callable[[TickerRow], None]
"""Receives each ticker's row as soon as it is known; called from one thread at a time."""


class SessionObserver(Protocol):
    """Receives what happens in a session that trades as time passes."""

    def row(self, row: TickerRow) -> None:
        """Receive one ticker's row; called from one thread at a time."""
        ...

    def given_up(self, rows: Sequence[TickerRow]) -> None:
        """Receive the rows of tickers that are not traded this hour; several may have failed for one reason."""
        ...

    def given_up_again(self, rows: Sequence[TickerRow]) -> None:
        """Receive the rows of tickers that are not traded for the reason of the hour before, while they have positions."""
        ...

    def note(self, text: str) -> None:
        """Receive a sentence for people: waiting, retrying."""
        ...

    def retrying(self, at: datetime, tickers: Sequence[Ticker], training: Sequence[Ticker]) -> None:
        """Receive when `tickers` are tried again within the hour; the models of some are being trained."""
        ...

    def waiting(self, until: datetime, sentences: Sequence[str]) -> None:
        """Receive until when nothing is done, and how things stand; called again and again meanwhile."""
        ...

    def announce(
        self,
        kind: str,
        text: str,
        *,
        account: str,
        ticker: Ticker | None = None,
        shown: bool = True,
        **details: Any,
    ) -> None:
        """Receive what people here and at a distance are told of a run.

        Kinds: start, heartbeat, summary, alarm, tickers that leave or return, unmanaged holdings, stop.

        What is not `shown` is posted only: people know it from an hour before.
        """
        ...

    def blocked(self, account: str, why: str | None, *, lasted: str | None = None) -> None:
        """Receive why entries are blocked from now on, or None when they are allowed again after so long."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSession:
    """What a run trades, with which models and rules.

    Attributes
    ----------
    explicitly_requested : bool
        Whether the tickers were named one by one, so that an unavailable one is a failure.
    model : str or None
        Name of a pinned model that decides everything.
    model_dir, state_dir : Path
        Models and their cache; ledger and locks.
    initial_balance : float
        Shared equally among the tickers, quote currency.
    allow_gaps, allow_jumps : bool
        Accept more than 5 % missing bars; accept bad ticks and level breaks.
    workers : int
        Tickers processed side by side.
    clock, sleep : callable
        Return the aware local time; wait for a number of seconds.
    max_deviation : float
        How far the price may be from the close of a decision when its entry leaves for Alpaca, as a fraction.
    limits : AccountLimits
        What the account as a whole may lose and do.
    cluster : Cluster or None
        Where models are trained; None for this machine.
    """

    tickers: tuple[Ticker, ...]
    explicitly_requested: bool
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
    observer: TrainingObserver
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]
    allow_jumps: bool = False
    max_deviation: float = DEFAULT_MAX_DEVIATION
    limits: AccountLimits = field(default_factory=AccountLimits)
    cluster: Cluster | None = None

    def __post_init__(self) -> None:
        self.signal_rules.require_possible(self.settings.plugins)
        self.options.require_known_exit(self.settings.plugins)

    @property
    def models(self) -> ModelProvider:
        """The provider of the models that decide."""
        return ModelProvider(
            folder=self.model_dir, settings=self.settings, observer=self.observer, cluster=self.cluster
        )

    def history(
        self, ticker: Ticker, hours: int, end: int, *, allow_ticks: bool = False, option: str | None = None
    ) -> Bars:
        """Return bars up to `end` with the history that decisions in the last `hours` hours need, as quoted.

        Raises
        ------
        DataError
            If there are too few, the last one is too old, too many are missing, or prices jump.
        """
        bars, _ = bars_with_history(
            self.source,
            ticker,
            hours,
            end,
            self.settings,
            allow_gaps=self.allow_gaps,
            allow_jumps=self.allow_jumps,
            allow_ticks=allow_ticks,
            option=option,
        )
        return bars

    def prefetch(self, tickers: Iterable[Ticker]) -> None:
        """Load the latest bars of several tickers in one request, where the source can.

        Raises
        ------
        DataError
            If the request fails; an unavailable ticker is reported when its own bars are loaded.
        """
        with suppress(UnavailableError):
            self.source.prefetch(tickers, hours_needed(1, self.settings) + MAX_FILLED_GAP_HOURS)

    def share(self, unavailable: int) -> float:
        """Return the balance of a new sub-account where so many tickers are unavailable."""
        return self.initial_balance / max(len(self.tickers) - unavailable, 1)

    def rules(self, ticker: Ticker) -> ExecutionRules:
        """Return the execution rules of `ticker`."""
        return self.options.resolve(ticker)

    def processor(self, balance: float, rules: ExecutionRules) -> BarProcessor:
        """Return what processes the bars of a sub-account, which is opened with `balance`."""
        confirmations = self.signal_rules.min_confirmations
        return BarProcessor(balance=balance, rules=rules, confirmations=confirmations)

    def decider(self, selector: ModelSelector | None = None, *, ledger: Path | None = None) -> Decider:
        """Return a decider for one ticker, by default with the cached model of each cut-off."""
        if self.model is not None:
            selector = PinnedModelSelector(self.models, self.model)
        if selector is None:
            selector = CachedModelSelector(self.models, ledger=ledger)
        return Decider(self.settings, self.signal_rules, selector)

    def snapshot(self) -> dict[str, Any]:
        """Return what an account remembers of the session that traded it last."""
        return {
            "source": self.source.name,
            "initial_balance": self.initial_balance,
            "options": asdict(self.options),
            "settings": self.settings.to_dict(),
            "signal_rules": asdict(self.signal_rules),
            "model": self.model,
        }


def about(session: TradingSession) -> dict[str, Any]:
    """Return what an account keeps of its session: `TradingSession.snapshot`, and the places it read from."""
    folder = session.source.data_dir if isinstance(session.source, FilesSource) else None
    return session.snapshot() | {
        "data_dir": None
        if folder is None
        else os.fsencode(folder.resolve()).decode(errors="backslashreplace"),
        "plugin_paths": [str(file.path) for file in session.settings.plugins],
    }


def rules_from_snapshot(
    snapshot: Mapping[str, Any], ticker: Ticker, *, stated: VenueRules | None = None
) -> ExecutionRules:
    """Return the execution rules an account was last traded with.

    `stated` are the order rules of `ticker` as Alpaca itself states them, for an account there.

    Raises
    ------
    BrokerError
        If the ledger holds no such rules.
    """
    try:
        options = _recorded_options(snapshot)
        return (options if stated is None else replace(options, venue="alpaca")).resolve(
            ticker, stated=stated
        )
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise BrokerError(
            f"The rules that {ticker} was last traded with cannot be read from the ledger: {getattr(error, 'what', error)}.",
            expected="the execution options of the last run.",
            remedy="trade in the account once more, which records them anew.",
        ) from error


def _recorded_options(snapshot: Mapping[str, Any]) -> ExecutionOptions:
    values = dict(snapshot["options"])
    wrong = [name for name, value in values.items() if not EXECUTION_OPTIONS[name].is_of_kind(value)]
    if wrong:
        raise ValueError(f"{', '.join(wrong)} make no sense")
    return ExecutionOptions(**values)
