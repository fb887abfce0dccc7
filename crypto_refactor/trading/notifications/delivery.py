"""The way of notices to one receiver: a queue, and a thread that empties it in order."""

import logging
import threading
import time
from collections import deque

from crypto_refactor.trading.notifications.notices import Notice
from crypto_refactor.trading.notifications.sender import Refusal, Sender

_log = logging.getLogger(__name__)

_MAX_QUEUED = 200
"""Notices that may wait; a receiver that is further behind loses the oldest."""
FIRST_WAIT = 1.0
"""Seconds before the first retry, doubled from one to the next."""
_LONGEST_WAIT = 300.0
_CLOSING_WAIT = 0.2
"""The same while the process ends."""
_MAX_REFUSALS = 3
"""How often a receiver may refuse a notice before the next one is sent."""


class Delivery:
    """Sends notices from its own thread, in order, each until it is delivered.

    The thread is a daemon: unlike the workers of `concurrent.futures`, it cannot delay the end of the process.
    """

    def __init__(self, sender: Sender, *, first_wait: float = FIRST_WAIT) -> None:
        self._sender = sender
        self._first_wait = first_wait
        self._waiting: deque[Notice] = deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._failing_since: float | None = None
        self._closing = False
        self._cancelled = False
        self.thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self.thread.start()

    @property
    def undelivered(self) -> int:
        """How many notices were lost, or wait for a receiver that does not take them."""
        with self._changed:
            late = self._closing or self._failing_since is not None
            return self._lost + (len(self._waiting) if late else 0)

    def post(self, notice: Notice) -> None:
        """Queue a notice; returns at once, whatever the receiver does."""
        with self._changed:
            if self._closing:
                return
            if len(self._waiting) >= _MAX_QUEUED:
                if not self._lost:
                    _log.warning("%s is too far behind: the oldest notices are dropped.", self._sender.name)
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(dict(notice))  # a dict of its own, which tells it from an equal one
            self._changed.notify_all()

    def begin_closing(self) -> None:
        """Take no more notices, and hurry."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()

    def finish(self, timeout: float) -> None:
        """Wait for what is queued, for `timeout` seconds at most, stop, and log what was not delivered."""
        self.thread.join(timeout)
        self._cancelled = True
        if self.undelivered:
            _log.warning("Notices that were not delivered to %s: %d.", self._sender.name, self.undelivered)

    def _run(self) -> None:
        while (notice := self._oldest()) is not None:
            self._deliver(notice)

    def _oldest(self) -> Notice | None:
        """Return the oldest notice, which stays in the queue until it is settled; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting[0] if self._waiting and not self._cancelled else None

    def _deliver(self, notice: Notice) -> None:
        """Send a notice until it is taken, refused for good, or dropped because too many have come since."""
        wait, refusals = self._first_wait, 0
        while not self._cancelled and self._is_oldest(notice):
            refusal = self._sender.send(notice)
            refusals += refusal is not None and refusal.notice_at_fault
            if refusal is None or refusals >= _MAX_REFUSALS:
                self._settle(notice, delivered=refusal is None)
                return
            if self._cancelled:  # it was counted already, and is not retried
                return
            self._note_failure(refusal)
            with self._changed:
                if self._closing:
                    self._changed.wait(_CLOSING_WAIT)
                else:
                    self._changed.wait_for(lambda: self._closing, wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _is_oldest(self, notice: Notice) -> bool:
        with self._changed:
            return bool(self._waiting) and self._waiting[0] is notice

    def _settle(self, notice: Notice, *, delivered: bool) -> None:
        with self._changed:
            if self._is_oldest(notice):
                self._waiting.popleft()
                self._lost += not delivered
            if delivered and self._failing_since is not None:
                seconds = time.monotonic() - self._failing_since
                name = self._sender.name
                _log.warning("Notices are delivered to %s again, after %.0f s.", name, seconds)
                self._failing_since = None

    def _note_failure(self, refusal: Refusal) -> None:
        with self._changed:
            if self._failing_since is None:
                self._failing_since = time.monotonic()
                name, why = self._sender.name, refusal.why
                _log.warning("A notice could not be posted to %s: %s. It is retried.", name, why)
