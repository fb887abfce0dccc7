"""How long the requests of one phase may take, so that a source that never answers holds up nothing else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class RequestBudget:
    """Bounds of requests in seconds of real time: all of a phase together, and each one; none outside a phase.

    Threads that work in the same phase share it.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = self._each = float("inf")

    @contextmanager
    def phase(self, *, total: float = float("inf"), each: float = float("inf")) -> Iterator[None]:
        """Bound the requests of a phase."""
        around = self._until, self._each
        self._until, self._each = self._monotonic() + total, each
        try:
            yield
        finally:
            self._until, self._each = around

    def seconds(self, wanted: float) -> float:
        """Return how long a request may take that would take `wanted` at most; 0 or less where no time is left."""
        return min(wanted, self._each, self._until - self._monotonic())
