"""Connections that another thread can end, whatever they wait for."""

import socket
import threading
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError


class Connections:
    """The open connections of one session.

    A socket's time-out bounds a single wait: a server that sends a byte a second never meets it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self._ended = False

    def add(self, opened: socket.socket) -> bool:
        """Note a new connection; False where it comes too late."""
        with self._lock:
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
        self._pools = _pools(connections)
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


def _pools(connections: Connections) -> dict[str, type[HTTPConnectionPool]]:
    """Return pools whose connections are noted as soon as they are open, before TLS or a proxy begins to talk."""

    class Noted(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            opened = super()._new_conn()
            if not connections.add(opened):
                opened.close()
                raise ConnectTimeoutError(self, "the request was given up")
            return opened

    class Plain(HTTPConnectionPool):
        ConnectionCls = Noted

    class Secure(HTTPSConnectionPool):
        ConnectionCls = type("NotedSecure", (HTTPSConnection, Noted), {})

    return {"http": Plain, "https": Secure}
