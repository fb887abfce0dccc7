"""Walk-forward signals: every period of a window is decided by a model that has seen none of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from crypto_refactor.errors import ModelError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.market.quality import QualityReport
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.history import bars_with_history, window_of
from crypto_refactor.model.named_models import require_training_bars
from crypto_refactor.model.schedule import RefitPeriod, refit_periods, training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.signals.conditions import SignalFrame, SignalRules, concatenate
from crypto_refactor.signals.pipeline import decidable_rows, signals_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedTicker:
    """What all walk-forwards of one ticker over one window share."""

    quoted: Bars  # real ones up to the end of the window, history included, as the source gave them
    bars: Bars  # the same, trusted
    window: Bars  # n + 1 bars, gaps filled: the one of the first decision, then the n of the window
    quality: QualityReport  # of `quoted`
    periods: tuple[RefitPeriod, ...]  # the decisions by cut-off, with their features
    data: tuple[TrainingSet, ...]  # the training rows of each model; none if a pinned model decides

    @property
    def ticker(self) -> Ticker:
        """The ticker of the bars."""
        return self.bars.ticker


def prepare(
    source: Source,
    ticker: Ticker,
    hours: int,
    end: int,
    settings: ModelSettings,
    *,
    allow_gaps: bool,
    allow_jumps: bool,
    pinned: bool,
) -> PreparedTicker:
    """Load the bars of one ticker and compute what every model with these spans and this lookback needs."""
    quoted, quality = bars_with_history(
        source, ticker, hours, end, settings, allow_gaps=allow_gaps, allow_jumps=allow_jumps
    )
    bars = trusted(quoted)
    window = window_of(bars, hours, end)
    periods = tuple(refit_periods(bars, end - hours, int(window.closed[-1]), settings))
    data = () if pinned else tuple(training_rows(period, settings) for period in periods)
    return PreparedTicker(
        quoted=quoted, bars=bars, window=window, quality=quality, periods=periods, data=data
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupModels:
    """The models of several tickers: one key per period for each ticker, and the model of each key or its error."""

    keys: dict[Ticker, list[str]]
    models: dict[str, Model | ModelError]
    trained: int

    def of(self, ticker: Ticker) -> list[Model]:
        """Return one model for each period of `ticker`, or raise the first error in the place of one."""
        models = []
        for key in self.keys[ticker]:
            model = self.models[key]
            if isinstance(model, ModelError):
                raise model
            models.append(model)
        return models


def group_models(
    prepared: Sequence[PreparedTicker], models: ModelProvider, pinned: str | None
) -> GroupModels:
    """Return the models of several tickers: those of their cut-offs, or the one named `pinned` for every period."""
    return _cutoff_models(prepared, models) if pinned is None else _pinned_models(prepared, models, pinned)


def _cutoff_models(prepared: Sequence[PreparedTicker], models: ModelProvider) -> GroupModels:
    keys: dict[Ticker, list[str]] = {ticker.ticker: [] for ticker in prepared}
    # Inside a gap two cut-offs may have the same rows behind them, and so share one model.
    jobs = {}
    for ticker in prepared:
        for data in ticker.data:
            key = models.key(ticker.bars, data)
            keys[ticker.ticker].append(key)
            jobs[key] = TrainingJob(data=data, bars=ticker.bars)
    by_key: dict[str, Model | ModelError] = {}
    trained = 0
    try:
        for cached in models.get_or_train_all(jobs):
            by_key[cached.key] = cached.model
            trained += cached.trained and isinstance(cached.model, Model)
    except ModelError as error:  # no further fit can run; the available models are used all the same
        by_key |= dict.fromkeys(jobs.keys() - by_key.keys(), error)
    return GroupModels(keys=keys, models=by_key, trained=trained)


def _pinned_models(prepared: Sequence[PreparedTicker], models: ModelProvider, name: str) -> GroupModels:
    by_key: dict[str, Model | ModelError] = {}
    for ticker in prepared:
        try:
            model = models.pinned(name, ticker.bars, ticker.periods[0].first)
            require_training_bars(model, ticker.bars)
            by_key[str(ticker.ticker)] = model
        except ModelError as error:
            by_key[str(ticker.ticker)] = error
    keys = {ticker.ticker: [str(ticker.ticker)] * len(ticker.periods) for ticker in prepared}
    return GroupModels(keys=keys, models=by_key, trained=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeriodSignals:
    """One period, the model that decided it, and its signals."""

    period: RefitPeriod
    model: Model
    signals: SignalFrame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WalkForward:
    """All decisions of a window: its periods in time order, and how many models were trained for them."""

    periods: tuple[PeriodSignals, ...]
    trained: int

    @property
    def signals(self) -> SignalFrame:
        """All signals, in time order; bars that could not be decided on are missing."""
        return concatenate([part.signals for part in self.periods])

    @property
    def model_fingerprints(self) -> list[str]:
        """The fingerprint of the model behind each of `signals`."""
        return [part.model.card.fingerprint for part in self.periods for _ in range(len(part.signals))]


def walk_forward(
    prepared: PreparedTicker, models: ModelProvider, rules: SignalRules, *, pinned: str | None = None
) -> WalkForward:
    """Decide every hour of one ticker's window, by its walk-forward models or by the one named `pinned`.

    Raises
    ------
    ModelError
        If a model cannot be trained, read or used.
    """
    own = group_models([prepared], models, pinned)
    walk = walk_forward_group(prepared, own.of(prepared.ticker), [rules])[rules]
    return replace(walk, trained=own.trained)


def walk_forward_group(
    prepared: PreparedTicker, models: Sequence[Model], rules: Iterable[SignalRules]
) -> dict[SignalRules, WalkForward]:
    """Decide every hour of one ticker's window by each of several `rules`; the model of each period forecasts once."""
    by_rules: dict[SignalRules, list[PeriodSignals]] = {each: [] for each in rules}
    for period, model in zip(prepared.periods, models, strict=True):
        rows = decidable_rows(period.frame, model.card.lookback, period.first, period.last)
        forecast = model.forecaster().forecast_rows(period.frame, rows)
        for each, periods in by_rules.items():
            signals = signals_of(model, period.frame, rows, forecast, each)
            periods.append(PeriodSignals(period=period, model=model, signals=signals))
    return {each: WalkForward(periods=tuple(periods), trained=0) for each, periods in by_rules.items()}


def align_to_bars(signals: SignalFrame, window: Bars, exit_rule: str = "") -> dict[str, npt.NDArray[Any]]:
    """Align signals with the bars of `window`, zeros where nothing was decided.

    Returns
    -------
    dict
        ``signal``, ``forecast_side`` (int8), ``expected_move`` (float64), ``supported`` and
        ``decidable`` (bool), each of shape (n,); ``keep`` (bool), of shape (n, 2), where `exit_rule` is that of a plug-in.
    """
    rows = np.searchsorted(window.closed, signals.decided_at)
    columns: dict[str, npt.NDArray[Any]] = {
        "signal": signals.signal,
        "forecast_side": signals.forecast_side,
        "expected_move": signals.expected_move,
        "supported": signals.supported,
        "decidable": np.ones(len(signals), dtype=np.bool_),
    }
    if exit_rule in signals.keeps:
        columns["keep"] = signals.keeps[exit_rule]
    aligned = {}
    for name, values in columns.items():
        aligned[name] = np.zeros((len(window), *values.shape[1:]), dtype=values.dtype)
        aligned[name][rows] = values
    return aligned
