"""How long what fails is tried again, within the hour of a bar and at the start of a run, and when a run is heard of."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.market.hours import floor_hour, to_datetime

T = TypeVar("T")

HEARTBEAT_HOURS = 6
"""How often a heartbeat is announced."""
LATE_SECONDS = 600
"""A decision made later than this after the close is late, and a bar that comes later is not waited for."""
_MIN_RETRY_SECONDS = 120
"""How long errors are retried at least, even where a run was started late in the hour."""
_HOUR_END_SECONDS = 60
"""Nothing new is started this close to the end of the hour."""
_RETRY_SECONDS = (5, 10, 15, 30)


def retry_seconds(attempt: int) -> float:
    """Return the wait after the `attempt`-th failure, the first one being 0."""
    return _RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS) - 1)]


def hour_end(hour: int) -> datetime:
    """Return until when the bar that closed at `hour` may be acted on."""
    return to_datetime(hour + 1) - timedelta(seconds=_HOUR_END_SECONDS)


def retry_deadline(hour: int, began: datetime) -> datetime:
    """Return until when failing requests are retried for the bar that closed at `hour`."""
    deadline = to_datetime(hour) + timedelta(seconds=LATE_SECONDS)
    return min(max(deadline, began + timedelta(seconds=_MIN_RETRY_SECONDS)), hour_end(hour))


class Heartbeat:
    """Says when a run is to be heard of again."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._last = clock()

    def due(self) -> bool:
        """Whether it is time again; asking for it counts as the heartbeat."""
        now = self._clock()
        if now - self._last < timedelta(hours=HEARTBEAT_HOURS):
            return False
        self._last = now
        return True


def patient_answer(
    request: Callable[[], T],
    temporary: type[CryptoRefactorError],
    *,
    endless: bool,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    on_failure: Callable[[CryptoRefactorError], None],
    on_wait: Callable[[CryptoRefactorError], None],
) -> T:
    """Return what `request` returns; ask again while it raises `temporary`.

    Parameters
    ----------
    request : callable
        Asks a broker, or reads a file.
    temporary : type
        The error that time may mend; any other one is raised at once.
    endless : bool
        Ask until there is an answer, and not only as long as the current hour's bar would be waited for.
    clock, sleep : callable
        Return the aware local time; wait for a number of seconds.
    on_failure, on_wait : callable
        Receive the first failure, and each one before it is waited.

    Raises
    ------
    CryptoRefactorError
        The `temporary` error if there is no answer in time, and any other one.
    """
    began, attempt = clock(), 0
    deadline = retry_deadline(floor_hour(began), began)
    while True:
        try:
            return request()
        except temporary as error:
            if not endless and clock() >= deadline:
                raise
            if not attempt:
                on_failure(error)
            on_wait(error)
        sleep(retry_seconds(attempt))
        attempt += 1
