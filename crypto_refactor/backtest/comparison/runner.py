"""Compare tickers and parameter sets: one backtest each over the same window, ranked, with a count of all trials."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_refactor.backtest.comparison.request import ComparisonRequest, check_request_options, traded
from crypto_refactor.backtest.comparison.trials import (
    PooledForecasts,
    Portfolio,
    Trial,
    audited,
    combine,
    pool_forecasts,
    trade_walk,
)
from crypto_refactor.backtest.significance.sharpe import SelectionBias, selection_bias
from crypto_refactor.backtest.walk_forward import PreparedTicker, group_models, prepare, walk_forward_group
from crypto_refactor.errors import CryptoRefactorError, DataError, UnavailableError, UsageError
from crypto_refactor.execution.venues import require_alpaca_rules
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.named_models import model_name
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.presentation import Presented

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTicker:
    """A ticker that ended in an error; `where` names the parameter sets concerned, empty for all of them."""

    ticker: Ticker
    where: str
    error: CryptoRefactorError


@dataclass(frozen=True, slots=True, kw_only=True)
class UnavailableTicker:
    """A listed ticker that the source does not offer, or that the venue of the parameter sets `where` does not trade."""

    ticker: Ticker
    where: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Comparison(Presented):
    """The result of a comparison."""

    request: ComparisonRequest
    end: int | None  # of the window, hours since 1970; None if not requested and no ticker is offered
    trials: tuple[Trial, ...]  # by Sharpe ratio, then by return; those without a Sharpe ratio last
    portfolios: tuple[Portfolio, ...]  # one for each parameter set that traded anything, as requested
    forecasts: tuple[PooledForecasts, ...]  # one for each parameter set with a trial
    selection_bias: SelectionBias | None  # None if no trial has a Sharpe ratio
    failed: tuple[FailedTicker, ...]
    unavailable: tuple[UnavailableTicker, ...]
    trained: int  # models trained for the comparison

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
    prepared = [] if end is None else run.prepare(end)
    for settings in dict.fromkeys(parameter_set.settings for parameter_set in request.settings):
        run.run_parameter_sets(settings, prepared)
    if end is not None:
        run.audit_trials(end)
    ranked = tuple(sorted(run.trials, key=_rank))
    return Comparison(
        request=request,
        end=end,
        trials=ranked,
        portfolios=() if end is None else run.portfolios(end),
        forecasts=run.pooled_forecasts(),
        selection_bias=selection_bias([trial.scenarios.requested.metrics for trial in ranked]),
        failed=tuple(run.failed),
        unavailable=tuple(run.unavailable),
        trained=run.trained,
    )


def _rank(trial: Trial) -> tuple[bool, float, float]:
    metrics = trial.scenarios.requested.metrics
    return metrics.sharpe is None, -(metrics.sharpe or 0.0), -metrics.total_return


class _ComparisonRun:
    """A comparison in progress: the trials so far, and the tickers that dropped out."""

    def __init__(self, request: ComparisonRequest) -> None:
        self._request = request
        self._pinned = None if request.model is None else model_name(request.model)
        self._not_offered: set[Ticker] = set()
        self.trials: list[Trial] = []
        self.failed: list[FailedTicker] = []
        self.unavailable: list[UnavailableTicker] = []
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
                self._exclude(ticker, error, "venue=alpaca" if any(tradable) else "")

    def common_end(self) -> int | None:
        """Return the requested end of the window, or the latest one that the source has for any ticker."""
        if self._request.end is not None:
            return self._request.end
        ends = []
        for ticker in self._remaining():
            try:
                ends.append(self._request.source.now(ticker))
            except CryptoRefactorError as error:
                self._fail(ticker, error)
        return max(ends, default=None)

    def prepare(self, end: int) -> list[PreparedTicker]:
        """Load the bars of every remaining ticker."""
        request, prepared = self._request, []
        tickers, settings = self._remaining(), request.settings[0].settings
        hours = hours_needed(request.hours, settings) + MAX_FILLED_GAP_HOURS

        def load(ticker: Ticker) -> PreparedTicker:
            return prepare(
                request.source,
                ticker,
                request.hours,
                end,
                settings,
                allow_gaps=request.allow_gaps,
                allow_jumps=request.allow_jumps,
                pinned=self._pinned is not None,
            )

        try:
            request.source.prefetch(tickers, hours, end)
        except DataError as error:
            for ticker in tickers:
                self._fail(ticker, error)
            return []
        for ticker in tickers:
            try:
                prepared.append(load(ticker))
            except CryptoRefactorError as error:
                self._fail(ticker, error)
        return prepared

    def run_parameter_sets(self, settings: ModelSettings, prepared: list[PreparedTicker]) -> None:
        """Run every trial whose models have these settings."""
        request = self._request
        group = [parameter_set for parameter_set in request.settings if parameter_set.settings == settings]
        where = "" if len(group) == len(request.settings) else f"network={settings.network}"
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
                self._fail(ticker.ticker, error, where)
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

    def audit_trials(self, end: int) -> None:
        """Audit every trial."""
        self.trials = audited(self.trials, end, self._pinned)

    def portfolios(self, end: int) -> tuple[Portfolio, ...]:
        """Add up the sub-accounts of each parameter set."""
        request, portfolios = self._request, []
        for parameter_set in request.settings:
            trials = [trial for trial in self.trials if trial.parameter_set is parameter_set]
            offered = [
                ticker
                for ticker in request.tickers
                if ticker not in self._not_offered and traded(ticker, parameter_set)
            ]
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

    def _remaining(self) -> list[Ticker]:
        """Return the tickers that have not dropped out as a whole."""
        dropped = {failure.ticker for failure in self.failed if not failure.where}
        dropped |= {unavailable.ticker for unavailable in self.unavailable if not unavailable.where}
        return [ticker for ticker in self._request.tickers if ticker not in dropped]

    def _fail(self, ticker: Ticker, error: CryptoRefactorError, where: str = "") -> None:
        if isinstance(error, UnavailableError):
            self._not_offered.add(ticker)
            self._exclude(ticker, error, where)
        else:
            self.failed.append(FailedTicker(ticker=ticker, where=where, error=error))

    def _exclude(self, ticker: Ticker, error: CryptoRefactorError, where: str) -> None:
        """Report a ticker that cannot be traded: a failure only if the request names it."""
        if self._request.explicitly_requested:
            self.failed.append(FailedTicker(ticker=ticker, where=where, error=error))
        else:
            self.unavailable.append(UnavailableTicker(ticker=ticker, where=where, why=error.what))
