"""The cache of walk-forward models: one folder per key, least recently used first to go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from crypto_refactor.errors import ModelError
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.jobs import (
    TrainingJob,
    fit_and_write,
    hold_lock,
    quarantine_damaged,
    read_if_valid,
)
from crypto_refactor.model.training.observer import TrainingObserver
from crypto_refactor.model.training.parallel import Cluster

CACHE_BYTES = 2 * 10**9
_LEDGERS = "ledgers"
"""File in an entry that lists the ledgers whose decisions it made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedModels:
    """The models of a walk-forward run, in the order asked for, and how many had to be trained."""

    models: tuple[Model, ...]
    trained: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedModel:
    """One model that is at hand now, or the error in its place, and whether it was trained for this."""

    key: str
    model: Model | ModelError
    trained: bool


def get_models(
    folder: Path,
    wanted: Mapping[str, TrainingJob],
    settings: ModelSettings,
    watch: TrainingObserver,
    *,
    cluster: Cluster | None = None,
) -> CachedModels:
    """Return one model for each key of `wanted`, training side by side those the cache lacks.

    Parameters
    ----------
    folder : Path
        The model folder; the cache lies in ``cache/<key>/`` below it.
    wanted : mapping of str to TrainingJob
        Keys from `selection.model_key`.
    settings : ModelSettings
        Shared by all.
    watch : TrainingObserver
        Told about progress.
    cluster : Cluster, optional
        Where models are trained; by default on this machine.

    Raises
    ------
    ModelError
        If a model cannot be trained; the others are kept.
    """
    found = {each.key: each for each in get_or_train(folder, wanted, settings, watch, cluster=cluster)}
    models = []
    for key in wanted:
        model = found[key].model
        if isinstance(model, ModelError):
            raise model
        models.append(model)
    return CachedModels(models=tuple(models), trained=sum(each.trained for each in found.values()))


def get_or_train(
    folder: Path,
    wanted: Mapping[str, TrainingJob],
    settings: ModelSettings,
    watch: TrainingObserver,
    *,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> Iterator[CachedModel]:
    """Yield the model of each key of `wanted` as soon as it is at hand: first those that are, then the rest.

    Parameters are those of `get_models`; `workers` bounds how many fits run side by side, by default one
    per core, and means nothing where a `cluster` trains.
    """
    missing = []
    for key in wanted:
        model = get(folder, key)
        if model is None:
            missing.append(key)
        else:
            yield CachedModel(key=key, model=model, trained=False)
    if not missing:
        return
    with ExitStack() as locks:
        # One order everywhere: two processes that want the same models never wait for each other.
        for key in sorted(missing):
            locks.enter_context(hold_lock(_lock(folder, key), watch))
        jobs: dict[Path, str] = {}
        for key in missing:
            quarantine_damaged(cache_path(folder, key))
            model = get(folder, key)
            if model is None:
                jobs[cache_path(folder, key)] = key
            else:
                yield CachedModel(key=key, model=model, trained=False)
        lessons = {path: wanted[key] for path, key in jobs.items()}
        if lessons:
            for path, fitted in fit_and_write(lessons, settings, watch, workers=workers, cluster=cluster):
                yield CachedModel(key=jobs[path], model=fitted, trained=True)
    prune_cache(folder, CACHE_BYTES, keep=set(wanted))


def get(folder: Path, key: str) -> Model | None:
    """Return the cached model `key` and mark it as just used; None where there is none that is whole."""
    model = read_if_valid(cache_path(folder, key))
    if model is not None:
        _touch(model.path)
    return model


def cache_path(folder: Path, key: str) -> Path:
    """Return where the ``.keras`` file of a cached model lies."""
    return folder / "cache" / key / "model.keras"


def pin_for_ledger(folder: Path, key: str, ledger: Path) -> None:
    """Note that `ledger` names the cached model `key`: it is not pruned while that file exists.

    Raises
    ------
    ModelError
        If the cache cannot be written.
    """
    path, ledger = cache_path(folder, key).parent / _LEDGERS, ledger.resolve()
    if str(ledger) in _named_by(path.parent):
        return
    with artifact.model_folder_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(f"{ledger}\n")


def in_a_ledger(entry: Path) -> bool:
    """Whether a ledger that still exists names the model in the folder `entry`."""
    return any(Path(ledger).is_file() for ledger in _named_by(entry))


def _named_by(entry: Path) -> list[str]:
    path = entry / _LEDGERS
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _lock(folder: Path, key: str) -> FileLock:
    # Beside the entry, not in it: whoever waits for it must not be left with a lock that was removed.
    return artifact.lock(folder / "cache" / key)


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

    @property
    def named(self) -> bool:
        """Whether a ledger that still exists names this model."""
        return in_a_ledger(self.folder)


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

    An entry that another process is training is left alone, and so is one that a ledger names.
    """
    entries = cache_entries(folder)
    total = sum(entry.size for entry in entries)
    removed = []
    for entry in entries:
        if total <= max_bytes:
            break
        if entry.key in keep or entry.named or not _remove(entry):
            continue
        total -= entry.size
        removed.append(entry)
    return removed


def _remove(entry: CacheEntry) -> bool:
    lock = _lock(entry.folder.parent.parent, entry.key)
    try:
        with lock.acquire(timeout=0), artifact.model_folder_errors(entry.folder):
            # The card goes first: whatever is left after a crash is a missing model.
            for file in sorted(entry.folder.iterdir(), key=lambda file: file.suffix != ".json"):
                file.unlink()
            entry.folder.rmdir()
    except Timeout:
        return False
    return True
