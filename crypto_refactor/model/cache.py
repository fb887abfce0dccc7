"""The cache of walk-forward models: one folder per key, least recently used first to go."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from crypto_refactor.market.bars import Bars
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.shelf import fit_and_write, held, set_aside_damaged, whole
from crypto_refactor.model.watch import TrainingWatch
from crypto_refactor.model.windows import TrainingSet

CACHE_BYTES = 2 * 10**9


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
    found = {key: whole(path) for key, path in paths.items()}
    missing = sorted(key for key, model in found.items() if model is None)
    trained = 0
    if missing:
        with ExitStack() as locks:
            # One order everywhere: two processes that want the same models never wait for each other.
            for key in missing:
                locks.enter_context(held(_lock(folder, key), watch))
            for key in missing:
                set_aside_damaged(paths[key])
            found |= {key: whole(paths[key]) for key in missing}
            jobs = {paths[key]: wanted[key] for key in wanted if found[key] is None}
            fitted = fit_and_write(jobs, bars, settings, watch) if jobs else {}
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
