"""Connections that another thread can end, whatever they wait for."""

import socket
import threading
from contextlib import suppress
from functools import partial
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError


class Connections:
    """The open connections of one session.

    A socket's time-out bounds a single wait: a server that sends a byte a second never meets it.

    Attributes
    ----------
    opened : bool
        Whether any connection was ever established.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._ended = False
        self.opened = False

    def add(self, opened: socket.socket) -> bool:
        """Note a new connection; False where it comes too late."""
        with self._lock:
            self.opened = True
            if not self._ended:
                # A handle of its own, since TLS takes over the socket itself.
                self._sockets.append(opened.dup())
            return not self._ended

    def end(self) -> None:
        """End every connection, and allow no further one."""
        with self._lock:
            self._ended = True
            for opened in self._sockets:
                with suppress(OSError):  # the server may have been faster
                    opened.shutdown(socket.SHUT_RDWR)
                opened.close()
            self._sockets.clear()


class ConnectionAdapter(HTTPAdapter):
    """Sends requests over connections that `connections` can end."""

    def __init__(self, connections: Connections) -> None:
        # Classes made for each session would be circles, which stay until the garbage collector finds them.
        self._pools: dict[str, Any] = {
            "http": partial(_PlainPool, connections=connections),
            "https": partial(_SecurePool, connections=connections),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        """Create the pools of direct connections."""
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, *args: Any, **options: Any) -> Any:
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(*args, **options)
        manager.pool_classes_by_scheme = self._pools
        return manager


class _Noted(HTTPConnection):
    """A connection that is noted as soon as it is open, before TLS or a proxy begins to talk."""

    def __init__(self, *args: Any, connections: Connections, **options: Any) -> None:
        super().__init__(*args, **options)
        self._connections = connections

    def _new_conn(self) -> socket.socket:
        opened = super()._new_conn()
        if not self._connections.add(opened):
            opened.close()
            raise ConnectTimeoutError(self, "the request was given up")
        return opened


class _NotedSecure(_Noted, HTTPSConnection):
    """The same with TLS."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Noted


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _NotedSecure
