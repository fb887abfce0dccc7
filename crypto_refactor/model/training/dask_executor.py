"""Work spread over a Dask cluster by joblib's own Dask backend: the one module that imports distributed.

What joblib leaves open is closed here: a task that Dask gives up, a scheduler that is gone and a cluster
without workers end the run with a reason instead of a wait without end.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

import distributed
from distributed.scheduler import KilledWorker
from distributed.security import Security
from joblib import Parallel, delayed
from joblib._dask import DaskDistributedBackend

from crypto_refactor.errors import ModelError
from crypto_refactor.model.training.dask_cluster import Cluster

T = TypeVar("T")

CONNECT_SECONDS = 10.0
NO_WORKER_TIMEOUT = 60.0
"""How long a cluster may be without any worker, or its scheduler without an answer."""
_LOOK_SECONDS = 1.0
_LEAVE_SECONDS = 2.0
_SLACK_SECONDS = 2.0
"""How much longer than Dask's own bound a connection is waited for."""
_KEPT = "models that were finished are kept."


def on_cluster(cluster: Cluster, calls: Sequence[Callable[[], T]]) -> Iterator[T]:
    """Make every call on some worker of the cluster and yield what each returns, as they finish.

    A call whose worker is lost is made again by another.  It travels in the task itself and not as a scattered
    argument, which would be lost with the one worker that holds it.

    Parameters
    ----------
    cluster : Cluster
        Its workers, whose number is the scheduler's business, have this package installed.
    calls : sequence of callable
        Each can be pickled.

    Raises
    ------
    ModelError
        If no call can be made any more.  Those that have been yielded are whole.
    """
    with _connected(cluster) as client:
        backend = _Backend(client=client)
        parallel = Parallel(
            # All at once, one by one: who computes what, and when, is the scheduler's business.
            backend=backend,
            return_as="generator_unordered",
            pre_dispatch="all",
            batch_size=1,
        )
        with _watched(cluster, client, backend), _explained(cluster):
            yield from parallel(delayed(call)() for call in calls)


class _Backend(DaskDistributedBackend):  # type: ignore[misc]  # joblib is untyped
    """joblib's Dask backend, which tells joblib also of tasks that end without a result."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._told: list[Callable[[object], None]] = []

    def effective_n_jobs(self, n_jobs: int) -> int:  # noqa: ARG002 - as joblib asks
        """Return 2: with 1, for a cluster of one worker, joblib would do the work in this process."""
        return 2

    def submit(self, func: Any, callback: Any = None) -> Any:
        """Submit as joblib does, and hand an error of the task itself to `callback`, for which joblib waits."""
        future = super().submit(func, callback)

        def tell(done: Future[object]) -> None:
            error = done.exception()
            if error is not None:
                callback(error)

        self._told.append(callback)
        future.add_done_callback(tell)
        return future

    def give_up(self, error: ModelError) -> None:
        """End the run with `error` in the place of what is still awaited."""
        for callback in self._told:
            callback(error)

    def retrieve_result_callback(self, out: object) -> Any:
        """Return a task's results, or raise what ended it; a cancelled one comes as its exception."""
        if isinstance(out, BaseException):
            raise out
        return super().retrieve_result_callback(out)


@contextmanager
def _connected(cluster: Cluster) -> Iterator[distributed.Client]:
    _require_certificates(cluster)
    # What becomes of the connection is told in this tool's own words.
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    connected = _client(cluster)
    try:
        client = connected.result(CONNECT_SECONDS + _SLACK_SECONDS)
    # MemoryError: what is no scheduler sends what reads as the length of a huge message.
    except (OSError, ImportError, ValueError, MemoryError) as error:
        connected.cancel()
        raise ModelError(
            f"The cluster {cluster.address} cannot be reached: {_one_line(error)}.",
            expected=f"a Dask scheduler that answers there within {CONNECT_SECONDS:.0f} seconds.",
            remedy="start it (`dask scheduler`), correct --cluster, or leave it out to train on this machine.",
        ) from error
    try:
        yield client
    finally:
        client.close(timeout=_LEAVE_SECONDS)


