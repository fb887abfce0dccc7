"""Notices to every receiver: none waits for another, and trading waits for none."""

import json
import logging
import time
from collections.abc import Iterable

from crypto_refactor.trading.notifications.addresses import open_senders
from crypto_refactor.trading.notifications.delivery import FIRST_WAIT, Delivery
from crypto_refactor.trading.notifications.notices import Notice

_log = logging.getLogger(__name__)


class Notifier:
    """Posts each notice to every receiver.

    Parameters
    ----------
    urls : iterable of str
        The receivers: http and https URLs, and those of apprise.
    first_wait : float
        Seconds before the first retry.

    Raises
    ------
    UsageError
        If one of them cannot be used.
    """

    def __init__(self, urls: Iterable[str], *, first_wait: float = FIRST_WAIT) -> None:
        self._deliveries = [Delivery(sender, first_wait=first_wait) for sender in open_senders(urls)]
        self._dropped = 0
        self._closed = False

    @property
    def undelivered(self) -> int:
        """How many notices were lost, or wait for a receiver that does not take them, over all receivers."""
        return self._dropped + sum(delivery.undelivered for delivery in self._deliveries)

    def post(self, notice: Notice) -> None:
        """Queue a notice for every receiver; returns at once, whatever they do."""
        try:
            json.dumps(notice, allow_nan=False)
        except (ValueError, TypeError) as error:
            _log.warning("A notice cannot be written as JSON and is dropped: %s.", type(error).__name__)
            self._dropped += 1
            return
        for delivery in self._deliveries:
            delivery.post(notice)

    def close(self, timeout: float) -> None:
        """Post what is queued, for `timeout` seconds at most in all, and stop."""
        if self._closed:
            return
        self._closed = True
        for delivery in self._deliveries:
            delivery.begin_closing()
        until = time.monotonic() + timeout
        for delivery in self._deliveries:
            delivery.finish(max(until - time.monotonic(), 0.0))
