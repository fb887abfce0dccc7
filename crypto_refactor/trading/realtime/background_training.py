"""Training beside the deciding process, so that no hour waits for a model."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.model.cache import get, get_models
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.dask_cluster import Cluster
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.model.training.observer import SilentObserver

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

_AGAIN_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _RunningFit:
    process: SpawnProcess
    said: Connection

    def close(self) -> None:
        """Wait for its end, and let go of what belongs to it."""
        self.process.join()
        self.process.close()
        self.said.close()


class BackgroundTrainer:
    """Fits models into the cache, each in a process of its own that ends with this one.

    Threads may share an object.

    Parameters
    ----------
    folder : Path
        The model folder.
    settings : ModelSettings
        Shared by all.
    workers : int
        Processes at the same time.
    cluster : Cluster or None
        Where these processes have the models trained; None to fit themselves.
    monotonic : callable
        Returns seconds that never run backwards.
    """

    def __init__(
        self,
        folder: Path,
        settings: ModelSettings,
        *,
        workers: int,
        cluster: Cluster | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._settings = settings
        self._workers = workers
        self._cluster = cluster
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._queued: dict[str, TrainingJob] = {}
        self._running: dict[str, _RunningFit] = {}
        self._failed: dict[str, tuple[float, str]] = {}

    def begin(self, key: str, lesson: TrainingJob) -> None:
        """See to it that the model `key` is trained; one that failed is tried again after ten minutes."""
        with self._lock:
            self._reap()
            failed = self._failed.get(key)
            resting = failed is not None and self._monotonic() - failed[0] < _AGAIN_SECONDS
            if key not in self._running and not resting and get(self._folder, key) is None:
                self._queued[key] = lesson
            self._start()

    def failure(self, key: str) -> str | None:
        """Return why the last attempt at `key` failed, None where it did not."""
        with self._lock:
            self._reap()
            self._start()
            failed = self._failed.get(key)
        return None if failed is None else failed[1]

    def stop(self) -> None:
        """End every fit; what was not finished is as if it had never begun."""
        with self._lock:
            self._queued.clear()
            for running in self._running.values():
                running.process.kill()
            for running in self._running.values():
                running.close()
            self._running.clear()

    def _start(self) -> None:
        while self._queued and len(self._running) < self._workers:
            key = next(iter(self._queued))
            lesson = self._queued.pop(key)
            try:
                self._running[key] = _started(self._folder, key, lesson, self._settings, self._cluster)
            except OSError as error:
                self._failed[key] = (
                    self._monotonic(),
                    f"no process could be started: {error.strerror or error}",
                )

    def _reap(self) -> None:
        for key, running in list(self._running.items()):
            if running.process.is_alive():
                continue
            del self._running[key]
            self._failed.pop(key, None)
            code = running.process.exitcode
            if code != 0:
                said = _error_text(running.said) or f"its process ended with {code}"
                self._failed[key] = self._monotonic(), said
            running.close()


def _started(
    folder: Path, key: str, lesson: TrainingJob, settings: ModelSettings, cluster: Cluster | None
) -> _RunningFit:
    context = get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_fit, args=(folder, key, lesson, settings, cluster, there), daemon=True)
    try:
        process.start()
    except OSError:
        here.close()
        raise
    finally:
        there.close()
    return _RunningFit(process, here)


def _error_text(connection: Connection) -> str | None:
    try:
        return str(connection.recv()) if connection.poll() else None
    except EOFError:
        return None


def _fit(
    folder: Path, key: str, lesson: TrainingJob, settings: ModelSettings, cluster: Cluster | None, said: Any
) -> None:
    """Fit one model, or have it fitted, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        get_models(folder, {key: lesson}, settings, SilentObserver(), cluster=cluster)
    except CryptoRefactorError as error:
        said.send(error.what)
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    """End this process at once where the parent was killed and could not do it."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
