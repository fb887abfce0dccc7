"""The cached walk-forward models: one folder per key, the least recently used pruned first."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from crypto_refactor.errors import ModelError
from crypto_refactor.market.bars import Bars
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.named_models import model_path, pinned_model
from crypto_refactor.model.recipe import missing_to_train
from crypto_refactor.model.schedule import RefitPeriod, model_key, training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.jobs import TrainingJob, fit_and_write, hold_lock
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.storage.private import create_file

CACHE_BYTES = 2 * 10**9
_LEDGERS = "ledgers"
"""File in a cache entry that lists the ledgers with decisions of its model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedModel:
    """A model or the error in its place, and whether it was trained for this request."""

    key: str
    model: Model | ModelError
    trained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelProvider:
    """The models of one folder and one set of settings: cached ones, or trained where they are missing."""

    folder: Path  # the model folder; the cache lies in ``cache/<key>/`` below it
    settings: ModelSettings
    observer: TrainingObserver = field(default_factory=TrainingObserver)  # receives training progress
    cluster: Cluster | None = None  # trains the models; None for this machine

    def job(self, bars: Bars, period: RefitPeriod) -> tuple[str, TrainingJob]:
        """Return the cache key of the model of `period`, and how to train it; a `DataError` if rows are too few."""
        data = training_rows(period, self.settings)
        return self.key(bars, data), TrainingJob(data=data, bars=bars)

    def key(self, bars: Bars, data: TrainingSet) -> str:
        """Return the cache key of the model that these rows give."""
        versions = _trained_with(self.folder) if missing_to_train() else None
        return model_key(bars, data, self.settings, versions=versions)

    def get(self, key: str) -> Model | None:
        """Return the cached model `key` and mark it as just used; None if there is none, or its files or card are wrong."""
        model = artifact.read_if_valid(cache_path(self.folder, key), key)
        if model is not None:
            _touch(model.path)
        return model

    def get_or_train(self, key: str, job: TrainingJob) -> Model:
        """Return the model `key`, trained if the cache lacks it.

        Raises
        ------
        ModelError
            If it cannot be trained.
        """
        (cached,) = self.get_or_train_all({key: job})
        if isinstance(cached.model, ModelError):
            raise cached.model
        return cached.model

    def get_or_train_all(
        self, jobs: Mapping[str, TrainingJob], *, workers: int | None = None
    ) -> Iterator[CachedModel]:
        """Yield the model of each key as soon as it is available: cached ones first, then the trained ones.

        `workers` fits run side by side on this machine, by default one per core.

        Raises
        ------
        ModelError
            If no further model can be trained; those that have been yielded are saved.
        """
        missing = []
        for key in jobs:
            model = self.get(key)
            if model is None:
                missing.append(key)
            else:
                yield CachedModel(key=key, model=model, trained=False)
        if missing:
            yield from self._train({key: jobs[key] for key in missing}, workers)
            prune_cache(self.folder, CACHE_BYTES, keep=set(jobs))

    def _train(self, jobs: Mapping[str, TrainingJob], workers: int | None) -> Iterator[CachedModel]:
        """Train under locks, except what another process has trained in the meantime."""
        with ExitStack() as locks:
            # Sorted: two processes that need the same models never wait for each other.
            for key in sorted(jobs):
                locks.enter_context(hold_lock(_lock(self.folder, key), self.observer))
            missing: dict[Path, str] = {}
            for key in jobs:
                path = cache_path(self.folder, key)
                damage = artifact.quarantine_damaged(path, key)
                if damage is not None:
                    self.observer.note(f"{damage.what} It is kept as .damaged and trained again.")
                model = self.get(key)
                if model is None:
                    missing[path] = key
                else:
                    yield CachedModel(key=key, model=model, trained=False)
            if missing:
                to_train = {path: jobs[key] for path, key in missing.items()}
                for path, model_or_error in fit_and_write(
                    to_train, self.settings, self.observer, workers=workers, cluster=self.cluster
                ):
                    yield CachedModel(key=missing[path], model=model_or_error, trained=True)

    def pinned(self, name: str, bars: Bars, first_decision: int) -> Model:
        """Return the named model `name`, checked as `pinned_model` does."""
        path = model_path(self.folder, bars.ticker, name, simulated=bars.simulated)
        return pinned_model(path, bars, self.settings, first_decision)

    def keep_for_ledger(self, key: str, ledger: Path) -> None:
        """Note that `ledger` has decisions of the model `key`: it is not pruned while that file exists."""
        path, ledger = cache_path(self.folder, key).parent / _LEDGERS, ledger.resolve()
        if str(ledger) in _ledgers(path.parent):
            return
        with artifact.model_folder_errors(path):
            create_file(path)
            with path.open("a", encoding="utf-8") as file:
                file.write(f"{ledger}\n")


def _trained_with(folder: Path) -> dict[str, str] | None:
    """Return the versions that trained the newest model of the cache, for a machine that cannot train.

    The models it serves come from another one, whose libraries are part of their keys.
    """
    files = ((path.stat().st_mtime, path) for path in (folder / "cache").glob("*/model.keras"))
    for _, path in sorted(files, reverse=True):
        model = artifact.read_if_valid(path, path.parent.name)
        if model is not None:
            return model.card.versions
    return None


def cache_path(folder: Path, key: str) -> Path:
    """Return where the ``.keras`` file of a cached model lies."""
    return folder / "cache" / key / "model.keras"


def is_in_ledger(entry: Path) -> bool:
    """Whether an existing ledger has decisions of the model in the folder `entry`."""
    return any(Path(ledger).is_file() for ledger in _ledgers(entry))


def _ledgers(entry: Path) -> list[str]:
    path = entry / _LEDGERS
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def _lock(folder: Path, key: str) -> FileLock:
    # Beside the entry, not in it: a waiting process must not end up with a removed lock file.
    return artifact.lock(folder / "cache" / key)


def _touch(path: Path) -> None:
    """Mark a model as just used; a read-only cache keeps no order of use."""
    card = artifact.files_of(path)[-1]
    if os.access(card, os.W_OK):
        os.utime(card)


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One folder of the cache; `size` in bytes, `used_at` in seconds since 1970."""

    key: str
    folder: Path
    size: int
    used_at: float

    @property
    def in_ledger(self) -> bool:
        """Whether an existing ledger has decisions of this model."""
        return is_in_ledger(self.folder)


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
    """Remove the least recently used entries until the cache fits `max_bytes`, and return them.

    Entries in `keep`, in a ledger or in training by another process stay.
    """
    entries = cache_entries(folder)
    total = sum(entry.size for entry in entries)
    removed = []
    for entry in entries:
        if total <= max_bytes:
            break
        if entry.key in keep or entry.in_ledger or not _remove(entry):
            continue
        total -= entry.size
        removed.append(entry)
    return removed


def _remove(entry: CacheEntry) -> bool:
    lock = _lock(entry.folder.parent.parent, entry.key)
    try:
        with lock.acquire(timeout=0), artifact.model_folder_errors(entry.folder):
            # The card goes first: after a crash the rest counts as a missing model.
            for file in sorted(entry.folder.iterdir(), key=lambda file: file.suffix != ".json"):
                file.unlink()
            entry.folder.rmdir()
    except Timeout:
        return False
    return True
