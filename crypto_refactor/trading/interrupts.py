"""Stop between two steps, never within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType


@contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Defer Ctrl-C, SIGTERM and SIGHUP to the end of the block; threads other than the main one never receive them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - called by `signal`
        caught.append(number)

    try:
        with ExitStack() as handlers:  # restores every handler, even if a signal arrives meanwhile
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                handlers.callback(signal.signal, number, signal.getsignal(number))
                signal.signal(number, note)
            yield
    finally:
        if caught:
            signal.raise_signal(caught[0])
