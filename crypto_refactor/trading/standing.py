"""Which model decides for an account that trades as time passes: the first one it used for a cut-off."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from crypto_refactor.errors import DataError, ModelError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.cache import at_hand, cached_models, keep_for_ledger
from crypto_refactor.model.selection import Period
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.shelf import Lesson
from crypto_refactor.model.watch import TrainingWatch
from crypto_refactor.trading.deciding import Chosen, lesson_for
from crypto_refactor.trading.ledger import Ledger


class StillTrainingError(ModelError):
    """The model is being trained, and there is no earlier one: nothing is decided until it is there."""


class Trainer(Protocol):
    """Trains models beside the deciding process."""

    def begin(self, key: str, lesson: Lesson) -> None:
        """See to it that the model `key` is trained."""
        ...

    def failure(self, key: str) -> str | None:
        """Return why the last attempt at `key` failed, None where it did not."""
        ...


class Standing:
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
    watch : TrainingWatch
        Told about training, where this process waits for it.
    trainer : Trainer or None
        Trains beside this process; None to wait.
    """

    def __init__(
        self,
        ledger: Ledger,
        account: str,
        settings: ModelSettings,
        folder: Path,
        watch: TrainingWatch,
        trainer: Trainer | None,
    ) -> None:
        self._ledger = ledger
        self._account = account
        self._settings = settings
        self._folder = folder
        self._watch = watch
        self._trainer = trainer

    def missing(self, bars: Bars, period: Period) -> dict[str, Lesson]:
        """Return what must be trained, nothing where a model stands."""
        named = self._ledger.models(self._account, bars.ticker).get(period.cutoff)
        if named is not None and at_hand(self._folder, named):
            return {}
        key, lesson = lesson_for(bars, period, self._settings)
        return {} if at_hand(self._folder, key) else {key: lesson}

    def choose(self, bars: Bars, period: Period) -> Chosen:
        """Return the model that stands, or else the one of these bars.

        Raises
        ------
        StillTrainingError
            If it is being trained and there is no earlier one.
        DataError, ModelError
            If there is too little to learn from, or it cannot be trained.
        """
        models = self._ledger.models(self._account, bars.ticker)
        named = models.get(period.cutoff)
        standing = None if named is None else at_hand(self._folder, named)
        if standing is not None:
            return Chosen(model=standing, key=named, revised=self._reads_differently(bars, period, named))
        key, lesson = lesson_for(bars, period, self._settings)
        model = at_hand(self._folder, key)
        if model is None and self._trainer is not None:
            self._trainer.begin(key, lesson)
            return self._earlier(models, period.cutoff, self._trainer.failure(key))
        if model is None:
            (model,) = cached_models(self._folder, {key: lesson}, self._settings, self._watch).models
        keep_for_ledger(self._folder, key, self._ledger.path)
        return Chosen(model=model, key=key, revised=named is not None and named != key)

    def _reads_differently(self, bars: Bars, period: Period, named: str | None) -> bool:
        try:
            return lesson_for(bars, period, self._settings)[0] != named
        except DataError:  # so much was withdrawn that nothing could be learnt from the rest
            return True

    def _earlier(self, models: dict[int, str], cutoff: int, failure: str | None) -> Chosen:
        before = max((other for other in models if other < cutoff), default=None)
        model = None if before is None else at_hand(self._folder, models[before])
        if model is None or before is None:
            said = (
                "is being trained"
                if failure is None
                else f"could not be trained ({failure}) and is tried again"
            )
            raise StillTrainingError(
                f"The model of the cut-off {to_iso(cutoff)} {said}.",
                expected="a model; no trade is made without one.",
                remedy="wait: it is used as soon as it is there.",
            )
        return Chosen(model=model, key=models[before], late=True)
