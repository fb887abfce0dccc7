"""Backtest one ticker: load bars, walk forward, trade, test."""

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Unpack

from crypto_refactor.backtest.assessment import assessed
from crypto_refactor.backtest.choices import Choices, OptionObjects
from crypto_refactor.backtest.result import BacktestResult, plan_for
from crypto_refactor.backtest.scenarios import check_request, run_scenarios
from crypto_refactor.backtest.significance.input_importance import input_importance
from crypto_refactor.backtest.walk_forward import prepare, walk_forward
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.hours import Hour, as_hour
from crypto_refactor.market.sources.factory import AnySource, source_of
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.named_models import model_name
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules


class Backtester:
    """Trades the walk-forward signals of one ticker over a past window.

    Parameters
    ----------
    ticker : Ticker or str
        For example BTC/USD.
    source : AnySource, optional
        Where bars come from: a source, its name, a folder or file, bars or a DataFrame (see `source_of`); by default the
        environment's ``CRYPTO_SOURCE``.
    settings : ModelSettings, optional
        Which models decide.
    signal_rules : SignalRules, optional
        What a forecast needs to become a signal.
    options : ExecutionOptions, optional
        The execution rules.
    model : str, optional
        Name of a pinned model that decides everything.
    model_dir : Path or str, optional
        By default the tool's model folder.
    observer : TrainingObserver, optional
        Receives training progress.
    cluster : Cluster, optional
        Where models are trained; by default on this machine.
    **choices
        Single options by keyword, in place of those of the objects: ``network="small"``, ``fee=0.001`` (see `Choices`).

    Raises
    ------
    UsageError
        If an option is out of range, or the venue does not trade the ticker.
    """

    def __init__(
        self,
        ticker: Ticker | str,
        *,
        source: AnySource | None = None,
        settings: ModelSettings | None = None,
        signal_rules: SignalRules | None = None,
        options: ExecutionOptions | None = None,
        model: str | None = None,
        model_dir: Path | str | None = None,
        observer: TrainingObserver | None = None,
        cluster: Cluster | None = None,
        **choices: Unpack[Choices],
    ) -> None:
        from crypto_refactor.config import settings as environment

        chosen = OptionObjects.of(settings, signal_rules, options, choices)
        self.ticker = Ticker.of(ticker)
        self._options = chosen.options
        self._options.resolve(self.ticker)  # wrong options fail before anything is read
        self._source = source_of(source, self.ticker)
        self._models = ModelProvider(
            folder=Path(model_dir or environment().model_dir),
            settings=chosen.settings,
            observer=observer or TrainingObserver(),
            cluster=cluster,
        )
        self._signal_rules = chosen.signal_rules
        self._model = None if model is None else model_name(model)

    def run(
        self,
        hours: int = 720,
        *,
        end: datetime | str | Hour | None = None,
        initial_balance: float = 100_000.0,
        allow_gaps: bool = False,
        allow_jumps: bool = False,
        assess: bool = True,
        importance: bool = False,
    ) -> BacktestResult:
        """Backtest the `hours` hours up to `end`.

        Parameters
        ----------
        hours : int
            Length of the window.
        end : datetime, str or Hour, optional
            Its end (see `as_hour`); by default the source's last completed hour.
        initial_balance : float
            Quote currency.
        allow_gaps : bool
            Accept more than 5 % missing bars.
        allow_jumps : bool
            Accept bad ticks and level breaks, and leave them out of every figure.
        assess : bool
            Run the significance tests and the audit.
        importance : bool
            Measure what the models look at, which forecasts 43 times more (see `input_importance`).

        Raises
        ------
        UsageError, DataError, ModelError
            If the request, the bars or a model cannot be used.
        """
        check_request(hours, initial_balance)
        end = self._source.now(self.ticker) if end is None else as_hour(end)
        settings, pinned = self._models.settings, self._model is not None
        prepared = prepare(
            self._source,
            self.ticker,
            hours,
            end,
            settings,
            allow_gaps=allow_gaps,
            allow_jumps=allow_jumps,
            pinned=pinned,
        )
        window = prepared.window
        walk = walk_forward(prepared, self._models, self._signal_rules, pinned=self._model)
        plan_of = partial(plan_for, walk, window)
        result = BacktestResult(
            end=end,
            bars=prepared.quoted,
            window=window,
            quality=prepared.quality,
            settings=settings,
            signal_rules=self._signal_rules,
            walk=walk,
            scenarios=run_scenarios(
                window, plan_of, self._options, hours=hours, initial_balance=initial_balance
            ),
            pinned=self._model,
            importance=input_importance(walk.periods) if importance else None,
        )
        return assessed(result) if assess else result
