"""Train beside the deciding process, so that no hour waits for a model.

Each fit has a process of its own.  A `ProcessPoolExecutor` would fail every fit when one is killed, cannot be stopped
in the middle of a fit, and outlives a parent that was killed.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.trading.interrupts import deferred_interrupts

_RETRY_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class _RunningFit:
    process: SpawnProcess
    pipe: Connection

    def close(self) -> None:
        """Wait for its end, and release its resources."""
        self.process.join()
        self.process.close()
        self.pipe.close()


class BackgroundTrainer:
    """Fits models into the cache, `workers` at a time, in processes that end with this one; thread-safe.

    With a cluster these processes have their models trained there.
    """

    def __init__(
        self,
        models: ModelProvider,
        *,
        workers: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = replace(models, observer=TrainingObserver())
        self._workers = workers
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._queued: dict[str, TrainingJob] = {}
        self._running: dict[str, _RunningFit] = {}
        self._failed: dict[str, tuple[float, str]] = {}

    def begin(self, key: str, job: TrainingJob) -> None:
        """Make sure that the model `key` gets trained; a failed fit is retried after ten minutes."""
        with self._lock:
            self._collect_finished()
            failed_at, _ = self._failed.get(key, (None, ""))
            resting = failed_at is not None and self._monotonic() - failed_at < _RETRY_SECONDS
            if key not in self._running and not resting and self._models.get(key) is None:
                self._queued[key] = job
            self._start_queued()

    def failure(self, key: str) -> str | None:
        """Return why the last attempt at `key` failed; None where it did not."""
        with self._lock:
            self._collect_finished()
            self._start_queued()
            return self._failed[key][1] if key in self._failed else None

    def stop(self) -> None:
        """End every fit; unfinished ones leave nothing behind."""
        with self._lock:
            self._queued.clear()
            for fit in self._running.values():
                fit.process.kill()
            for fit in self._running.values():
                fit.close()
            self._running.clear()

    def _start_queued(self) -> None:
        while self._queued and len(self._running) < self._workers:
            key = next(iter(self._queued))
            job = self._queued.pop(key)
            try:
                # A signal in the middle would leave a process that complains about half a job.
                with deferred_interrupts():
                    self._running[key] = self._start(key, job)
            except OSError as error:
                self._fail(key, f"no process could be started: {error.strerror or error}")

    def _start(self, key: str, job: TrainingJob) -> _RunningFit:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_fit, args=(theirs,), daemon=True)
        try:
            process.start()
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        # Not as an argument: `start` would wait for ever for a process that ended before it read a large one.
        with suppress(ConnectionError):  # how it ended is found with all others
            ours.send((self._models, key, job))
        return _RunningFit(process, ours)

    def _collect_finished(self) -> None:
        for key, fit in list(self._running.items()):
            if fit.process.is_alive():
                continue
            del self._running[key]
            self._failed.pop(key, None)
            code = fit.process.exitcode
            if code != 0:
                self._fail(key, _error_text(fit.pipe) or f"its process ended with {code}")
            fit.close()

    def _fail(self, key: str, why: str) -> None:
        self._failed[key] = self._monotonic(), why


def _error_text(pipe: Connection) -> str | None:
    try:
        return str(pipe.recv()) if pipe.poll() else None
    except (EOFError, ConnectionError):
        return None


def _fit(parent: Connection) -> None:
    """Fit the model that the parent sends, or have it fitted, in a process of its own."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        models, key, job = parent.recv()
    except EOFError:  # it was killed
        raise SystemExit(1) from None
    try:
        models.get_or_train(key, job)
    except CryptoRefactorError as error:
        parent.send(error.what)
        raise SystemExit(1) from None


def _end_with_parent() -> None:
    """End this process at once when the parent ends, even if the parent was killed."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
