"""Which model decides for an account that trades as time passes: the first one it used for a cut-off.

A model stands only for the settings it was trained with: whoever restarts with another network, lookback, seed
or training span gets the model of these.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from crypto_refactor.errors import DataError, ModelError
from crypto_refactor.features.catalogue import catalogue_hash
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.artifact import Card, Model
from crypto_refactor.model.cache import get, get_models, pin_for_ledger
from crypto_refactor.model.schedule import RefitPeriod
from crypto_refactor.model.settings import RECIPE, ModelSettings
from crypto_refactor.model.training.dask_cluster import Cluster
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.model.training.observer import TrainingObserver
from crypto_refactor.trading.decider import ChosenModel, training_job
from crypto_refactor.trading.ledger.ledger import Ledger


class StillTrainingError(ModelError):
    """The model is being trained, and there is no earlier one: nothing is decided until it is there."""


class Trainer(Protocol):
    """Trains models beside the deciding process."""

    def begin(self, key: str, lesson: TrainingJob) -> None:
        """See to it that the model `key` is trained."""
        ...

    def failure(self, key: str) -> str | None:
        """Return why the last attempt at `key` failed, None where it did not."""
        ...


class FirstUsedModelSelector:
    """The model an account first used for a cut-off, across restarts and revisions of bars.

    Parameters
    ----------
    ledger : Ledger
        Remembers which model decides.
    account : str
        The account.
    settings : ModelSettings
        Which models.
    folder : Path
        The model folder.
    watch : TrainingObserver
        Told about training, where this process waits for it.
    trainer : Trainer or None
        Trains beside this process; None to wait.
    cluster : Cluster or None
        Where this process has models trained that it waits for; None for this machine.
    """

    def __init__(
        self,
        ledger: Ledger,
        account: str,
        settings: ModelSettings,
        folder: Path,
        watch: TrainingObserver,
        trainer: Trainer | None,
        cluster: Cluster | None = None,
    ) -> None:
        self._ledger = ledger
        self._account = account
        self._settings = settings
        self._folder = folder
        self._watch = watch
        self._trainer = trainer
        self._cluster = cluster

    def missing(self, bars: Bars, period: RefitPeriod) -> dict[str, TrainingJob]:
        """Return what must be trained, nothing where a model stands."""
        if self._standing(bars, period) is not None:
            return {}
        key, lesson = training_job(bars, period, self._settings)
        return {} if get(self._folder, key) else {key: lesson}

    def choose(self, bars: Bars, period: RefitPeriod) -> ChosenModel:
        """Return the model that stands, or else the one of these bars.

        Raises
        ------
        StillTrainingError
            If it is being trained and there is no earlier one.
        DataError, ModelError
            If there is too little to learn from, or it cannot be trained.
        """
        standing = self._standing(bars, period)
        if standing is not None:
            return standing
        key, lesson = training_job(bars, period, self._settings)
        model = get(self._folder, key)
        if model is None and self._trainer is not None:
            self._trainer.begin(key, lesson)
            return self._earlier(bars, period.cutoff, self._trainer.failure(key))
        if model is None:
            found = get_models(
                self._folder, {key: lesson}, self._settings, self._watch, cluster=self._cluster
            )
            (model,) = found.models
        pin_for_ledger(self._folder, key, self._ledger.path)
        return ChosenModel(model=model, key=key)

    def _standing(self, bars: Bars, period: RefitPeriod) -> ChosenModel | None:
        """Return the model that was used first for the cut-off, where it is whole and was asked for like this."""
        named = self._ledger.models(self._account, bars.ticker).get(period.cutoff)
        model = None if named is None else self._fitting(named)
        if named is None or model is None:
            return None
        try:
            key, lesson = training_job(bars, period, self._settings)
        except DataError:  # so much was withdrawn that nothing could be learnt from the rest
            return ChosenModel(model=model, key=named, revised=True)
        if lesson.data.trained_from != model.card.trained_from:
            return None
        return ChosenModel(model=model, key=named, revised=key != named)

    def _earlier(self, bars: Bars, cutoff: int, failure: str | None) -> ChosenModel:
        """Return the model of the last cut-off before `cutoff` that has one."""
        models = self._ledger.models(self._account, bars.ticker)
        for before in sorted((other for other in models if other < cutoff), reverse=True):
            model = self._fitting(models[before])
            if model is not None:
                return ChosenModel(model=model, key=models[before], late=True)
        said = (
            "is being trained" if failure is None else f"could not be trained ({failure}) and is tried again"
        )
        raise StillTrainingError(
            f"The model of the cut-off {to_iso(cutoff)} {said}.",
            expected="a model; no trade is made without one.",
            remedy="wait: it is used as soon as it is there.",
        )

    def _fitting(self, key: str) -> Model | None:
        """Return the cached model `key`, None where it is gone or was trained with other settings."""
        model = get(self._folder, key)
        return None if model is None or not matches_settings(model.card, self._settings) else model


def matches_settings(card: Card, settings: ModelSettings) -> bool:
    """Whether a model was trained with these settings, its training span aside, on the inputs of this release."""
    had = (card.lookback, card.network, card.seed, card.recipe, card.catalogue)
    return had == (settings.lookback, settings.network, settings.seed, RECIPE.hash(), catalogue_hash())
