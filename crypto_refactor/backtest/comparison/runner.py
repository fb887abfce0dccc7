"""Many backtests of one window: several tickers, several settings, and a ranking that counts its trials."""

from __future__ import annotations

from dataclasses import dataclass

from crypto_refactor.backtest.comparison.prepared_ticker import (
    PreparedTicker,
    group_models,
    prepare,
    walk_forward_group,
)
from crypto_refactor.backtest.comparison.request import ComparisonRequest, check_request_options, traded
from crypto_refactor.backtest.comparison.trials import Portfolio, Trial, combine, run_trial
from crypto_refactor.backtest.significance.selection_bias import SelectionBias, selection_bias
from crypto_refactor.errors import CryptoRefactorError, DataError, UnavailableError, UsageError
from crypto_refactor.execution.venues import require_alpaca_rules
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.named_models import model_name
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedTicker:
    """A ticker that ended in an error; `where` names the settings it ended for, empty for all of them."""

    ticker: Ticker
    where: str
    error: CryptoRefactorError


@dataclass(frozen=True, slots=True, kw_only=True)
class UnavailableTicker:
    """A listed ticker that the source does not offer, or that the venue of the settings `where` does not trade."""

    ticker: Ticker
    where: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """What a comparison found.

    Attributes
    ----------
    request : ComparisonRequest
        What was asked for.
    end : int or None
        End of the window; None where no ticker could even tell its now.
    trials : tuple of Trial
        Ranked by Sharpe ratio, then by return; where it is undefined, last.
    portfolios : tuple of Portfolio
        One for each setting with which anything could be traded, in the order of the settings.
    luck : SelectionBias or None
        What the best would show by luck alone; None where no trial has a Sharpe ratio.
    failed : tuple of FailedTicker
        What ended in an error.
    not_offered : tuple of UnavailableTicker
        What there was nothing to trade of.
    trained : int
        Models trained for this.
    """

    request: ComparisonRequest
    end: int | None
    trials: tuple[Trial, ...]
    portfolios: tuple[Portfolio, ...]
    luck: SelectionBias | None
    failed: tuple[FailedTicker, ...]
    not_offered: tuple[UnavailableTicker, ...]
    trained: int


def compare(request: ComparisonRequest) -> Comparison:
    """Backtest every ticker with every setting over one window.

    A ticker that fails is named and leaves the others alone.

    Raises
    ------
    UsageError
        If the request as a whole is not as it must be.
    """
    check_request_options(request)
    run = _ComparisonRun(request)
    run.leave_out_untraded()
    end = run.common_end()
    prepared = [] if end is None else run.prepare(end)
    for settings in dict.fromkeys(setting.settings for setting in request.settings):
        run.try_with(settings, prepared)
    ranked = tuple(sorted(run.trials, key=_rank))
    return Comparison(
        request=request,
        end=end,
        trials=ranked,
        portfolios=() if end is None else run.portfolios(end),
        luck=selection_bias([trial.scenarios.requested.metrics for trial in ranked]),
        failed=tuple(run.failed),
        not_offered=tuple(run.not_offered),
        trained=run.trained,
    )


def _rank(trial: Trial) -> tuple[bool, float, float]:
    metrics = trial.scenarios.requested.metrics
    return metrics.sharpe is None, -(metrics.sharpe or 0.0), -metrics.total_return


