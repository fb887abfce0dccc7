"""What trials of one ticker share: bars, features, training rows, models and forecasts, each made once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.backtest.walk_forward import PeriodSignals, WalkForward
from crypto_refactor.errors import ModelError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.quality import QualityReport
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.cache import get_or_train
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.history import bars_with_history, window_of
from crypto_refactor.model.named_models import model_path, pinned_model
from crypto_refactor.model.schedule import RefitPeriod, model_key, refit_periods, training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.model.training.observer import TrainingObserver
from crypto_refactor.model.training.parallel import Cluster
from crypto_refactor.signals.conditions import SignalRules, evaluate
from crypto_refactor.signals.pipeline import decidable_rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedTicker:
    """One ticker's part of a comparison, before any model is asked.

    Attributes
    ----------
    bars : Bars
        Real bars up to the end of the window, history included.
    window : Bars
        n + 1 carried bars: the one that makes the first decision, then the n of the window.
    quality : QualityReport
        Of the bars used, history included.
    parts : tuple of RefitPeriod
        The decisions by their cut-offs, with their features.
    data : tuple of TrainingSet
        What the model of each period learns; empty where a frozen model decides.
    """

    bars: Bars
    window: Bars
    quality: QualityReport
    parts: tuple[RefitPeriod, ...]
    data: tuple[TrainingSet, ...]

    @property
    def ticker(self) -> Ticker:
        """Whose."""
        return self.bars.ticker


def prepare(
    source: Source,
    ticker: Ticker,
    hours: int,
    end: int,
    settings: ModelSettings,
    *,
    allow_gaps: bool,
    pinned: bool,
) -> PreparedTicker:
    """Load the bars of one ticker and compute what every model with these spans and lookback needs.

    Raises
    ------
    DataError
        If the bars are not as they must be, or too few to learn from.
    """
    bars, quality = bars_with_history(source, ticker, hours, end, settings, allow_gaps=allow_gaps)
    window = window_of(bars, hours, end)
    parts = tuple(refit_periods(bars, end - hours, int(window.closed[-1]), settings))
    data = () if pinned else tuple(training_rows(period, settings) for period in parts)
    return PreparedTicker(bars=bars, window=window, quality=quality, parts=parts, data=data)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupModels:
    """The models of several tickers, or the error that keeps a ticker from its own; and how many were trained."""

    found: dict[Ticker, tuple[Model, ...] | ModelError]
    trained: int

    def of(self, ticker: Ticker) -> tuple[Model, ...]:
        """Return one model for each period of `ticker`.

        Raises
        ------
        ModelError
            If one of them could not be had.
        """
        models = self.found[ticker]
        if isinstance(models, ModelError):
            raise models
        return models


def group_models(
    prepared: Sequence[PreparedTicker],
    settings: ModelSettings,
    *,
    folder: Path,
    pinned: str | None,
    watch: TrainingObserver,
    cluster: Cluster | None = None,
) -> GroupModels:
    """Return the models of several tickers, training side by side those the cache lacks.

    Parameters
    ----------
    prepared : sequence of PreparedTicker
        One for each ticker.
    settings : ModelSettings
        Shared by all.
    folder : Path
        The model folder.
    pinned : str or None
        Name of a frozen model that decides everything.
    watch : TrainingObserver
        Told about training.
    cluster : Cluster, optional
        Where models are trained; by default on this machine.
    """
    if pinned is not None:
        return GroupModels(
            found={each.ticker: _pinned(each, settings, folder, pinned) for each in prepared}, trained=0
        )
    keys = {each.ticker: [model_key(each.bars, rows, settings) for rows in each.data] for each in prepared}
    wanted = {
        key: TrainingJob(data=rows, bars=each.bars)
        for each in prepared
        for key, rows in zip(keys[each.ticker], each.data, strict=True)
    }
    by_key, trained = _provided(wanted, settings, folder, watch, cluster)
    return GroupModels(
        found={ticker: _whole([by_key[key] for key in own]) for ticker, own in keys.items()}, trained=trained
    )


def _provided(
    wanted: dict[str, TrainingJob],
    settings: ModelSettings,
    folder: Path,
    watch: TrainingObserver,
    cluster: Cluster | None,
) -> tuple[dict[str, Model | ModelError], int]:
    found: dict[str, Model | ModelError] = {}
    trained = 0
    try:
        for each in get_or_train(folder, wanted, settings, watch, cluster=cluster):
            found[each.key] = each.model
            trained += each.trained and isinstance(each.model, Model)
    except ModelError as error:  # no fit can run any more; what was at hand is used all the same
        found |= dict.fromkeys(wanted.keys() - found.keys(), error)
    return found, trained


def _whole(models: Iterable[Model | ModelError]) -> tuple[Model, ...] | ModelError:
    whole = []
    for model in models:
        if isinstance(model, ModelError):
            return model
        whole.append(model)
    return tuple(whole)


def _pinned(
    each: PreparedTicker, settings: ModelSettings, folder: Path, name: str
) -> tuple[Model, ...] | ModelError:
    path = model_path(folder, each.ticker, name, simulated=each.bars.simulated)
    try:
        model = pinned_model(path, each.bars, settings, each.parts[0].first)
    except ModelError as error:
        return error
    return (model,) * len(each.parts)


def walk_forward_group(
    prepared: PreparedTicker, models: Sequence[Model], rules: Iterable[SignalRules], settings: ModelSettings
) -> dict[SignalRules, WalkForward]:
    """Return the signals of one ticker for each of `rules`; every model makes its forecasts once.

    Parameters
    ----------
    prepared : PreparedTicker
        The ticker's part.
    models : sequence of Model
        One for each of its periods.
    rules : iterable of SignalRules
        What a signal needs.
    settings : ModelSettings
        Of the models.

    Raises
    ------
    ModelError
        If a network cannot be loaded.
    """
    rules = tuple(rules)
    stretches: dict[SignalRules, list[PeriodSignals]] = {each: [] for each in rules}
    for period, model in zip(prepared.parts, models, strict=True):
        rows = decidable_rows(period.frame, settings.lookback, period.first, period.last)
        forecast = model.forecaster().forecast_rows(period.frame, rows)
        for each in rules:
            made = evaluate(
                period.frame,
                rows,
                forecast,
                evidence=model.card.evidence,
                threshold_scale=model.card.threshold_scale,
                rules=each,
            )
            stretches[each].append(PeriodSignals(period=period, model=model, made=made))
    return {each: WalkForward(stretches=tuple(own), trained=0) for each, own in stretches.items()}
