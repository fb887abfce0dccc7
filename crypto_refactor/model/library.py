"""The models on disk: one file per ticker for app_lstm, and the cache that backtests and trading use."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.features.catalogue import catalogue_hash
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import DamagedModelError, Model
from crypto_refactor.model.cards import Wish, make_card, why_train
from crypto_refactor.model.fitting import Progress, fit_all
from crypto_refactor.model.settings import RECIPE, ModelSettings
from crypto_refactor.model.windows import TrainingSet

DEFAULT_MODEL_NAME = "lstm_v2"
CACHE_BYTES = 2 * 10**9
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")


class TrainingWatch(Protocol):
    """Whoever wants to follow training."""

    def begin(self, jobs: int, max_epochs: int) -> None:
        """Say that `jobs` fits begin."""

    def progress(self, progress: Progress) -> None:
        """Report a finished epoch."""

    def finished(self, job: int) -> None:
        """Report a finished fit."""

    def end(self) -> None:
        """Say that no fit runs any more, whether all went well or not."""

    def note(self, text: str) -> None:
        """Pass on a sentence for the user."""


class Unwatched:
    """Nobody follows."""

    def begin(self, jobs: int, max_epochs: int) -> None:
        """Ignore it."""

    def progress(self, progress: Progress) -> None:
        """Ignore it."""

    def finished(self, job: int) -> None:
        """Ignore it."""

    def end(self) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""


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
class Answer:
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


def smart_model(
    path: Path, bars: Bars, wish: Wish, collect: Callable[[], TrainingSet], watch: TrainingWatch
) -> Answer:
    """Return the model at `path`, trained first where it does not fit what is asked for.

    Parameters
    ----------
    path : Path
        The ``.keras`` file.
    bars : Bars
        Real bars up to now.
    wish : Wish
        What is asked for.
    collect : callable
        Returns the training set; called only where a model is trained.
    watch : TrainingWatch
        Told about progress.

    Raises
    ------
    ModelError
        If training fails or the folder cannot be written; the model at hand stays.
    """
    answer = _reusable(path, bars, wish)
    if isinstance(answer, Answer):
        return answer
    with _held(artifact.lock(path), watch):
        # Another process may have trained it while this one waited.
        answer = _reusable(path, bars, wish)
        if isinstance(answer, Answer):
            return answer
        _set_aside_damaged(path)
        decision, reason = answer
        data = collect()
        ((_, model),) = _fit_and_write({path: data}, bars, wish.settings, watch).items()
    return Answer(model=model, decision=decision, reason=reason)


def _reusable(path: Path, bars: Bars, wish: Wish) -> Answer | tuple[str, str]:
    try:
        model = artifact.read(path)
    except DamagedModelError as error:
        return "trained", f"{error.what} It was set aside as .damaged"
    if model is None:
        return "trained", f"there was no model {path.name} yet"
    must = why_train(model.card, bars, wish)
    if must is not None:
        return must
    age = int(bars.closed[-1]) - model.card.trained_through
    return Answer(
        model=model,
        decision="reused",
        reason=f"it is {age} h old, within the threshold of {wish.retrain_threshold} h: nothing was trained",
    )


def _fit_and_write(
    jobs: Mapping[Path, TrainingSet], bars: Bars, settings: ModelSettings, watch: TrainingWatch
) -> dict[Path, Model]:
    paths = list(jobs)
    models = {}
    watch.begin(len(paths), RECIPE.max_epochs)
    try:
        for position, trained in fit_all([jobs[path] for path in paths], settings, watch.progress):
            path = paths[position]
            card = make_card(trained, jobs[path], bars, settings)
            models[path] = artifact.write(path, card, keras=trained.keras, onnx=trained.onnx)
            watch.finished(position)
    finally:
        watch.end()
    return models


@contextmanager
def _held(lock: FileLock, watch: TrainingWatch) -> Iterator[None]:
    try:
        lock.acquire(timeout=0)
    except Timeout:
        watch.note("Another process is training this model; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedModels:
    """The models of a walk-forward run, in the order asked for, and how many had to be trained."""

    models: tuple[Model, ...]
    trained: int


def cached_models(
    folder: Path,
    wanted: Mapping[str, TrainingSet],
    bars: Bars,
    settings: ModelSettings,
    watch: TrainingWatch,
) -> CachedModels:
    """Return one model for each key of `wanted`, training side by side those the cache lacks.

    Parameters
    ----------
    folder : Path
        The model folder; the cache lies in ``cache/<key>/`` below it.
    wanted : mapping of str to TrainingSet
        Keys from `selection.model_key`.
    bars : Bars
        Where the training sets came from.
    settings : ModelSettings
        Shared by all.
    watch : TrainingWatch
        Told about progress.
    """
    paths = {key: cache_path(folder, key) for key in wanted}
    found = {key: _whole(path) for key, path in paths.items()}
    missing = sorted(key for key, model in found.items() if model is None)
    trained = 0
    if missing:
        with ExitStack() as held:
            # One order everywhere: two processes that want the same models never wait for each other.
            for key in missing:
                held.enter_context(_held(artifact.lock(paths[key]), watch))
            for key in missing:
                _set_aside_damaged(paths[key])
            found |= {key: _whole(paths[key]) for key in missing}
            jobs = {paths[key]: wanted[key] for key in wanted if found[key] is None}
            fitted = _fit_and_write(jobs, bars, settings, watch) if jobs else {}
            found |= {key: fitted[paths[key]] for key in wanted if paths[key] in fitted}
            trained = len(jobs)
        prune_cache(folder, CACHE_BYTES, keep=set(wanted))
    models = tuple(model for model in (found[key] for key in wanted) if model is not None)
    for model in models:
        _touch(model.path)
    return CachedModels(models=models, trained=trained)


def cache_path(folder: Path, key: str) -> Path:
    """Return where the ``.keras`` file of a cached model lies."""
    return folder / "cache" / key / "model.keras"


def _whole(path: Path) -> Model | None:
    try:
        return artifact.read(path)
    except DamagedModelError:
        return None


def _set_aside_damaged(path: Path) -> None:
    """Set a damaged model aside; only under its lock, because a model being written looks damaged too."""
    if _whole(path) is None:
        artifact.set_aside(path)


def _touch(path: Path) -> None:
    """Mark a model as just used; on a read-only cache the order of use is simply not kept."""
    card = artifact.files_of(path)[-1]
    if os.access(card, os.W_OK):
        os.utime(card)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One folder of the cache: its key, its size in bytes and when it was last used (seconds)."""

    key: str
    folder: Path
    size: int
    used_at: float


