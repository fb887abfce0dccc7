"""Several fits side by side: in processes of this machine, or on a Dask cluster."""

import math
import os
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from crypto_refactor.errors import ModelError
from crypto_refactor.model.artifact import TrainedModel
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.compiled_network import needs_fresh_process
from crypto_refactor.model.training.phases import Phase

_POLL_SECONDS = 0.25
_SKIPS_PER_PROCESS = 200
"""A process takes as long to start as fitting so many models without a network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A step of the fit `job`: it enters a phase, with epoch 0, or ends an epoch, from 1."""

    job: int
    phase: Phase
    epoch: int = 0
    stop_loss: float = math.nan  # data loss of the stop slice after the epoch


OnProgress = Callable[[Progress], None]


class TrainingObserver:
    """Follows training; this one ignores what it receives."""

    def begin(self, fits: Sequence[str], max_epochs: int) -> None:
        """Receive the names of the fits that begin, in their order, and the most epochs of each; 0 without a network."""

    def progress(self, progress: Progress) -> None:
        """Receive a step of a fit, maybe in another thread than the rest."""

    def finished(self, job: int, *, failed: bool = False) -> None:
        """Learn that a fit has ended: its model is kept, or it failed."""

    def end(self) -> None:
        """Learn that no fit runs any more."""

    def note(self, text: str) -> None:
        """Receive a sentence for the user."""

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Keep what moves in the terminal out of the way of something else that is printed meanwhile."""
        yield


def fit_all(
    jobs: Sequence[TrainingSet],
    settings: ModelSettings,
    on_progress: OnProgress,
    *,
    workers: int | None = None,
    cluster: Cluster | None = None,
) -> Iterator[tuple[int, TrainedModel | ModelError]]:
    """Fit one network for each training set, and yield (its position, the result) as the fits end.

    A fit that fails does not end the others: its error takes the place of its result.  `workers` processes fit side
    by side, by default one per core (a single fit, or few skips alone, need none), or as many as a `cluster` has.

    Raises
    ------
    ModelError
        If no further fit can run.
    """
    most = len(jobs) if settings.fits_network else math.ceil(len(jobs) / _SKIPS_PER_PROCESS)
    workers = min(most, workers or os.cpu_count() or 1)
    if cluster is not None:
        yield from _fit_on_cluster(cluster, jobs, settings, on_progress)
    elif workers == 1 and not needs_fresh_process():
        for position, data in enumerate(jobs):
            yield _fit_one(position, data, settings, on_progress)
    else:
        yield from _fit_in_processes(max(workers, 2), jobs, settings, on_progress)


def _fit_in_processes(
    workers: int, jobs: Sequence[TrainingSet], settings: ModelSettings, on_progress: OnProgress
) -> Iterator[tuple[int, TrainedModel | ModelError]]:
    from joblib import Parallel, delayed
    from joblib.externals.loky.process_executor import BrokenProcessPool

    # With psutil installed, loky replaces a process that has grown, and warns about it; nothing is lost.
    warnings.filterwarnings("ignore", message="A worker stopped while some jobs", category=UserWarning)
    with _relayed(on_progress) as report:
        parallel = Parallel(n_jobs=workers, backend="loky", return_as="generator_unordered")
        try:
            yield from parallel(
                delayed(_fit_one)(position, data, settings, report) for position, data in enumerate(jobs)
            )
        except OSError as error:
            raise ModelError(
                f"The fits cannot run side by side: {error.strerror or error}.",
                expected="free space and write permission in the temporary folder.",
                remedy="free space there, or set TMPDIR to another folder.",
            ) from error
        except BrokenProcessPool as error:
            raise ModelError(
                f"A process that trained a model has died: {error}",
                expected="every fit to end by itself; a fit needs about 1 GB of memory.",
                remedy="free memory and run the command again: finished models are kept.",
            ) from error


def _fit_one(
    position: int, data: TrainingSet, settings: ModelSettings, on_progress: OnProgress
) -> tuple[int, TrainedModel | ModelError]:
    from crypto_refactor.model.training.trainer import train

    def enter(phase: Phase) -> None:
        on_progress(Progress(job=position, phase=phase))

    def report(epoch: int, loss: float) -> None:
        on_progress(Progress(job=position, phase=Phase.FITTING, epoch=epoch, stop_loss=loss))

    try:
        return position, train(data, settings, report, enter)
    except ModelError as error:
        return position, error


def _fit_on_cluster(
    cluster: Cluster, jobs: Sequence[TrainingSet], settings: ModelSettings, on_progress: OnProgress
) -> Iterator[tuple[int, TrainedModel | ModelError]]:
    from crypto_refactor.model.training.dask_client import on_cluster
    from crypto_refactor.model.training.dask_worker import numeric_environment

    environment = numeric_environment()
    with _relayed(on_progress) as report:
        calls = [
            partial(_fit_beside_worker, environment, position, data, settings, report)
            for position, data in enumerate(jobs)
        ]
        yield from on_cluster(cluster, calls)


def _fit_beside_worker(
    environment: Mapping[str, str],
    position: int,
    data: TrainingSet,
    settings: ModelSettings,
    on_progress: OnProgress,
) -> tuple[int, TrainedModel | ModelError]:
    """Fit in a process beside a cluster's worker, if that gives the weights of the asking `environment`."""
    from crypto_refactor.model.training.dask_worker import require_same_environment, run_in_process

    try:
        require_same_environment(environment)
        return run_in_process(partial(_fit_one, position, data, settings, on_progress))
    except ModelError as error:
        return position, error


@dataclass(frozen=True, slots=True)
class _Append:
    """Reports progress by appending to a file: this works from any process, and no signal breaks it."""

    folder: str

    def __call__(self, progress: Progress) -> None:
        # A worker on another machine, or of another user, has no such folder: its progress shows at the end.
        if os.access(self.folder, os.W_OK | os.X_OK):
            with (Path(self.folder) / str(progress.job)).open("a", encoding="ascii") as file:
                file.write(f"{progress.phase} {progress.epoch} {progress.stop_loss!r}\n")


@contextmanager
def _relayed(on_progress: OnProgress) -> Iterator[_Append]:
    """Yield a callable for other processes that makes `on_progress` be called in this one."""
    ended = threading.Event()
    with tempfile.TemporaryDirectory(prefix="crypto-refactor-") as folder:

        def relay() -> None:
            line_counts: dict[str, int] = {}
            while not ended.wait(_POLL_SECONDS):
                _relay_new_lines(Path(folder), line_counts, on_progress)
            _relay_new_lines(Path(folder), line_counts, on_progress)

        thread = threading.Thread(target=relay, daemon=True)
        thread.start()
        try:
            yield _Append(folder)
        finally:
            ended.set()
            thread.join()


def _relay_new_lines(folder: Path, line_counts: dict[str, int], on_progress: OnProgress) -> None:
    for file in sorted(folder.iterdir()):
        # The last piece is empty, or a line that is still being written.
        lines = file.read_text(encoding="ascii").split("\n")[:-1]
        for line in lines[line_counts.get(file.name, 0) :]:
            phase, epoch, loss = line.split()
            on_progress(
                Progress(job=int(file.name), phase=Phase(phase), epoch=int(epoch), stop_loss=float(loss))
            )
        line_counts[file.name] = len(lines)
