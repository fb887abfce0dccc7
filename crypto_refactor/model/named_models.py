"""The named models of app_lstm: those of the default name are kept by their options, so that no try replaces another."""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import Card, DamagedModelError, Model
from crypto_refactor.model.dataset import CHECKED_BARS, TrainingSet
from crypto_refactor.model.reuse_policy import (
    ModelRequest,
    mismatches,
    other_options,
    retrain_reason,
    serves,
    training_bars_revised,
)
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.jobs import TrainingJob, fit_and_write, hold_lock
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.plugins import plugin_hashes

DEFAULT_MODEL_NAME = "lstm_v2"
DEFAULT_HOURS = 240
"""Labelled rows that app_lstm trains on."""
PINNED_PARTS = ("source", "ticker", "timeframe", "horizon", "lookback", "plug-ins", "catalogue")
"""What must match for a pinned model, which brings its own network, recipe and seed."""
_PAST = "_past"
"""End of the name of a model that an earlier hour was asked about; the next one like it takes its place."""
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.-]+")
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
    """The model that decides, and its name.

    `decision` is ``trained``, ``retrained`` or ``reused``, and `reason` says why; `exact` says that the same request gives
    this very model again, whatever is trained in the meantime.
    """

    model: Model
    name: str
    decision: str
    reason: str
    exact: bool


def load_or_train(
    folder: Path,
    name: str,
    bars: Bars,
    request: ModelRequest,
    collect: Callable[[], TrainingSet],
    observer: TrainingObserver,
) -> ModelChoice:
    """Return the named model that the request asks for, trained first if there is none that fits.

    Models of `DEFAULT_MODEL_NAME` are kept by their options (see `_place`).  Under any other name there is one, which only
    ``--retrain`` replaces by one of other options.  `bars` are the real ones up to now; `collect` returns the training set,
    if one is needed.

    Raises
    ------
    ModelError
        If training fails, the folder cannot be written, or the name holds a model of other options; the existing model
        stays.
    """
    path = _place(folder, name, bars, request)
    choice = _reuse(path, bars, request)
    while not isinstance(choice, ModelChoice):
        with hold_lock(artifact.lock(path), observer):
            # Another process may have trained it in the meantime, or another one in its place.
            place = _place(folder, name, bars, request)
            choice = _reuse(place, bars, request)
            if place == path and not isinstance(choice, ModelChoice):
                decision, reason = choice
                reason += _make_way(path, name, bars, request, observer)
                model = _train(
                    path, TrainingJob(data=collect(), bars=bars, origin=request.origin), request, observer
                )
                return ModelChoice(
                    model=model, name=_name_of(path, bars), decision=decision, reason=reason, exact=True
                )
            path = place
    return choice


def _train(path: Path, job: TrainingJob, request: ModelRequest, observer: TrainingObserver) -> Model:
    ((_, model),) = fit_and_write({path: job}, request.settings, observer)
    if isinstance(model, ModelError):
        raise model
    return model


def _place(folder: Path, name: str, bars: Bars, request: ModelRequest) -> Path:
    """Return where the model of a request lies, or is to be trained.

    That of the default options has the default name; so has the first model of a ticker, until one of the default options
    is asked for.  All others carry what sets them apart: their options; the source or folder of their bars, where another
    one came first; and ``past``, where an earlier hour is asked about than the model at hand was trained through.
    """

    def path(own: str) -> Path:
        return model_path(folder, bars.ticker, own, simulated=bars.simulated)

    if name != DEFAULT_MODEL_NAME:
        return path(name)
    settings = request.settings
    own = name + _options_suffix(settings, request.rows, plugin_hashes(settings.plugins))
    cards = {each: card for each in (own, name) if (card := _card(path(each))) is not None}
    fitting = [each for each, card in cards.items() if serves(card, bars, request)]
    chosen = fitting[0] if fitting else own if name in cards else name
    if not fitting and own in cards and _is_from_elsewhere(cards[own], bars, request):
        chosen = own = own + _origin_suffix(bars.source, request.origin)
    card = _card(path(chosen))
    if card is not None and card.trained_through > int(bars.closed[-1]) and serves(card, bars, request):
        chosen = f"{own}{_PAST}"
    return path(chosen)