class _ComparisonRun:
    """A comparison on its way: what was found so far, and what became of the tickers."""

    def __init__(self, request: ComparisonRequest) -> None:
        self._request = request
        self._name = None if request.model is None else model_name(request.model)
        self._gone: set[Ticker] = set()
        self.trials: list[Trial] = []
        self.failed: list[FailedTicker] = []
        self.not_offered: list[UnavailableTicker] = []
        self.trained = 0

    def leave_out_untraded(self) -> None:
        """Name the tickers that the venue of a setting does not trade."""
        for ticker in self._request.tickers:
            by_setting = [traded(ticker, setting) for setting in self._request.settings]
            if all(by_setting):
                continue
            try:
                require_alpaca_rules(ticker)
            except UsageError as error:
                self._leave_out(ticker, error, "venue=alpaca" if any(by_setting) else "")

    def common_end(self) -> int | None:
        """Return the end of the window all tickers share."""
        if self._request.end is not None:
            return self._request.end
        found = []
        for ticker in self._left():
            try:
                found.append(self._request.source.now(ticker))
            except CryptoRefactorError as error:
                self._fail(ticker, error)
        return max(found, default=None)

    def prepare(self, end: int) -> list[PreparedTicker]:
        """Load every ticker that has not failed yet."""
        request, found = self._request, []
        tickers = self._left()
        settings = request.settings[0].settings
        if not self._prefetched(tickers, end, settings):
            return []
        for ticker in tickers:
            try:
                found.append(
                    prepare(
                        request.source,
                        ticker,
                        request.hours,
                        end,
                        settings,
                        allow_gaps=request.allow_gaps,
                        pinned=self._name is not None,
                    )
                )
            except CryptoRefactorError as error:
                self._fail(ticker, error)
        return found

    def _prefetched(self, tickers: list[Ticker], end: int, settings: ModelSettings) -> bool:
        """Ask for the bars of all tickers at once, where the source can; return whether it could be asked."""
        request = self._request
        try:
            request.source.prefetch(
                tickers, hours_needed(request.hours, settings) + MAX_FILLED_GAP_HOURS, end
            )
        except DataError as error:
            for ticker in tickers:
                self._fail(ticker, error)
            return False
        return True

    def try_with(self, settings: ModelSettings, prepared: list[PreparedTicker]) -> None:
        """Run every trial whose models have these settings."""
        request = self._request
        group = [setting for setting in request.settings if setting.settings == settings]
        where = "" if len(group) == len(request.settings) else f"network={settings.network}"
        models = group_models(
            prepared,
            settings,
            folder=request.model_dir,
            pinned=self._name,
            watch=request.watch,
            cluster=request.cluster,
        )
        self.trained += models.trained
        rules = tuple(dict.fromkeys(setting.signal_rules for setting in group))
        for each in prepared:
            try:
                walks = walk_forward_group(each, models.of(each.ticker), rules, settings)
            except CryptoRefactorError as error:
                self._fail(each.ticker, error, where)
                continue
            self.trials += [
                run_trial(
                    each,
                    setting,
                    walks[setting.signal_rules],
                    balance=request.initial_balance,
                    hours=request.hours,
                )
                for setting in group
                if traded(each.ticker, setting)
            ]

    def portfolios(self, end: int) -> tuple[Portfolio, ...]:
        """Add up the sub-accounts of each setting."""
        request, found = self._request, []
        for setting in request.settings:
            own = [trial for trial in self.trials if trial.setting is setting]
            if own:
                offered = [
                    ticker
                    for ticker in request.tickers
                    if ticker not in self._gone and traded(ticker, setting)
                ]
                balance = request.initial_balance
                found.append(combine(own, offered, end=end, hours=request.hours, balance=balance))
        return tuple(found)

    def _left(self) -> list[Ticker]:
        """Return the tickers nothing is known against as a whole."""
        failed = {each.ticker for each in self.failed if not each.where}
        out = failed | {each.ticker for each in self.not_offered if not each.where}
        return [ticker for ticker in self._request.tickers if ticker not in out]

    def _fail(self, ticker: Ticker, error: CryptoRefactorError, where: str = "") -> None:
        if isinstance(error, UnavailableError):
            self._gone.add(ticker)
            self._leave_out(ticker, error, where)
        else:
            self.failed.append(FailedTicker(ticker=ticker, where=where, error=error))

    def _leave_out(self, ticker: Ticker, error: CryptoRefactorError, where: str) -> None:
        """Note that there is nothing to trade; a failure only where the ticker was asked for by name."""
        if self._request.explicitly_requested:
            self.failed.append(FailedTicker(ticker=ticker, where=where, error=error))
        else:
            self.not_offered.append(UnavailableTicker(ticker=ticker, where=where, why=error.what))
