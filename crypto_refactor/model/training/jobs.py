"""Training jobs: fitted, written, and guarded so that one process at a time trains a model."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout

from crypto_refactor.errors import ModelError
from crypto_refactor.market.bars import Bars
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.recipe import RECIPE, missing_to_train
from crypto_refactor.model.reuse_policy import make_card
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.parallel import TrainingObserver, fit_all
from crypto_refactor.model.training.phases import fit_name


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingJob:
    """The rows a model is trained on, and the bars they were taken from."""

    data: TrainingSet
    bars: Bars
    origin: str = ""  # the folder of the bars, for the card of a named model


def fit_and_write(
    jobs: Mapping[Path, TrainingJob],
    settings: ModelSettings,
    observer: TrainingObserver,
    *,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> Iterator[tuple[Path, Model | ModelError]]:
    """Fit one model for each path, write each as its fit ends, and yield it, or the error of its fit.

    The caller holds the locks; `workers` and `cluster` are those of `fit_all`.

    Raises
    ------
    ModelError
        If no further fit can run, for one because this machine only serves.
    """
    _require_libraries(cluster)
    paths = list(jobs)
    data = [jobs[path].data for path in paths]
    names = [fit_name(jobs[path].bars.ticker, jobs[path].data.trained_through) for path in paths]
    observer.begin(names, RECIPE.max_epochs if settings.fits_network else 0)
    try:
        for position, trained in fit_all(data, settings, observer.progress, workers=workers, cluster=cluster):
            path = paths[position]
            if isinstance(trained, ModelError):
                observer.finished(position, failed=True)
                yield path, trained
                continue
            job = jobs[path]
            card = replace(make_card(trained, job.data, job.bars, settings), origin=job.origin)
            model = artifact.write(path, card, keras=trained.keras, onnx=trained.onnx)
            observer.finished(position)
            yield path, model
    finally:
        observer.end()


def _require_libraries(cluster: Cluster | None) -> None:
    missing = missing_to_train() if cluster is None else []
    if missing:
        raise ModelError(
            f"No model fits, and none can be trained here: {', '.join(missing)} not installed.",
            expected="a model that was trained elsewhere, or what trains one.",
            remedy="train it where the package is installed with its dependencies, and share the model folder "
            f"(CRYPTO_MODEL_DIR); or `pip install {' '.join(missing)}`.",
        )


@contextmanager
def hold_lock(lock: FileLock, observer: TrainingObserver) -> Iterator[None]:
    """Hold `lock`; if another process has it, notify `observer` and wait."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        observer.note("Another process is training this model; waiting for it.")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
