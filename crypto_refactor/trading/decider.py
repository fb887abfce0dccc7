"""The decision at one close, from the bars known then: the path a backtest takes, one bar at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crypto_refactor.market.bars import Bars
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.cache import get, get_models, pin_for_ledger
from crypto_refactor.model.forecaster import Forecaster
from crypto_refactor.model.named_models import model_path, pinned_model
from crypto_refactor.model.schedule import RefitPeriod, model_key, refit_periods, training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.dask_cluster import Cluster
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.model.training.observer import TrainingObserver
from crypto_refactor.signals.conditions import SignalFrame, SignalRules
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenModel:
    """The model that answers.

    Attributes
    ----------
    model : Model
        Whole.
    key : str or None
        Its name in the cache; None for a pinned one.
    late : bool
        Whether it belongs to the cut-off before, because the one wanted is not there yet.
    revised : bool
        Whether the bars it learnt from read differently now.
    """

    model: Model
    key: str | None
    late: bool = False
    revised: bool = False


class ModelSelector(Protocol):
    """Finds the model that decides."""

    def missing(self, bars: Bars, period: RefitPeriod) -> dict[str, TrainingJob]:
        """Return what must be trained before `choose` can answer, by its name in the cache."""
        ...

    def choose(self, bars: Bars, period: RefitPeriod) -> ChosenModel:
        """Return the model that decides `period`."""
        ...


def training_job(bars: Bars, period: RefitPeriod, settings: ModelSettings) -> tuple[str, TrainingJob]:
    """Return what the model of `period` learns, and the name of that model in the cache."""
    data = training_rows(period, settings)
    return model_key(bars, data, settings), TrainingJob(data=data, bars=bars)


class CachedModelSelector:
    """The model of each cut-off, trained where the cache lacks it: what a backtest uses.

    Parameters
    ----------
    settings : ModelSettings
        Which models.
    folder : Path
        The model folder.
    watch : TrainingObserver
        Told about training.
    ledger : Path or None
        The ledger that will name the models, so that the cache keeps them.
    cluster : Cluster or None
        Where models are trained; None for this machine.
    """

    def __init__(
        self,
        settings: ModelSettings,
        folder: Path,
        watch: TrainingObserver,
        *,
        ledger: Path | None = None,
        cluster: Cluster | None = None,
    ) -> None:
        self._settings = settings
        self._folder = folder
        self._watch = watch
        self._ledger = ledger
        self._cluster = cluster
        self._chosen: dict[int, ChosenModel] = {}

    def missing(self, bars: Bars, period: RefitPeriod) -> dict[str, TrainingJob]:
        """Return what the cache lacks."""
        key, lesson = training_job(bars, period, self._settings)
        return {} if get(self._folder, key) else {key: lesson}

    def choose(self, bars: Bars, period: RefitPeriod) -> ChosenModel:
        """Return the model of the period's cut-off."""
        if period.cutoff not in self._chosen:
            key, lesson = training_job(bars, period, self._settings)
            found = get_models(
                self._folder, {key: lesson}, self._settings, self._watch, cluster=self._cluster
            )
            (model,) = found.models
            if self._ledger is not None:
                pin_for_ledger(self._folder, key, self._ledger)
            self._chosen = {period.cutoff: ChosenModel(model=model, key=key)}
        return self._chosen[period.cutoff]


class PinnedModelSelector:
    """One frozen model that decides everything."""

    def __init__(self, settings: ModelSettings, folder: Path, name: str) -> None:
        self._settings = settings
        self._folder = folder
        self._name = name
        self._chosen: ChosenModel | None = None

    def missing(self, bars: Bars, period: RefitPeriod) -> dict[str, TrainingJob]:  # noqa: ARG002 - as every choice is asked
        """Return nothing: a frozen model is never trained."""
        return {}

    def choose(self, bars: Bars, period: RefitPeriod) -> ChosenModel:
        """Return the frozen model, checked at its first use."""
        if self._chosen is None:
            path = model_path(self._folder, bars.ticker, self._name, simulated=bars.simulated)
            model = pinned_model(path, bars, self._settings, period.last)
            self._chosen = ChosenModel(model=model, key=None)
        return self._chosen


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelDecision:
    """What was found at one close.

    Attributes
    ----------
    made : SignalFrame
        One row, or none where the bar cannot be decided on.
    chosen : ChosenModel
        Who answered.
    cutoff : int
        Hour up to which its model may have learnt.
    bars : str
        Fingerprint of the bars behind the decision.
    """

    made: SignalFrame
    chosen: ChosenModel
    cutoff: int
    bars: str

    @property
    def model(self) -> Model:
        """Who answered."""
        return self.chosen.model


class Decider:
    """Decides bars of one ticker with the model each of them belongs to, and keeps that model loaded.

    Parameters
    ----------
    settings : ModelSettings
        Which models.
    rules : SignalRules
        What a signal needs.
    choice : ModelSelector
        Finds the models.
    """

    def __init__(self, settings: ModelSettings, rules: SignalRules, choice: ModelSelector) -> None:
        self._settings = settings
        self._rules = rules
        self._choice = choice
        self._loaded: tuple[Path, Forecaster] | None = None

    def missing(self, bars: Bars, first: int, last: int) -> dict[str, TrainingJob]:
        """Return what must be trained before the closes from `first` to `last` can be decided."""
        found: dict[str, TrainingJob] = {}
        for period in refit_periods(bars, first, last, self._settings):
            found |= self._choice.missing(bars, period)
        return found

    def decide(self, bars: Bars, hour: int) -> ModelDecision:
        """Decide at the close `hour` of the last of `bars`.

        Parameters
        ----------
        bars : Bars
            Real bars known at `hour`, with the history `selection.hours_needed` asks for.
        hour : int
            When the last of them closed.

        Raises
        ------
        DataError
            If there is too little to learn from.
        ModelError
            If the model cannot be trained, read or used.
        """
        (period,) = refit_periods(bars, hour, hour, self._settings)
        chosen = self._choice.choose(bars, period)
        rows = decidable_rows(period.frame, self._settings.lookback, hour, hour)
        made = decide_signals(
            chosen.model, period.frame, rows, self._rules, forecaster=self._forecaster(chosen)
        )
        return ModelDecision(
            made=made,
            chosen=chosen,
            cutoff=period.cutoff,
            bars=period.frame.bars.only_real().fingerprint(),
        )

    def _forecaster(self, chosen: ChosenModel) -> Forecaster:
        path = chosen.model.path
        if self._loaded is None or self._loaded[0] != path:
            self._loaded = path, chosen.model.forecaster()
        return self._loaded[1]
