"""Which model decides: the one of each cut-off, a pinned one, or the first one an account used.

The first-used model stays only for the settings it was trained with: a restart with another network, lookback,
seed or training span gets a model of its own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from crypto_refactor.errors import DataError, ModelError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.reuse_policy import mismatches, training_bars_revised
from crypto_refactor.model.schedule import RefitPeriod
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.trading.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenModel:
    """The model that decides, and its cache key (None for a pinned one).

    `late` says that it belongs to an earlier cut-off, because the current one's is still missing; `revised` that its
    training bars were revised since.
    """

    model: Model
    key: str | None
    late: bool = False
    revised: bool = False


class ModelSelector(Protocol):
    """Finds the model that decides."""

    def missing(self, bars: Bars, period: RefitPeriod) -> dict[str, TrainingJob]:
        """Return what to train before `choose` can answer, by cache key."""
        ...

    def choose(self, bars: Bars, period: RefitPeriod) -> ChosenModel:
        """Return the model that decides `period`."""
        ...


class Trainer(Protocol):
    """Trains models beside the deciding process."""

    def begin(self, key: str, job: TrainingJob) -> None:
        """Make sure that the model `key` gets trained."""
        ...

    def failure(self, key: str) -> str | None:
        """Return why the last attempt at `key` failed; None where it did not."""
        ...


class StillTrainingError(ModelError):
    """The model is being trained, and there is no earlier one to decide with."""


class CachedModelSelector:
    """The model of each cut-off, trained where the cache lacks it, as in a backtest.

    The cache keeps these models as long as the file `ledger` exists.
    """

    def __init__(self, models: ModelProvider, *, ledger: Path | None = None) -> None:
        self._models = models
        self._ledger = ledger
        self._chosen: dict[int, ChosenModel] = {}

    def missing(self, bars: Bars, period: RefitPeriod) -> dict[str, TrainingJob]:
        """Return what the cache lacks."""
        key, job = self._models.job(bars, period)
        return {} if self._models.get(key) else {key: job}

    def choose(self, bars: Bars, period: RefitPeriod) -> ChosenModel:
        """Return the model of the period's cut-off."""
        if period.cutoff not in self._chosen:
            key, job = self._models.job(bars, period)
            model = self._models.get_or_train(key, job)
            if self._ledger is not None:
                self._models.keep_for_ledger(key, self._ledger)
            self._chosen = {period.cutoff: ChosenModel(model=model, key=key)}
        return self._chosen[period.cutoff]


class PinnedModelSelector:
    """One pinned model that decides everything and is never trained."""

    def __init__(self, models: ModelProvider, name: str) -> None:
        self._models = models
        self._name = name
        self._chosen: ChosenModel | None = None

    def missing(self, bars: Bars, period: RefitPeriod) -> dict[str, TrainingJob]:  # noqa: ARG002 - of the protocol
        """Return nothing."""
        return {}

    def choose(self, bars: Bars, period: RefitPeriod) -> ChosenModel:
        """Return the pinned model, which is checked at its first use."""
        if self._chosen is None:
            model = self._models.pinned(self._name, bars, period.last)
            self._chosen = ChosenModel(model=model, key=None, revised=training_bars_revised(model.card, bars))
        return self._chosen


class FirstUsedModelSelector:
    """The model an account used first for each cut-off, across restarts and revisions of bars.

    With a `trainer` nothing waits for a missing model; without one it is trained here.
    """

    def __init__(self, ledger: Ledger, account: str, models: ModelProvider, trainer: Trainer | None) -> None:
        self._ledger = ledger
        self._account = account
        self._models = models
        self._trainer = trainer

    def missing(self, bars: Bars, period: RefitPeriod) -> dict[str, TrainingJob]:
        """Return what to train; nothing where the account has used a model."""
        if self._first_used(bars, period) is not None:
            return {}
        key, job = self._models.job(bars, period)
        return {} if self._models.get(key) else {key: job}

    def choose(self, bars: Bars, period: RefitPeriod) -> ChosenModel:
        """Return the first-used model, or else the one these bars ask for.

        Raises
        ------
        StillTrainingError
            If it is being trained and there is no earlier one.
        DataError, ModelError
            If there are too few bars to train on, or training fails.
        """
        first_used = self._first_used(bars, period)
        if first_used is not None:
            return first_used
        key, job = self._models.job(bars, period)
        model = self._models.get(key)
        if model is None and self._trainer is not None:
            self._trainer.begin(key, job)
            return self._previous(bars, period.cutoff, self._trainer.failure(key))
        if model is None:
            model = self._models.get_or_train(key, job)
        self._models.keep_for_ledger(key, self._ledger.path)
        return ChosenModel(model=model, key=key)

    def _first_used(self, bars: Bars, period: RefitPeriod) -> ChosenModel | None:
        key = self._ledger.models(self._account, bars.ticker).get(period.cutoff)
        model = None if key is None else self._compatible(key, bars)
        if model is None:
            return None
        try:
            current_key, job = self._models.job(bars, period)
        except DataError:  # so many bars were withdrawn that the rest is too short to train on
            return ChosenModel(model=model, key=key, revised=True)
        if job.data.trained_from != model.card.trained_from:
            return None
        return ChosenModel(model=model, key=key, revised=current_key != key)

    def _previous(self, bars: Bars, cutoff: int, failure: str | None) -> ChosenModel:
        """Return the model of the last cut-off before `cutoff` that has one."""
        keys = self._ledger.models(self._account, bars.ticker)
        for earlier in sorted((other for other in keys if other < cutoff), reverse=True):
            model = self._compatible(keys[earlier], bars)
            if model is not None:
                return ChosenModel(model=model, key=keys[earlier], late=True)
        state = "is being trained" if failure is None else f"could not be trained ({failure}) and is retried"
        raise StillTrainingError(
            f"The model of the cut-off {to_iso(cutoff)} {state}.",
            expected="a trained model; nothing is traded without one.",
            remedy="wait: the model is used as soon as it is trained.",
        )

    def _compatible(self, key: str, bars: Bars) -> Model | None:
        """Return the cached model `key`; None where it is gone, or belongs to other bars or settings."""
        model = self._models.get(key)
        return None if model is None or mismatches(model.card, bars, self._models.settings) else model