def _require_certificates(cluster: Cluster) -> None:
    """Refuse ``tls://`` without certificates at once: Dask finds out in a half-built client that it cannot close."""
    settings = Security().get_connection_args("client")
    if cluster.address.startswith("tls:") and settings.get("ssl_context") is None:
        raise ModelError(
            f"The cluster {cluster.address} cannot be reached: there are no certificates for tls://.",
            expected="a certificate authority, a certificate and a key in Dask's own configuration (distributed.comm.tls).",
            remedy="set them there, or use tcp:// in a network you trust.",
        )


def _client(cluster: Cluster) -> Future[distributed.Client]:
    """Connect in a thread: Dask waits without end for a scheduler that accepts a connection and then says nothing."""
    connected: Future[distributed.Client] = Future()

    def connect() -> None:
        client: distributed.Client | None = None
        failure: Exception | None = None
        try:
            client = distributed.Client(
                cluster.address, timeout=CONNECT_SECONDS, set_as_default=False, name="crypto-refactor"
            )
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            # Its traceback would keep a half-built client alive, which complains when it is collected.
            failure = error.with_traceback(None)
        if connected.set_running_or_notify_cancel():
            if client is not None:
                connected.set_result(client)
            else:
                connected.set_exception(failure)
        elif client is not None:  # nobody waits any more
            client.close(timeout=_LEAVE_SECONDS)

    threading.Thread(target=connect, daemon=True).start()
    return connected


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or "nothing was answered in time"


@contextmanager
def _explained(cluster: Cluster) -> Iterator[None]:
    """Say in three parts what Dask and joblib raise where something else than a call has failed."""
    try:
        yield
    except KilledWorker as error:
        raise ModelError(
            f"A model of the cluster {cluster.address} has been given up: every worker that began it died, "
            f"{error.allowed_failures + 1} in all, the last one at {error.last_worker.address}.",
            expected="workers that have crypto-refactor installed, and about 1 GB of memory for each fit.",
            remedy=f"read that worker's log, mend what it names, and run the command again: {_KEPT}",
        ) from error
    except distributed.CancelledError as error:
        raise ModelError(
            f"The cluster {cluster.address} was lost while it trained: {_one_line(error)}.",
            expected="its scheduler to stay until everything is trained.",
            remedy=f"start it again and run the command again: {_KEPT}",
        ) from error
    except (RuntimeError, ImportError, AttributeError, OSError) as error:
        why = error if error.__cause__ is None or isinstance(error, OSError) else error.__cause__
        raise ModelError(
            f"The cluster {cluster.address} cannot train: {_one_line(why)}.",
            expected="crypto-refactor and what it needs, in the versions used here, wherever its scheduler and workers run.",
            remedy=f"pip install 'crypto-refactor[cluster]' there, read their logs, and run the command again: {_KEPT}",
        ) from error


@contextmanager
def _watched(cluster: Cluster, client: distributed.Client, backend: _Backend) -> Iterator[None]:
    """Give up where the cluster has no worker for too long, or says nothing any more."""
    done = threading.Event()

    def watch() -> None:
        good = time.monotonic()
        while not done.wait(_LOOK_SECONDS):
            workers = _workers(client)
            now = time.monotonic()
            if workers:
                good = now
            elif now - good > NO_WORKER_TIMEOUT:
                backend.give_up(_alone(cluster) if workers == 0 else _silent(cluster))
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()


def _workers(client: distributed.Client) -> int | None:
    """Return how many workers the scheduler knows, None where it does not answer."""
    scheduler = client.scheduler
    if scheduler is None:  # the connection is lost, and the client has closed itself
        return None
    try:
        return len(client.sync(scheduler.ncores, callback_timeout=CONNECT_SECONDS))
    except (OSError, RuntimeError):  # no answer in time, or its event loop has ended
        return None


def _alone(cluster: Cluster) -> ModelError:
    return ModelError(
        f"The cluster {cluster.address} has had no worker for {NO_WORKER_TIMEOUT:.0f} seconds.",
        expected="at least one worker to train on.",
        remedy=f"start workers (`dask worker {cluster.address} --nthreads 1 --nworkers 4`) and run the command again: {_KEPT}",
    )


def _silent(cluster: Cluster) -> ModelError:
    return ModelError(
        f"The scheduler of the cluster {cluster.address} has not answered for {NO_WORKER_TIMEOUT:.0f} seconds.",
        expected="a scheduler that answers until everything is trained.",
        remedy=f"start it again and run the command again: {_KEPT}",
    )
