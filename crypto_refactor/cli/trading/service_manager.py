"""What systemd is told of a continuous run: that it is ready, that its loop turns, that it stops.

The protocol of ``sd_notify(3)`` is one datagram to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping

_log = logging.getLogger(__name__)

_PARTS_OF_THE_TIMEOUT = 3
"""How often the loop reports within the time that the watchdog allows."""
_NAP_SECONDS = 1.0
"""How long a signal may go unnoticed that comes in the moment in which a sleep begins."""


class ServiceManager:
    """Reports to the service manager that started this process; without one, nothing is sent.

    Attributes
    ----------
    interval : float or None
        Seconds between two signs of life; None where no watchdog waits for them.
    """

    def __init__(
        self,
        environment: Mapping[str, str] | None = None,
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        values = os.environ if environment is None else environment
        self._address = values.get("NOTIFY_SOCKET", "")
        self._sleep_once, self._clock = sleep, clock
        self.interval = _interval(values) if self._address else None

    def ready(self, status: str) -> None:
        """Say that the run has begun."""
        self._send(f"READY=1\nSTATUS={status}")

    def stopping(self) -> None:
        """Say that the run is about to end."""
        self._send("STOPPING=1")

    def sleep(self, seconds: float) -> None:
        """Wait, and show a sign of life in time: only a loop that comes here is alive.

        Threads that process a ticker wait here, too.  They say nothing about the loop.
        """
        if threading.current_thread() is not threading.main_thread():
            self._sleep_once(seconds)
            return
        until = self._clock() + seconds
        self._show_life()
        while (remaining := until - self._clock()) > 0:
            self._nap(min(remaining, self.interval or remaining))
            self._show_life()

    def _nap(self, seconds: float) -> None:
        """Wait in small parts: Python looks for signals between two of them."""
        until = self._clock() + seconds
        while (remaining := until - self._clock()) > 0:
            self._sleep_once(min(remaining, _NAP_SECONDS))

    def _show_life(self) -> None:
        if self.interval is not None:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # An address that begins with @ stands for a name without a file.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
                channel.setblocking(False)
                channel.sendto(message.encode(), address)
        except OSError as error:  # no service manager is worth a position that nobody watches
            _log.debug("The service manager was not told %s: %s.", message, error)


def _interval(values: Mapping[str, str]) -> float | None:
    """Return how often a watchdog waits for a sign of this process."""
    try:
        microseconds = int(values.get("WATCHDOG_USEC", ""))
        meant = int(values.get("WATCHDOG_PID", os.getpid())) == os.getpid()
    except ValueError:
        return None
    return microseconds / 1e6 / _PARTS_OF_THE_TIMEOUT if meant and microseconds > 0 else None
