"""The façade: a ticker and a window in, an honest result out."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from crypto_refactor.backtest.audit.auditor import audit
from crypto_refactor.backtest.result import BacktestResult, plan_for
from crypto_refactor.backtest.scenarios import check_request, run_scenarios
from crypto_refactor.backtest.significance.forecast_skill import forecast_skill
from crypto_refactor.backtest.significance.summary import Significance, significance_of
from crypto_refactor.backtest.walk_forward import walk_forward
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.history import bars_with_history, window_of
from crypto_refactor.model.named_models import model_name, model_path
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.observer import SilentObserver, TrainingObserver
from crypto_refactor.model.training.parallel import Cluster
from crypto_refactor.signals.conditions import SignalRules


class Backtester:
    """Trades the walk-forward signals of one ticker over a window that has passed.

    Parameters
    ----------
    ticker : Ticker or str
        For example BTC/USD.
    source : Source, optional
        Where bars come from; by default what the environment says (``CRYPTO_SOURCE``).
    settings : ModelSettings
        Which models decide.
    signal_rules : SignalRules
        What a forecast needs to become a signal.
    options : ExecutionOptions
        Execution rules.
    model : str, optional
        Pins a frozen model by its name.
    model_dir : Path, optional
        By default the tool's model folder.
    watch : TrainingObserver, optional
        Told about training.
    """

    def __init__(
        self,
        ticker: Ticker | str,
        *,
        source: Source | None = None,
        settings: ModelSettings | None = None,
        signal_rules: SignalRules | None = None,
        options: ExecutionOptions | None = None,
        model: str | None = None,
        model_dir: Path | None = None,
        watch: TrainingObserver | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        from crypto_refactor.config import settings as environment
        from crypto_refactor.market.sources.factory import open_source

        self.ticker = Ticker.parse(ticker) if isinstance(ticker, str) else ticker
        self._options = options or ExecutionOptions()
        self._options.resolve(self.ticker)  # what cannot be is said before anything is read
        self._source = source or open_source(environment().source)
        self._settings = settings or ModelSettings()
        self._signal_rules = signal_rules or SignalRules()
        self._model = None if model is None else model_name(model)
        self._model_dir = model_dir or environment().model_dir
        self._watch = watch or SilentObserver()
        self._cluster = cluster

    def run(
        self,
        hours: int = 720,
        *,
        end: int | None = None,
        initial_balance: float = 100_000.0,
        allow_gaps: bool = False,
        judge: bool = True,
    ) -> BacktestResult:
        """Backtest the `hours` hours up to `end` (by default now); `judge` it: audited, and told from luck.

        Raises
        ------
        UsageError, DataError, ModelError
            If the request, the bars or a model is not as it must be.
        """
        check_request(hours, initial_balance)
        end = self._source.now(self.ticker) if end is None else end
        bars, quality = bars_with_history(
            self._source, self.ticker, hours, end, self._settings, allow_gaps=allow_gaps
        )
        window = window_of(bars, hours, end)
        walk = walk_forward(
            bars,
            end - hours,
            int(window.closed[-1]),
            self._settings,
            self._signal_rules,
            folder=self._model_dir,
            pinned=self._pinned(bars),
            watch=self._watch,
            cluster=self._cluster,
        )
        result = BacktestResult(
            end=end,
            bars=bars,
            window=window,
            quality=quality,
            settings=self._settings,
            signal_rules=self._signal_rules,
            walk=walk,
            scenarios=run_scenarios(
                window,
                partial(plan_for, walk, window),
                self._options,
                hours=hours,
                initial_balance=initial_balance,
            ),
            pinned=self._model,
        )
        return replace(result, significance=significance(result), audit=audit(result)) if judge else result

    def _pinned(self, bars: Bars) -> Path | None:
        if self._model is None:
            return None
        return model_path(self._model_dir, self.ticker, self._model, simulated=bars.simulated)


def significance(result: BacktestResult) -> Significance:
    """Test the requested run of a backtest against chance."""
    skill = forecast_skill(
        result.walk.stretches, result.window, result.settings, pinned=result.pinned is not None
    )
    run = result.requested
    return significance_of(run.simulation, result.window, result.plan, run.rules, skill=skill)
