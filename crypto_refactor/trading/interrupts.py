"""Stopping between two steps, never within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Put off Ctrl-C and SIGTERM until the end of the block; in other threads they never arrive."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signal calls it
        caught.append(number)

    try:
        with ExitStack() as handlers:  # puts back every handler, even if a signal strikes meanwhile
            for number in (signal.SIGINT, signal.SIGTERM):
                handlers.callback(signal.signal, number, signal.getsignal(number))
                signal.signal(number, note)
            yield
    finally:
        if caught:
            signal.raise_signal(caught[0])