def _card(path: Path) -> Card | None:
    """Return the card of a model of this release; None where there is none, or an unreadable one."""
    try:
        card = Card.from_json(artifact.files_of(path)[-1].read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return None if card.is_earlier else card


def _is_from_elsewhere(card: Card, bars: Bars, request: ModelRequest) -> bool:
    return any(name in {"source", "data-dir"} for name, _, _ in other_options(card, bars, request))


def options_of(options: ModelSettings | Card, rows: int, plugins: Iterable[str]) -> list[tuple[str, str]]:
    """Return what sets the options of a model apart from the default ones: names, empty where the value tells, and values."""
    default = ModelSettings()
    parts = [
        (options.lookback != default.lookback, "lookback", str(options.lookback)),
        (rows != DEFAULT_HOURS, "hours", str(rows)),
        (options.network != default.network, "", options.network),
        (options.residual != default.residual, "residual", options.residual),
        (options.seed != default.seed, "seed", str(options.seed)),
        *((True, "", name) for name in sorted(plugins)),
    ]
    return [(name, value) for differs, name, value in parts if differs]


def _options_suffix(options: ModelSettings | Card, rows: int, plugins: Iterable[str]) -> str:
    """Return what sets options apart from the default ones, such as ``_lookback-168_small``."""
    named = options_of(options, rows, plugins)
    return _suffix([f"{name}-{value}" if name else value for name, value in named], 45)


def _origin_suffix(source: str, folder: str) -> str:
    """Return what sets bars apart from those of another source or folder, such as ``_files-hourly-3fa9``."""
    if not folder:
        return _suffix([source], 25)
    return _suffix([f"{source}-{Path(folder).name[:10]}-{_digest(folder)[:4]}"], 25)


def _suffix(parts: Iterable[str], longest: int) -> str:
    """Return parts as the end of a model's name; a digest takes the place of what is too long for one."""
    text = "".join(f"_{_NOT_IN_NAMES.sub('-', part)}" for part in parts)
    return text if len(text) <= longest else f"{text[:longest]}-{_digest(text)[:8]}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _make_way(path: Path, name: str, bars: Bars, request: ModelRequest, observer: TrainingObserver) -> str:
    """Keep what lies where a model is to be trained, or refuse to train there; the caller holds its lock.

    Returns what happened to it, as the end of a sentence.

    Raises
    ------
    ModelError
        If it is a model of other options, under a name that was given for it.
    """
    artifact.quarantine_damaged(path)
    model = artifact.read(path)
    if model is None or model.card.is_earlier:
        return ""
    others = other_options(model.card, bars, request)
    if name == DEFAULT_MODEL_NAME:
        apart = others and not path.stem.endswith(_PAST)
        return _keep_apart(model, bars.ticker.slug, bars, observer) if apart else ""
    through = model.card.trained_through
    if not request.retrain and (others or through > int(bars.closed[-1])):
        differing = [
            f"--{option} {actual or 'none'}, not {expected or 'none'}" for option, actual, expected in others
        ]
        raise ModelError(
            f"The model {path.name} was trained with {'; '.join(differing) or f'later bars, through {to_iso(through)}'}.",
            expected="a model of the options and hour asked for, or none of this name: it is not overwritten.",
            remedy="choose another --model, ask with the options of this one, or replace it with --retrain.",
        )
    return ""


def _keep_apart(model: Model, slug: str, bars: Bars, observer: TrainingObserver) -> str:
    """Keep a model that has the default name, and other options, under the name of its own; return what is said of it."""
    card = model.card
    own = DEFAULT_MODEL_NAME + _options_suffix(card, card.rows, card.plugins)
    there = _card(model.path.with_name(f"{slug}_{own}.keras"))
    taken = there is not None and (there.source, there.origin) != (card.source, card.origin)
    if card.source != bars.source or taken:
        own += _origin_suffix(card.source, card.origin)
    path = model.path.with_name(f"{slug}_{own}.keras")
    if path == model.path:
        return ""
    with hold_lock(artifact.lock(path), observer):
        if path.exists():
            return ""
        with artifact.model_folder_errors(path.parent):
            keras = model.path.read_bytes()
        artifact.write(path, card, keras=keras, onnx=model.onnx)
    return f"; that one is kept as {path.name}"


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
        name=_name_of(path, bars),
        decision="reused",
        reason=f"trained {age:,} h ago; retrained after {request.retrain_threshold} h",
        exact=not age and not other_options(model.card, bars, request),
    )


def _name_of(path: Path, bars: Bars) -> str:
    return path.stem.removeprefix(f"{bars.ticker.slug}_")


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
            expected="a model trained by `signal` (models/app_lstm.py) with the same --model, --ticker and --source.",
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
