"""Stop between two steps, never within one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType


@contextmanager
def deferred_interrupts(at_most: float | None = None) -> Iterator[None]:
    """Defer Ctrl-C, SIGTERM and SIGHUP to the end of the block; threads other than the main one never receive them.

    With `at_most`, a block that goes on for so many seconds after a signal is interrupted, and a second signal
    interrupts it at once.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - called by `signal`
        caught.append(number)
        if at_most is None:
            return
        if len(caught) > 1:
            signal.signal(number, handlers[signal.Signals(number)])
            signal.raise_signal(number)
        else:
            signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
            signal.setitimer(signal.ITIMER_REAL, at_most)

    try:
        with ExitStack() as restored:  # every handler, even if a signal arrives meanwhile
            for number, handler in handlers.items():
                restored.callback(signal.signal, number, handler)
                signal.signal(number, note)
            yield
    finally:
        if caught:
            if at_most is not None:
                signal.setitimer(signal.ITIMER_REAL, 0)
            signal.raise_signal(caught[0])
