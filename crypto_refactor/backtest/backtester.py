"""The façade: a ticker and a window in, an honest result out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from crypto_refactor.backtest.audit.auditor import Audit, audit
from crypto_refactor.backtest.diagnostics import why_no_entry
from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.scenarios import check_request, run_scenarios
from crypto_refactor.backtest.significance.summary import Significance, significance
from crypto_refactor.backtest.significance.verdict import Verdict
from crypto_refactor.backtest.significance.verdict import verdict as judged
from crypto_refactor.backtest.walk_forward import WalkForward, align_to_bars, walk_forward
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.quality import QualityReport
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.history import bars_with_history, window_of
from crypto_refactor.model.named_models import model_name, model_path
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.dask_cluster import Cluster
from crypto_refactor.model.training.observer import SilentObserver, TrainingObserver
from crypto_refactor.signals.conditions import SignalRules


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BacktestResult:
    """What a backtest found.

    Attributes
    ----------
    ticker : Ticker
        What was traded.
    end : int
        End of the window.
    bars : Bars
        Real bars up to the end of the window, history included.
    window : Bars
        n + 1 carried bars: the one that makes the first decision, then the n of the window.
    quality : QualityReport
        Of the bars used, history included.
    settings, signal_rules, rules : object
        What decided.
    walk : WalkForward
        Models and signals.
    run, hold : Simulation
        This run, and buying at the first open.
    at_alpaca : Simulation or None
        The same command with ``--venue alpaca --fee 0.0025``; None where Alpaca does not trade the ticker.
    alpaca_rules : ExecutionRules or None
        What `at_alpaca` went by.
    metrics, hold_metrics, alpaca_metrics : Metrics or None
        Of each.
    pinned : str or None
        Name of the frozen model that decided everything.
    significance : Significance or None
        What tells this run from luck; None where it was not asked for.
    audit : Audit or None
        Whether it has seen the future, and adds up; None where it was not asked for.
    """

    ticker: Ticker
    end: int
    bars: Bars
    window: Bars
    quality: QualityReport
    settings: ModelSettings
    signal_rules: SignalRules
    rules: ExecutionRules
    walk: WalkForward
    run: Simulation
    hold: Simulation
    at_alpaca: Simulation | None
    alpaca_rules: ExecutionRules | None
    metrics: Metrics
    hold_metrics: Metrics
    alpaca_metrics: Metrics | None
    pinned: str | None
    significance: Significance | None = None
    audit: Audit | None = None

    @property
    def plan(self) -> SignalPlan:
        """What this run knew at each close of the window."""
        return plan_for(self.walk, self.window, self.rules)

    @property
    def verdict(self) -> Verdict | None:
        """Whether there is evidence of an edge; None where significance was not asked for."""
        if self.significance is None:
            return None
        passed = None if self.audit is None else self.audit.passed
        return judged(self.metrics, self.hours, self.significance, passed)

    @property
    def undecidable(self) -> int:
        """Real closes of the window that their own bars did not allow to decide on."""
        return int((~self.window.synthetic).sum()) - len(self.walk.signals)

    @property
    def hours(self) -> int:
        """Length of the window."""
        return self.end - int(self.window.closed[0])

    def why_no_entry(self, rules: ExecutionRules) -> str:
        """Say in one sentence why nothing was entered by `rules`, where nothing was."""
        return why_no_entry(self.walk.signals, rules) or "There was no signal."


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
        columns = run_scenarios(
            window,
            lambda rules: plan_for(walk, window, rules),
            self._options,
            hours=hours,
            initial_balance=initial_balance,
        )
        result = BacktestResult(
            ticker=self.ticker,
            end=end,
            bars=bars,
            window=window,
            quality=quality,
            settings=self._settings,
            signal_rules=self._signal_rules,
            rules=columns.rules,
            walk=walk,
            run=columns.run,
            hold=columns.hold,
            at_alpaca=columns.at_alpaca,
            alpaca_rules=columns.alpaca_rules,
            metrics=columns.metrics,
            hold_metrics=columns.hold_metrics,
            alpaca_metrics=columns.alpaca_metrics,
            pinned=self._model,
        )
        return replace(result, significance=significance(result), audit=audit(result)) if judge else result

    def _pinned(self, bars: Bars) -> Path | None:
        if self._model is None:
            return None
        return model_path(self._model_dir, self.ticker, self._model, simulated=bars.simulated)


def plan_for(walk: WalkForward, window: Bars, rules: ExecutionRules) -> SignalPlan:
    """Return what is known at each close of `window`."""
    laid = align_to_bars(walk.signals, window)
    return SignalPlan(
        signal=laid["signal"],
        forecast_side=laid["forecast_side"],
        worthwhile=laid["supported"] & (laid["expected_move"] > rules.round_trip_cost),
        decidable=laid["decidable"],
    )
