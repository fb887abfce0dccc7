"""What runs beside a Dask worker: the check of its environment, and a process for each fit.

Keras draws the first weights from Python's global random numbers, and so does a worker's event loop (heartbeats,
reconnections): a fit in a thread of the worker would end with weights that depend on time.  Nor may two fits share a
process, or TensorFlow share its threads with other work of the worker.

A worker keeps its fit processes, because TensorFlow takes seconds to start; they end with the worker.  They are no
`multiprocessing` processes: Dask runs its workers as daemons, which may have no such children.
Run as a module, this is the fit process.
"""

from __future__ import annotations

import atexit
import os
import pickle
import platform
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import TypeVar

from crypto_refactor.errors import ModelError
from crypto_refactor.model.recipe import RECIPE, library_versions
from crypto_refactor.version import __version__

T = TypeVar("T")

_VARIABLES = {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "1"}
"""Environment variables that change the numbers of a given version, with their default meaning."""
_MAX_CALLS = 50
"""A fit process ends after this many calls: every fit leaves some MB behind."""


def numeric_environment() -> dict[str, str]:
    """Return what decides the weights of a fit, beside data and settings.

    The recipe and the versions are part of a model's name in the cache.  The processor is not, because one machine
    has one; kernels are chosen by its instruction sets, and each of them rounds in its own way.
    """
    import numpy as np

    extensions = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {
        "crypto-refactor": __version__,
        "recipe": RECIPE.hash(),
        **library_versions(),
        "processor": " ".join([platform.machine(), *extensions]),
        **{name: os.environ.get(name, default) for name, default in _VARIABLES.items()},
    }


def require_same_environment(required: Mapping[str, str]) -> None:
    """Raise a `ModelError` with every difference between the `required` environment and this worker's."""
    actual = numeric_environment()
    differences = [
        f"{name} {actual.get(name, 'unknown')} there, {required.get(name, 'unknown')} here"
        for name in sorted(actual.keys() | required.keys())
        if actual.get(name) != required.get(name)
    ]
    if differences:
        raise ModelError(
            f"A worker of the cluster, on {platform.node()}, would train other weights: {'; '.join(differences)}.",
            expected="the same versions and kind of processor on every worker as here, so that a model is the same "
            "wherever it was trained.",
            remedy="install the same versions there and restart the worker, or stop it: finished models are kept.",
        )


def run_in_process(call: Callable[[], T]) -> T:
    """Run `call` in a process that runs no other call at the same time, and return its result.

    Raises
    ------
    ModelError
        If that process dies.
    """
    process = _idle_process() or _FitProcess()
    result = process.run(call)
    if process.calls < _MAX_CALLS:
        _idle.append(process)
    else:
        process.end()
    return result


def _idle_process() -> _FitProcess | None:
    with suppress(IndexError):  # none is left
        while True:
            process = _idle.pop()
            if process.is_running():
                return process
    return None


class _FitProcess:
    """A process that runs one call after another."""

    def __init__(self) -> None:
        self._pipe, other_end = Pipe()
        # It ends without a chance to remove what TensorFlow has put there.
        self._temporary = TemporaryDirectory(prefix="crypto-refactor-")
        with other_end:
            self._popen = subprocess.Popen(  # noqa: S603 - this package itself
                [sys.executable, "-m", __name__, str(other_end.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[other_end.fileno()],
                env=os.environ
                | {
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    "TMPDIR": self._temporary.name,
                },
            )
        self.calls = 0

    def is_running(self) -> bool:
        if self._popen.poll() is None:
            return True
        self.end()
        return False

    def run(self, call: Callable[[], T]) -> T:
        try:
            self._pipe.send(call)
            result: T = self._pipe.recv()
        except (EOFError, ConnectionError) as error:
            raise ModelError(
                f"A process that trained a model on {platform.node()} has died with {self.end()}.",
                expected="every fit to end by itself; a fit needs about 1 GB of memory.",
                remedy="read that worker's log, free memory and run the command again: finished models are kept.",
            ) from error
        self.calls += 1
        return result

    def end(self) -> int:
        """Let the process end, and return its exit code."""
        self._pipe.close()
        code = self._popen.wait()
        self._temporary.cleanup()
        return code


_idle: deque[_FitProcess] = deque()


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.pop().end()


def _serve(pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the worker decides
    calls: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(pipe, calls), daemon=True).start()
    while True:
        pipe.send(pickle.loads(calls.get())())  # noqa: S301 - from the worker that has started this process


def _listen(pipe: Connection, calls: SimpleQueue[bytes]) -> None:
    """Pass calls on, and end this process at once, even in a fit, when the worker is gone."""
    while True:
        try:
            calls.put(pipe.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)


if __name__ == "__main__":
    _serve(Connection(int(sys.argv[1])))
