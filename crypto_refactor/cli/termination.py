"""SIGTERM and a terminal that went away, as an exception that always arrives."""

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from crypto_refactor.errors import EXIT_HUNG_UP, EXIT_TERMINATED

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_AGAIN_SECONDS = 0.05


class Terminated(BaseException):
    """SIGTERM, or a terminal that went away, as an exception: locks are released and temporary files removed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.exit_code = EXIT_HUNG_UP if number == signal.SIGHUP else EXIT_TERMINATED


def raise_on_signals() -> None:
    """Raise `Terminated` on SIGTERM and SIGHUP, and raise it and Ctrl-C again where they are lost.

    A handler may run within a finaliser or the callback of a weak reference, where the interpreter prints an exception
    and goes on: the process would never stop.
    """
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:  # `nohup` ignores it
        signal.signal(signal.SIGHUP, _terminate)
    sys.unraisablehook = _raise_again


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(number)


def _raise_again(lost: "UnraisableHookArgs") -> None:
    stop = lost.exc_value
    if not isinstance(stop, Terminated | KeyboardInterrupt):
        sys.__unraisablehook__(lost)
        return
    number = stop.number if isinstance(stop, Terminated) else signal.SIGINT
    # A timer of the system: a thread could wait for a lock that the interrupted code holds.
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(number))
    signal.setitimer(signal.ITIMER_REAL, _AGAIN_SECONDS)
