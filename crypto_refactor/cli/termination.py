"""Ctrl-C, SIGTERM and a terminal that went away, as exceptions that always arrive."""

import signal
import sys
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from crypto_refactor.errors import EXIT_HUNG_UP, EXIT_TERMINATED

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_FIRST_LOOK_SECONDS = 0.05
_LOOK_SECONDS = 0.5
"""How often it is looked whether a stop is still on its way."""


class Terminated(BaseException):
    """SIGTERM, or a terminal that went away, as an exception: locks are released and temporary files removed."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.exit_code = EXIT_HUNG_UP if number == signal.SIGHUP else EXIT_TERMINATED


def raise_on_signals() -> None:
    """Raise `KeyboardInterrupt` on Ctrl-C and `Terminated` on SIGTERM and SIGHUP, until `arrived` is called.

    A handler runs between any two steps of Python: also within a finaliser, where the interpreter prints an exception
    and goes on, within the `close` of a forgotten stream, where it does not even do that, and within what an extension
    calls, whose C code may take any exception for a missing attribute.  The process would never stop.  So what is lost
    is raised again.
    """
    signal.signal(signal.SIGTERM, _stop)
    for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is usual:  # `nohup` and background jobs ignore them
            signal.signal(number, _stop)
    sys.unraisablehook = _print_unless_stop


def arrived() -> None:
    """Note that a stop has come to where it ends the command."""
    signal.setitimer(signal.ITIMER_REAL, 0)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    def look(_: int, __: FrameType | None) -> None:
        if not _on_its_way():
            signal.raise_signal(number)  # to the handler of that moment, which may be a deferring one

    # A timer of the system: a thread could wait for a lock that the interrupted code holds.
    signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _FIRST_LOOK_SECONDS, _LOOK_SECONDS)
    raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)


def _on_its_way() -> bool:
    """Whether the interrupted code runs because of a stop: in a `finally`, an `__exit__` or an `except`."""
    error = sys.exception()
    while error is not None and not isinstance(error, Terminated | KeyboardInterrupt):
        error = error.__context__
    return error is not None


def _print_unless_stop(lost: "UnraisableHookArgs") -> None:
    if not isinstance(lost.exc_value, Terminated | KeyboardInterrupt):
        sys.__unraisablehook__(lost)
