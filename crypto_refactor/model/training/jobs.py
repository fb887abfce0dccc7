"""What the named models and the cache share: one trainer at a time, and files that are whole or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from crypto_refactor.errors import ModelError
from crypto_refactor.market.bars import Bars
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import DamagedModelError, Model
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.recipe import RECIPE
from crypto_refactor.model.reuse_policy import make_card
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.parallel import Cluster, TrainingObserver, fit_all


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingJob:
    """What a model is to learn, and the bars it was taken from."""

    data: TrainingSet
    bars: Bars


def fit_and_write(
    jobs: Mapping[Path, TrainingJob],
    settings: ModelSettings,
    observer: TrainingObserver,
    *,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> Iterator[tuple[Path, Model | ModelError]]:
    """Fit one model for each path, write each as it is done, and yield it, or why its fit failed.

    Locks are the caller's business, and `workers` and `cluster` are those of `fit_all`.
    """
    paths = list(jobs)
    observer.begin(len(paths), RECIPE.max_epochs)
    try:
        lessons = [jobs[path].data for path in paths]
        fits = fit_all(lessons, settings, observer.progress, workers=workers, cluster=cluster)
        for position, trained in fits:
            path = paths[position]
            observer.finished(position)
            if isinstance(trained, ModelError):
                yield path, trained
                continue
            card = make_card(trained, jobs[path].data, jobs[path].bars, settings)
            yield path, artifact.write(path, card, keras=trained.keras, onnx=trained.onnx)
    finally:
        observer.end()


@contextmanager
def hold_lock(lock: FileLock, observer: TrainingObserver) -> Iterator[None]:
    """Hold `lock`, telling `observer` where another process has it."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        observer.note("Another process is training this model; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def read_if_valid(path: Path) -> Model | None:
    """Read the model at `path`; None where there is none or it is damaged."""
    try:
        return artifact.read(path)
    except DamagedModelError:
        return None


def quarantine_damaged(path: Path) -> None:
    """Set a damaged model aside; only under its lock, because a model being written looks damaged too."""
    if read_if_valid(path) is None:
        artifact.quarantine(path)


def read_after_writer(path: Path) -> Model | None:
    """Read the model at `path`; where it looks damaged, wait for whoever may be writing it and look again.

    Raises
    ------
    DamagedModelError
        If it is damaged although nobody is writing it.
    """
    try:
        return artifact.read(path)
    except DamagedModelError:
        with artifact.lock(path):
            return artifact.read(path)
