"""The named models of app_lstm, one per ticker."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import DamagedModelError, Model
from crypto_refactor.model.dataset import CHECKED_BARS, TrainingSet
from crypto_refactor.model.reuse_policy import (
    ModelRequest,
    mismatches,
    retrain_reason,
    training_bars_revised,
)
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.jobs import TrainingJob, fit_and_write, hold_lock
from crypto_refactor.model.training.parallel import TrainingObserver

DEFAULT_MODEL_NAME = "lstm_v2"
PINNED_PARTS = ("source", "ticker", "timeframe", "horizon", "lookback", "plug-ins", "catalogue")
"""What must match for a pinned model, which brings its own network, recipe and seed."""
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


def model_name(text: str) -> str:
    """Validate a model's name and drop a trailing ``.keras``.

    Raises
    ------
    UsageError
        If it has other characters than letters, digits, ``-``, ``_`` and ``.``.
    """
    name = text.removesuffix(".keras") if isinstance(text, str) else ""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--model is {text!r}.",
            expected="a name of at most 100 letters, digits, '-', '_' and '.', not a path.",
            remedy="give the name alone: models are in the model folder (CRYPTO_MODEL_DIR).",
        )
    return name


def model_path(folder: Path, ticker: Ticker, name: str, *, simulated: bool) -> Path:
    """Return the ``.keras`` file of a named model; models of simulated bars have a folder of their own."""
    return (folder / "sample" if simulated else folder) / f"{ticker.slug}_{name}.keras"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """The model that decides; `decision` is ``trained``, ``retrained`` or ``reused``, and `reason` says why."""

    model: Model
    decision: str
    reason: str


def load_or_train(
    path: Path,
    bars: Bars,
    request: ModelRequest,
    collect: Callable[[], TrainingSet],
    observer: TrainingObserver,
) -> ModelChoice:
    """Return the model at `path`, trained first if it does not match the request.

    `bars` are the real ones up to now; `collect` returns the training set, if one is needed.

    Raises
    ------
    ModelError
        If training fails or the folder cannot be written; the existing model stays.
    """
    choice = _reuse(path, bars, request)
    if isinstance(choice, ModelChoice):
        return choice
    with hold_lock(artifact.lock(path), observer):
        # Another process may have trained it in the meantime.
        choice = _reuse(path, bars, request)
        if isinstance(choice, ModelChoice):
            return choice
        artifact.quarantine_damaged(path)
        decision, reason = choice
        job = TrainingJob(data=collect(), bars=bars)
        ((_, model),) = fit_and_write({path: job}, request.settings, observer)
    if isinstance(model, ModelError):
        raise model
    return ModelChoice(model=model, decision=decision, reason=reason)


def _reuse(path: Path, bars: Bars, request: ModelRequest) -> ModelChoice | tuple[str, str]:
    """Return the existing model, or the decision to train and its reason."""
    try:
        model = artifact.read(path)
    except DamagedModelError as error:
        return "trained", f"the existing model was renamed to .damaged. {error.what}"
    if model is None:
        return "trained", f"there was no model {path.name} yet"
    training = retrain_reason(model.card, bars, request)
    if training is not None:
        return training
    age = int(bars.closed[-1]) - model.card.trained_through
    return ModelChoice(
        model=model,
        decision="reused",
        reason=f"it is {age} h old, within the threshold of {request.retrain_threshold} h: nothing was trained",
    )


def pinned_model(path: Path, bars: Bars, settings: ModelSettings, first_decision: int) -> Model:
    """Return a pinned model, which is never retrained.

    Raises
    ------
    ModelError
        If it is missing or damaged, has another source, ticker, lookback or catalogue, or was trained on bars after
        the first decision.
    """
    model = artifact.read_after_writer(path)
    if model is None:
        raise ModelError(
            f"There is no model {path}.",
            expected="a model trained by models/app_lstm.py with the same --model, --ticker and --source.",
            remedy="train it first, or leave out --model to let the walk-forward models decide.",
        )
    card = model.card
    if card.is_earlier:
        raise ModelError(
            f"The model {path.name} is of an earlier release, which served another function than it had trained.",
            expected="a model of this release.",
            remedy="train it again with models/app_lstm.py, or leave out --model.",
        )
    for name, actual, expected in mismatches(card, bars, settings):
        if name in PINNED_PARTS:
            raise ModelError(
                f"The model {path.name} has the {name} {actual}.",
                expected=f"{name} {expected}.",
                remedy="choose another --model, or train this one again with models/app_lstm.py.",
            )
    if first_decision < card.trained_through:
        raise ModelError(
            f"The model {path.name} was trained on bars up to {to_iso(card.trained_through)}, "
            f"and the first decision is at {to_iso(first_decision)}.",
            expected="a window that begins after the model's last training bar.",
            remedy="choose fewer --hours or a later --end, or leave out --model.",
        )
    return model


def require_training_bars(model: Model, bars: Bars) -> None:
    """Raise `ModelError` if `bars` hold the last training bars of a pinned model, with other values.

    A card that is wrong about them may be wrong about what the model has seen.
    """
    if training_bars_revised(model.card, bars):
        raise ModelError(
            f"The model {model.path.name} was trained on other bars than these: its last {CHECKED_BARS} training bars, up "
            f"to {to_iso(model.card.trained_through)}, have other values now.",
            expected="the bars it was trained on, unchanged.",
            remedy="train it again with models/app_lstm.py, or leave out --model.",
        )
