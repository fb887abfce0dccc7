"""The line below the rows of a run that tells how far it is: rewritten in a terminal, and not shown elsewhere."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence

_SECONDS_BETWEEN = 0.1
_CLEAR = "\r\x1b[2K"


class StatusLine:
    """One line on stderr that the next one replaces.

    Attributes
    ----------
    rewrites : bool
        Whether stderr is a terminal that can replace a line; nothing is shown otherwise.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.rewrites = (
            sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM", "") != "dumb"
        )
        self._clock = clock
        self._shown, self._shown_at = False, float("-inf")

    def show(self, parts: Sequence[str], *, at_once: bool = False) -> None:
        """Replace the line by `parts`, as many as there is room for, several times a second at most."""
        now = self._clock()
        if not self.rewrites or (now - self._shown_at < _SECONDS_BETWEEN and not at_once):
            return
        room = shutil.get_terminal_size().columns - 1
        fitting = [parts[0]]
        for part in parts[1:]:
            if len("  ".join([*fitting, part])) > room:
                break
            fitting.append(part)
        self._write(_CLEAR + "  ".join(fitting)[:room])
        self._shown, self._shown_at = True, now

    def clear(self) -> None:
        """Make room for what is printed next."""
        if self._shown:
            self._write(_CLEAR)
            self._shown = False

    def _write(self, text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # a terminal that hung up; rows tell what happens as long as they can
            self.rewrites = False
