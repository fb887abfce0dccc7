"""Processes of their own for fits in a worker of a cluster: each fits, and does nothing else.

Keras draws the first weights from Python's global random numbers, and a worker's event loop draws from them
too (heartbeats, reconnections): a fit in a thread of the worker ends with weights that depend on when.  Nor may
two fits share a process, or TensorFlow's threads with whatever else the worker runs.

A worker keeps the processes it has started for some fits, because TensorFlow takes seconds to start; each ends
with it.
Run as a module this is such a process: it reads calls and writes what they return, pickled, each after its length.
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
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import IO, TypeVar

from crypto_refactor.errors import ModelError

T = TypeVar("T")

_LENGTH_BYTES = 8
_CALLS = 50
"""A process ends after so many: every fit leaves some MB behind."""


def run_in_process(call: Callable[[], T]) -> T:
    """Return what `call` returns in a process that makes no other at the same time.

    Raises
    ------
    ModelError
        If that process dies; what it said stands in the worker's log.
    """
    process = _idle_process() or _WorkerProcess()
    answer: T = process.make(call)
    if process.calls < _CALLS:
        _idle.append(process)
    else:
        process.end()
    return answer


def _idle_process() -> _WorkerProcess | None:
    """Take a process that was started for an earlier call and has not ended since."""
    while True:
        try:
            process = _idle.pop()  # of several threads each gets another
        except IndexError:
            return None
        if process.runs():
            return process


class _WorkerProcess:
    """A process that makes the calls it is given, one after another."""

    def __init__(self) -> None:
        paths = os.pathsep.join(path for path in sys.path if path)
        self._popen = subprocess.Popen(  # noqa: S603 - this package itself
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": paths},
        )
        self.calls = 0

    def runs(self) -> bool:
        """Whether it has not ended."""
        if self._popen.poll() is None:
            return True
        self.end()
        return False

    def make(self, call: Callable[[], T]) -> T:
        """Return what `call` returns there."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        try:
            _send(self._popen.stdin, call)
            answer = _received(self._popen.stdout)
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise self._dead()
        self.calls += 1
        found: T = pickle.loads(answer)  # noqa: S301 - from a process of our own, through a pipe of our own
        return found

    def _dead(self) -> ModelError:
        return ModelError(
            f"A process that trained a model on {platform.node()} has died with {self.end()}.",
            expected="every fit to end by itself; a fit needs about 1 GB of memory.",
            remedy="read that worker's log, free memory and run the command again: models that were finished are kept.",
        )

    def end(self) -> int:
        """Let it end, and return what it ended with."""
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        with suppress(BrokenPipeError):  # what it was asked last has not reached it
            self._popen.stdin.close()
        self._popen.stdout.close()
        return self._popen.wait()


_idle: deque[_WorkerProcess] = deque()


@atexit.register
def _end_idle() -> None:
    while _idle:
        _idle.pop().end()


def _send(stream: IO[bytes], value: object) -> None:
    content = pickle.dumps(value)
    stream.write(len(content).to_bytes(_LENGTH_BYTES))
    stream.write(content)
    stream.flush()


def _received(stream: IO[bytes]) -> bytes | None:
    """Return the next message, None where the other end has gone."""
    head = stream.read(_LENGTH_BYTES)
    if len(head) < _LENGTH_BYTES:
        return None
    size = int.from_bytes(head)
    content = stream.read(size)
    return content if len(content) == size else None


def _serve() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the worker decides
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not stand among the answers
    asked: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(asked,), daemon=True).start()
    while True:
        call = pickle.loads(asked.get())  # noqa: S301 - from the worker that has started this process
        _send(answers, call())


def _listen(asked: SimpleQueue[bytes]) -> None:
    """Pass on what is asked, and end this process at once, a fit in it too, when the worker has gone."""
    while True:
        message = _received(sys.stdin.buffer)
        if message is None:
            os._exit(0)
        asked.put(message)


if __name__ == "__main__":
    _serve()