def cache_entries(folder: Path) -> list[CacheEntry]:
    """Return the cache's entries, least recently used first."""
    entries = []
    cache = folder / "cache"
    for path in cache.iterdir() if cache.is_dir() else ():
        files = [file.stat() for file in path.iterdir()] if path.is_dir() else []
        if files:
            used = max(file.st_mtime for file in files)
            entries.append(
                CacheEntry(key=path.name, folder=path, size=sum(file.st_size for file in files), used_at=used)
            )
    return sorted(entries, key=lambda entry: (entry.used_at, entry.key))


def prune_cache(folder: Path, max_bytes: int, *, keep: set[str]) -> list[CacheEntry]:
    """Remove the least recently used entries until the cache fits `max_bytes`; those in `keep` stay.

    An entry that another process is training is left alone.
    """
    entries = cache_entries(folder)
    total = sum(entry.size for entry in entries)
    removed = []
    for entry in entries:
        if total <= max_bytes:
            break
        if entry.key in keep or not _remove(entry):
            continue
        total -= entry.size
        removed.append(entry)
    return removed


def _remove(entry: CacheEntry) -> bool:
    lock = artifact.lock(entry.folder / "model.keras")
    try:
        with lock.acquire(timeout=0), artifact.model_folder_errors(entry.folder):
            # The card goes first: whatever is left after a crash is a missing model.
            for file in sorted(entry.folder.iterdir(), key=lambda file: file.suffix != ".json"):
                file.unlink()
            entry.folder.rmdir()
    except Timeout:
        return False
    return True


def pinned_model(path: Path, bars: Bars, settings: ModelSettings, first_decision: int) -> Model:
    """Return a frozen model, which is never retrained.

    Raises
    ------
    ModelError
        If it is missing, damaged, of another source, ticker, lookback or catalogue, or has seen bars
        that it would have to decide on.
    """
    model = artifact.read(path)
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
