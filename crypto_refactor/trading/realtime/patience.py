"""How long failing requests are retried: within the hour of a bar, and at the start of a run."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeVar

from crypto_refactor.market.hours import floor_hour, to_datetime
from crypto_refactor.trading.brokers import UnreachableError

T = TypeVar("T")

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


def answer_of_broker(
    request: Callable[[], T],
    *,
    endless: bool,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None],
    on_failure: Callable[[UnreachableError], None],
) -> T:
    """Return what the broker answers; ask again while it gives no usable answer.

    Parameters
    ----------
    request : callable
        Asks it.
    endless : bool
        Ask until it answers, and not only as long as the current hour's bar would be waited for.
    clock, sleep : callable
        Return the aware local time; wait for a number of seconds.
    on_failure : callable
        Receives the first failure.

    Raises
    ------
    UnreachableError
        If there is no usable answer in time.
    BrokerError
        If the broker refuses, for example because of the keys.
    """
    began, attempt = clock(), 0
    deadline = retry_deadline(floor_hour(began), began)
    while True:
        try:
            return request()
        except UnreachableError as error:
            if not endless and clock() >= deadline:
                raise
            if not attempt:
                on_failure(error)
        sleep(retry_seconds(attempt))
        attempt += 1
