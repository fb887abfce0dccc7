"""Calls made on the workers of a Dask cluster: the only module that imports distributed.

It is imported where a cluster trains, and nowhere else: the import takes a third of a second, and most runs train
nothing.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from distributed import CancelledError, Client, KilledWorker
from distributed.security import Security

from crypto_refactor.errors import ModelError
from crypto_refactor.model.training.cluster import Cluster

T = TypeVar("T")


CONNECT_SECONDS = 10.0
NO_WORKER_TIMEOUT = 60.0
"""How long a cluster may have no worker, or its scheduler give no answer."""
_POLL_SECONDS = 1.0
_CLOSE_SECONDS = 2.0
_SLACK_SECONDS = 2.0
"""How much longer than Dask's own limit a connection may take: Dask says better what went wrong."""
_KEPT = "finished models are kept."


def on_cluster(cluster: Cluster, calls: Sequence[Callable[[], T]]) -> Iterator[T]:
    """Make every call on a worker of the cluster and yield the results as they arrive.

    If a worker is lost, the scheduler gives its call to another one.  A call travels within its task: scattered
    data would be lost together with the worker that holds it.

    Raises
    ------
    ModelError
        If no further call can be made.
    """
    _require_certificates(cluster)
    # This tool reports failures of the connection in its own words.
    for name in ("distributed", "distributed.client", "distributed.core", "distributed.comm.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with _event_loop() as loop:
        # Kept here from its first moment: a signal may end the wait for what returns it, and the garbage collector would
        # close it in a loop that has ended.
        opened: list[Client] = []
        try:
            client = _wait_for(_connect(cluster, opened), loop)
            with _explained(cluster):
                watch, pending = _wait_for(_submit(cluster, client, calls), loop)
                while pending:
                    finished = _wait_for(_first_finished(watch, pending), loop)
                    pending -= finished
                    for task in finished:
                        yield task.result()
        finally:
            for client in opened:
                _wait_for(_close(client), loop)


@contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop for one client in a thread of its own.

    Clients with the loop that distributed provides share a lock.  If the garbage collector closes a half-open client
    in the thread that holds this lock, no client of the process can connect any more.
    """
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="dask client", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        _wait_for(_cancel_all_tasks(), loop)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def _wait_for(coroutine: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """Return what `coroutine` returns in the thread of `loop`; a signal ends the wait and cancels it."""
    future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    try:
        return future.result()
    finally:
        future.cancel()


async def _cancel_all_tasks() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        if not task.cancelling():  # a cancelled task may be closing its client
            task.cancel()
        task.add_done_callback(_retrieve)
    if tasks:
        await asyncio.wait(tasks, timeout=2 * _CLOSE_SECONDS)


def _require_certificates(cluster: Cluster) -> None:
    """Refuse ``tls://`` without certificates before a client exists that cannot be closed."""
    options = Security().get_connection_args("client")
    if cluster.address.startswith("tls:") and options.get("ssl_context") is None:
        raise ModelError(
            f"The cluster {cluster.address} cannot be reached: there are no certificates for tls://.",
            expected="a certificate authority, a certificate and a key in Dask's own configuration (distributed.comm.tls).",
            remedy="set them there, or use tcp:// in a network you trust.",
        )


async def _connect(cluster: Cluster, opened: list[Client]) -> Client:
    """Return a client that is connected; it is among `opened`, whose owner closes it, before it connects."""
    client = Client(
        cluster.address,
        asynchronous=True,
        timeout=CONNECT_SECONDS,
        set_as_default=False,
        name="crypto-refactor",
    )
    opened.append(client)
    try:
        # Dask alone waits forever for a server that accepts the connection and then says nothing.
        async with asyncio.timeout(CONNECT_SECONDS + _SLACK_SECONDS):
            await client
    except BaseException as error:
        # MemoryError: the first bytes of another protocol read as the length of a huge message.
        if not isinstance(error, OSError | ImportError | ValueError | MemoryError):
            raise
        raise ModelError(
            f"The cluster {cluster.address} cannot be reached: {_one_line(error)}.",
            expected=f"a Dask scheduler that answers there within {CONNECT_SECONDS:.0f} seconds.",
            remedy="start it (`dask scheduler`), correct --cluster, or leave it out to train on this machine.",
        ) from error
    return client


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or "no answer in time"


async def _submit(
    cluster: Cluster, client: Client, calls: Sequence[Callable[[], T]]
) -> tuple[asyncio.Task[NoReturn], set[asyncio.Task[T]]]:
    """Start a watch over the cluster, and a task for each call."""

    async def result(position: int, call: Callable[[], T]) -> T:
        # Without a priority, calls that arrive together begin in any order.
        outcome: T = await client.submit(call, pure=False, priority=-position)
        return outcome

    watch = asyncio.create_task(_watch(cluster, client))
    tasks = {asyncio.create_task(result(position, call)) for position, call in enumerate(calls)}
    for task in (watch, *tasks):
        task.add_done_callback(_retrieve)
    return watch, tasks


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Look at the exception of a task, so that asyncio does not log it where nobody else does."""
    if not task.cancelled():
        task.exception()


async def _first_finished(
    watch: asyncio.Task[NoReturn], pending: set[asyncio.Task[T]]
) -> set[asyncio.Task[T]]:
    """Wait for at least one of `pending`; raise the error of `watch` if it ends first."""
    finished, _ = await asyncio.wait({*pending, watch}, return_when=asyncio.FIRST_COMPLETED)
    return finished & pending or {await watch}


async def _watch(cluster: Cluster, client: Client) -> NoReturn:
    """Raise a `ModelError` when the cluster has had no worker, or given no answer, for too long."""
    last_seen = time.monotonic()
    while True:
        await asyncio.sleep(_POLL_SECONDS)
        workers = await _count_workers(client)
        if workers:
            last_seen = time.monotonic()
        elif time.monotonic() - last_seen > NO_WORKER_TIMEOUT:
            raise _abandoned(cluster, "had no worker" if workers == 0 else "not answered")


async def _count_workers(client: Client) -> int | None:
    """Return how many workers the scheduler has, None if it does not answer."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return len(await client.nthreads())
    except (OSError, AttributeError, RuntimeError):  # no answer in time, or the client has lost its scheduler
        return None


async def _close(client: Client) -> None:
    """Close the client, in limited time whatever its scheduler does."""
    closing = asyncio.ensure_future(client.close(timeout=_CLOSE_SECONDS))
    closing.add_done_callback(_retrieve)
    await asyncio.wait({closing}, timeout=2 * _CLOSE_SECONDS)
    client.status = "closed"  # the garbage collector finds nothing left to close


@contextmanager
def _explained(cluster: Cluster) -> Iterator[None]:
    """Turn what Dask raises into a `ModelError`."""
    try:
        yield
    except KilledWorker as error:
        raise ModelError(
            f"The cluster {cluster.address} has given up a model: every worker that began it died, "
            f"{error.allowed_failures + 1} in all, the last one at {error.last_worker.address}.",
            expected="workers that have crypto-refactor installed, and about 1 GB of memory for each fit.",
            remedy=f"read that worker's log, fix what it names, and run the command again: {_KEPT}",
        ) from error
    except CancelledError as error:
        raise ModelError(
            f"The cluster {cluster.address} was lost during training: {_one_line(error)}.",
            expected="a scheduler that stays until everything is trained.",
            remedy=f"start it again and run the command again: {_KEPT}",
        ) from error
    except (RuntimeError, ImportError, AttributeError, OSError) as error:
        cause = error if error.__cause__ is None or isinstance(error, OSError) else error.__cause__
        raise ModelError(
            f"The cluster {cluster.address} cannot train: {_one_line(cause)}.",
            expected="crypto-refactor and its dependencies, in the versions used here, on its scheduler and workers.",
            remedy=f"pip install 'crypto-refactor[cluster]' there, read their logs, and run the command again: {_KEPT}",
        ) from error


def _abandoned(cluster: Cluster, problem: str) -> ModelError:
    return ModelError(
        f"The cluster {cluster.address} has {problem} for {NO_WORKER_TIMEOUT:.0f} seconds.",
        expected="a scheduler that answers, and at least one worker, until everything is trained.",
        remedy=f"start them (`dask scheduler`, `dask worker {cluster.address} --nthreads 1 --nworkers 4`) and run the "
        f"command again: {_KEPT}",
    )
