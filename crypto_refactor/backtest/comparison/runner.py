"""Compare tickers and parameter sets: one backtest each over the same window, ranked, with a count of all trials."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.comparison.dropped import DroppedTickers, FailedTicker, UnavailableTicker
from crypto_refactor.backtest.comparison.loading import PreparedTickers
from crypto_refactor.backtest.comparison.request import (
    ComparisonRequest,
    check_request_options,
    pinned_name,
    places,
    traded,
)
from crypto_refactor.backtest.comparison.trials import (
    PooledForecasts,
    Portfolio,
    Trial,
    audited,
    combine,
    pool_forecasts,
    trade_walk,
)
from crypto_refactor.backtest.metrics import hourly_returns, sum_curves
from crypto_refactor.backtest.significance.earlier_trials import EarlierTrials
from crypto_refactor.backtest.significance.overfitting import Overfitting, overfitting
from crypto_refactor.backtest.significance.sharpe import SelectionBias, selection_bias
from crypto_refactor.backtest.walk_forward import group_models, walk_forward_group
from crypto_refactor.errors import CryptoRefactorError, UsageError
from crypto_refactor.execution.venues import require_alpaca_rules
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.presentation import Presented

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Comparison(Presented):
    """The result of a comparison."""

    request: ComparisonRequest
    end: int | None  # of the window, hours since 1970; None if not requested and no ticker is offered
    trials: tuple[Trial, ...]  # by Sharpe ratio, return, then as named; those without a ratio last
    portfolios: tuple[Portfolio, ...]  # one for each parameter set that traded anything, as requested
    forecasts: tuple[PooledForecasts, ...]  # one for each parameter set with a trial
    selection_bias: SelectionBias | None  # None if no trial has a Sharpe ratio
    overfitting: Overfitting  # how often the best trial of a half of the hours is a bad one of the other half
    failed: tuple[FailedTicker, ...]
    unavailable: tuple[UnavailableTicker, ...]
    trained: int  # models trained for the comparison

    def counting(self, earlier: EarlierTrials) -> "Comparison":
        """Return the same comparison with the trials that came before it counted."""
        metrics = [trial.scenarios.requested.metrics for trial in self.trials]
        bias = selection_bias(metrics, earlier=earlier.count, earlier_sharpes=earlier.sharpes)
        return replace(self, selection_bias=bias)

    @property
    def table(self) -> "pd.DataFrame":
        """One row a trial, ranked as `trials` is; see `trials_frame`."""
        from crypto_refactor.backtest.comparison.frames import trials_frame

        return trials_frame(self.trials)

    @property
    def equity(self) -> "pd.DataFrame":
        """Equity of the portfolio of each setting, at each hour of the window, in the quote currency."""
        from crypto_refactor.backtest.comparison.frames import portfolios_frame

        return portfolios_frame(self.portfolios, self.end or 0)

    @property
    def audits_passed(self) -> int:
        """How many trials passed their audit."""
        return sum(trial.audit is not None and trial.audit.passed for trial in self.trials)


def run_comparison(request: ComparisonRequest) -> Comparison:
    """Backtest every ticker with every parameter set over one window.

    A ticker that fails is part of the result and does not affect the others.

    Raises
    ------
    UsageError
        If an option is out of range, options contradict each other, or there are too many trials.
    """
    check_request_options(request)
    run = _ComparisonRun(request)
    run.exclude_untradable()
    end = run.common_end()
    if end is not None:
        run.run_trials(end)
    ranked = tuple(sorted(run.trials, key=partial(_rank, places(request))))
    return Comparison(
        request=request,
        end=end,
        trials=ranked,
        portfolios=() if end is None else run.portfolios(end),
        forecasts=run.pooled_forecasts(),
        selection_bias=selection_bias([trial.scenarios.requested.metrics for trial in ranked]),
        overfitting=overfitting([] if end is None else run.returns(end)),
        failed=tuple(run.dropped.failed),
        unavailable=tuple(run.dropped.unavailable),
        trained=run.trained,
    )


def _rank(place: Mapping[object, int], trial: Trial) -> tuple[bool, float, float, int, int]:
    metrics = trial.scenarios.requested.metrics
    named = place[trial.parameter_set], place[trial.ticker]
    return metrics.sharpe is None, -(metrics.sharpe or 0.0), -metrics.total_return, *named


class _ComparisonRun:
    """A comparison in progress: the trials so far, and the tickers that dropped out."""

    def __init__(self, request: ComparisonRequest) -> None:
        self._request = request
        self._pinned = pinned_name(request)
        self.dropped = DroppedTickers(request)
        self.trials: list[Trial] = []
        self.trained = 0

    def exclude_untradable(self) -> None:
        """Report the tickers that the venue of a parameter set does not trade."""
        for ticker in self._request.tickers:
            tradable = [traded(ticker, parameter_set) for parameter_set in self._request.settings]
            if all(tradable):
                continue
            try:
                require_alpaca_rules(ticker)
            except UsageError as error:
                self.dropped.exclude(ticker, error, "venue=alpaca" if any(tradable) else "")

    def common_end(self) -> int | None:
        """Return the requested end of the window, or the latest one that the source has for any ticker."""
        if self._request.end is not None:
            return self._request.end
        ends = []
        for ticker in self.dropped.remaining:
            try:
                ends.append(self._request.source.now(ticker))
            except CryptoRefactorError as error:
                self.dropped.fail(ticker, error)
        return max(ends, default=None)

    def run_trials(self, end: int) -> None:
        """Run and audit every trial."""
        prepared = PreparedTickers(self._request, end, self.dropped)
        for settings in dict.fromkeys(each.settings for each in self._request.settings):
            self._run_parameter_sets(settings, prepared)
        self.trials = audited(self.trials, end, self._pinned)

    def _run_parameter_sets(self, settings: ModelSettings, tickers: PreparedTickers) -> None:
        """Run every trial whose models have these settings."""
        request, prepared = self._request, tickers.of(settings)
        group = [parameter_set for parameter_set in request.settings if parameter_set.settings == settings]
        provider = ModelProvider(
            folder=request.model_dir, settings=settings, observer=request.observer, cluster=request.cluster
        )
        models = group_models(prepared, provider, self._pinned)
        self.trained += models.trained
        rules = tuple(dict.fromkeys(parameter_set.signal_rules for parameter_set in group))
        for ticker in prepared:
            try:
                walks = walk_forward_group(ticker, models.of(ticker.ticker), rules)
            except CryptoRefactorError as error:
                self.dropped.fail(ticker.ticker, error, tickers.where([settings]))
                continue
            for parameter_set in group:
                if traded(ticker.ticker, parameter_set):
                    walk = walks[parameter_set.signal_rules]
                    self.trials.append(
                        Trial(
                            prepared=ticker,
                            parameter_set=parameter_set,
                            walk=walk,
                            scenarios=trade_walk(
                                ticker, parameter_set, walk, request.initial_balance, request.hours
                            ),
                        )
                    )

    def returns(self, end: int) -> list[FloatArray]:
        """Return the hourly returns of each trial that has a Sharpe ratio, over the hours of the window."""
        at = np.arange(end - self._request.hours, end + 1)
        runs = [(trial.prepared.window.closed, trial.scenarios.requested) for trial in self.trials]
        return [
            hourly_returns(sum_curves([(closed, run.simulation.equity)], at))
            for closed, run in runs
            if run.metrics.sharpe is not None
        ]

    def portfolios(self, end: int) -> tuple[Portfolio, ...]:
        """Add up the sub-accounts of each parameter set."""
        request, portfolios = self._request, []
        for parameter_set in request.settings:
            trials = [trial for trial in self.trials if trial.parameter_set is parameter_set]
            offered = [ticker for ticker in self.dropped.offered if traded(ticker, parameter_set)]
            if trials:
                portfolios.append(
                    combine(trials, offered, end=end, hours=request.hours, balance=request.initial_balance)
                )
        return tuple(portfolios)

    def pooled_forecasts(self) -> tuple[PooledForecasts, ...]:
        """Judge the forecasts of each parameter set over all its tickers."""
        by_set = [
            [trial for trial in self.trials if trial.parameter_set is parameter_set]
            for parameter_set in self._request.settings
        ]
        return tuple(pool_forecasts(trials) for trials in by_set if trials)
