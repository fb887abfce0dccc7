"""The named models of app_lstm, one per ticker: which one answers, and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.features.catalogue import catalogue_hash
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import DamagedModelError, Model
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.reuse_policy import ModelRequest, retrain_reason
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.jobs import (
    TrainingJob,
    fit_and_write,
    hold_lock,
    quarantine_damaged,
    read_after_writer,
)
from crypto_refactor.model.training.parallel import TrainingObserver

DEFAULT_MODEL_NAME = "lstm_v2"
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def model_name(text: str) -> str:
    """Check a model's name; a trailing ``.keras`` is dropped.

    Raises
    ------
    UsageError
        If it holds anything but letters, digits, ``-``, ``_`` and ``.``.
    """
    name = text.removesuffix(".keras")
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--model is {text!r}.",
            expected="a name of at most 100 letters, digits, '-', '_' and '.', not a path.",
            remedy="give the name alone: models lie in the model folder (CRYPTO_MODEL_DIR).",
        )
    return name


def model_path(folder: Path, ticker: Ticker, name: str, *, simulated: bool) -> Path:
    """Return where the ``.keras`` file of a named model lies; simulated bars have a folder of their own."""
    return (folder / "sample" if simulated else folder) / f"{ticker.slug}_{name}.keras"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The model that answers, and why it is this one.

    Attributes
    ----------
    model : Model
        Whole and fit for the bars at hand.
    decision : str
        ``trained``, ``retrained`` or ``reused``.
    reason : str
        One sentence for people.
    """

    model: Model
    decision: str
    reason: str


def load_or_train(
    path: Path, bars: Bars, wish: ModelRequest, collect: Callable[[], TrainingSet], observer: TrainingObserver
) -> ModelChoice:
    """Return the model at `path`, trained first where it does not fit what is asked for.

    Parameters
    ----------
    path : Path
        The ``.keras`` file.
    bars : Bars
        Real bars up to now.
    wish : ModelRequest
        What is asked for.
    collect : callable
        Returns the training set; called only where a model is trained.
    observer : TrainingObserver
        Told about progress.

    Raises
    ------
    ModelError
        If training fails or the folder cannot be written; the model at hand stays.
    """
    answer = _reusable(path, bars, wish)
    if isinstance(answer, ModelChoice):
        return answer
    with hold_lock(artifact.lock(path), observer):
        # Another process may have trained it while this one waited.
        answer = _reusable(path, bars, wish)
        if isinstance(answer, ModelChoice):
            return answer
        quarantine_damaged(path)
        decision, reason = answer
        data = collect()
        lesson = TrainingJob(data=data, bars=bars)
        ((_, model),) = fit_and_write({path: lesson}, wish.settings, observer)
    if isinstance(model, ModelError):
        raise model
    return ModelChoice(model=model, decision=decision, reason=reason)


def _reusable(path: Path, bars: Bars, wish: ModelRequest) -> ModelChoice | tuple[str, str]:
    try:
        model = artifact.read(path)
    except DamagedModelError as error:
        return "trained", f"the one at hand was set aside as .damaged. {error.what}"
    if model is None:
        return "trained", f"there was no model {path.name} yet"
    must = retrain_reason(model.card, bars, wish)
    if must is not None:
        return must
    age = int(bars.closed[-1]) - model.card.trained_through
    return ModelChoice(
        model=model,
        decision="reused",
        reason=f"it is {age} h old, within the threshold of {wish.retrain_threshold} h: nothing was trained",
    )


def pinned_model(path: Path, bars: Bars, settings: ModelSettings, first_decision: int) -> Model:
    """Return a frozen model, which is never retrained.

    Raises
    ------
    ModelError
        If it is missing, damaged, of another source, ticker, lookback or catalogue, or has seen bars
        that it would have to decide on.
    """
    model = read_after_writer(path)
    if model is None:
        raise ModelError(
            f"There is no model {path}.",
            expected="a model trained by models/app_lstm.py with the same --model, --ticker and --source.",
            remedy="train it first, or leave out --model to let the walk-forward models decide.",
        )
    card = model.card
    pairs = (
        ("source", card.source, bars.source),
        ("ticker", card.ticker, str(bars.ticker)),
        ("lookback", card.lookback, settings.lookback),
        ("catalogue", card.catalogue, catalogue_hash()),
    )
    for name, had, wanted in pairs:
        if had != wanted:
            raise ModelError(
                f"The model {path.name} has the {name} {had}.",
                expected=f"{name} {wanted}.",
                remedy="choose another --model, or train this one again with models/app_lstm.py.",
            )
    if first_decision < card.trained_through:
        raise ModelError(
            f"The model {path.name} has seen bars up to {to_iso(card.trained_through)}, "
            f"and the first decision is at {to_iso(first_decision)}.",
            expected="a window that begins when the model had been trained.",
            remedy="choose fewer --hours or a later --end, or leave out --model.",
        )
    return model
