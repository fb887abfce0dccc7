"""The output of a run that goes on whatever becomes of it."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

import click

from crypto_refactor.cli.runner import discard

_GONE = frozenset({errno.EPIPE, errno.EBADF, errno.EIO})
"""What does not come back: a reader that left, a closed descriptor, a terminal that hung up."""


class LastingOutput:
    """Writes lines to stdout and stderr, and never raises.

    `on_failure` receives a sentence when a stream fails.  A full device is tried again with every line, anything else
    is given up.
    """

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        self._on_failure = on_failure
        self._failing: set[str] = set()
        self._gone: set[str] = set()

    def write(self, text: str, *, err: bool = False) -> None:
        """Write a line, if that is possible."""
        name = "stderr" if err else "stdout"
        if name in self._gone:
            return
        try:
            click.echo(text, err=err)
        except Exception as error:  # noqa: BLE001 - no output is worth a position that nobody watches
            self._fail(name, error)
        else:
            self._failing.discard(name)

    def _fail(self, name: str, error: Exception) -> None:
        new = name not in self._failing
        self._failing.add(name)
        if isinstance(error, ValueError) or getattr(error, "errno", None) in _GONE:
            self._give_up(name)
        if not new:
            return
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        text = f"{name} cannot be written ({reason}); trading goes on."
        self._on_failure(text)
        self.write(text, err=name == "stdout")

    def _give_up(self, name: str) -> None:
        self._gone.add(name)
        stream = sys.stdout if name == "stdout" else sys.stderr
        try:
            discard(stream)
        except (OSError, ValueError):
            return  # it has no descriptor left, so nothing fails at exit either

    def close(self) -> None:
        """Give up what a stream that failed still holds: Python would fail on it at exit."""
        for name in self._failing - self._gone:
            self._give_up(name)
