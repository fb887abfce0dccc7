"""Bounds on what a server may do to a request: how much it sends, and how long it is listened to."""

from __future__ import annotations

import gc
import gzip
import socket
import threading
import time
import tracemalloc
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from crypto_refactor.transport import (
    BoundedSession,
    HttpLimits,
    NoConnectionError,
    NoResponseError,
    RequestFailedError,
)

SECRET = "s3cret"


class Server:
    """Answers one connection after another with `script(connection)`, and notes when its peer has left."""

    def __init__(self, script):
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/x"
        self.left = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                if not connection.recv(65536):
                    continue
                try:
                    self._script(connection)
                except OSError:
                    self.left.set()

    def close(self):
        self._socket.close()


@pytest.fixture
def serve():
    servers = []

    def start(script):
        servers.append(Server(script))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def call(server, *, seconds=30.0, **limits):
    session = BoundedSession(
        limits=HttpLimits(**{"attempts": 1, "total": seconds} | limits),
        seconds=seconds,
        secrets=(SECRET,),
        clock=lambda: datetime.now(UTC),
        sleep=time.sleep,
    )
    return session.call(lambda: session.request("GET", server.url).json(), lambda content: content)


def answer(body, *headers):
    lines = ["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_a_packed_body_is_not_unpacked_beyond_the_bound(serve):
    packed = gzip.compress(b" " * 300_000_000, 9)
    assert len(packed) < 1_000_000
    server = serve(lambda connection: connection.sendall(answer(packed, "Content-Encoding: gzip")))
    tracemalloc.start()
    try:
        with pytest.raises(RequestFailedError, match="more than 20,000,000 bytes") as caught:
            call(server, body=20_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 60_000_000
    assert caught.value.retry_after == float("inf"), "it would send the same again"


def test_a_plain_body_without_an_end_is_not_read_beyond_the_bound(serve):
    def endless(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b" " * 65536)

    server = serve(endless)
    with pytest.raises(RequestFailedError, match="more than"):
        call(server, body=5_000_000)
    assert server.left.wait(60), "the connection is closed"


def test_a_packed_body_within_the_bound_is_read(serve):
    packed = gzip.compress(b'{"a": ' + b" " * 1_000_000 + b"1}")
    server = serve(lambda connection: connection.sendall(answer(packed, "Content-Encoding: gzip")))
    assert call(server) == {"a": 1}


def trickling(begin):
    def script(connection):
        connection.sendall(begin)
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    return script


@pytest.mark.parametrize(
    "begin",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"],
    ids=["headers", "body"],
)
def test_a_request_that_was_given_up_stops_reading(serve, begin):
    """No time-out of a socket ever strikes here; the connection ends with the call."""
    server = serve(trickling(begin))
    with pytest.raises(RequestFailedError, match="no complete answer"):
        call(server, seconds=0.5, read=60.0)
    assert server.left.wait(60), "the server still has a reader"


def test_a_connection_that_opens_too_late_is_not_used(serve, monkeypatch):
    asked, go_on = threading.Event(), threading.Event()
    server = serve(lambda _connection: asked.set())
    look_up = socket.getaddrinfo

    def slow(*args, **options):
        go_on.wait(60)
        return look_up(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    with pytest.raises(RequestFailedError, match="no complete answer"):
        call(server, seconds=0.3)
    go_on.set()
    _join_threads()
    assert not asked.wait(0.2)


@pytest.fixture
def uncollected():
    """Let nothing start the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


REFUSED = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
UNREADABLE = answer(b"<html>")


@pytest.mark.parametrize("content", [answer(b"1"), REFUSED, UNREADABLE], ids=["well", "503", "unreadable"])
def test_a_call_that_has_ended_is_gone_without_the_garbage_collector(serve, uncollected, content):
    """It takes days to find what circles hold: classes that each call makes, an error and the frame it is in."""
    server = serve(lambda connection: connection.sendall(content))
    with suppress(RequestFailedError):
        call(server)
    before = _left()
    for _ in range(5):
        with suppress(RequestFailedError):
            call(server)
    assert _left() == before


def _left():
    _join_threads()
    return sum(isinstance(item, type | BoundedSession) for item in gc.get_objects())


def _join_threads():
    for thread in threading.enumerate():
        if thread.name == "alpaca":
            thread.join(60)


def test_a_redirect_is_not_followed(serve):
    server = serve(
        lambda connection: connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n")
    )
    with pytest.raises(RequestFailedError) as caught:
        call(server)
    assert caught.value.status == 302


def test_the_password_of_a_proxy_is_not_shown():
    from crypto_refactor.transport import redact_and_truncate

    shown = redact_and_truncate("Cannot connect to http://user:p4ss@proxy:3128/ now", ())
    assert shown == "Cannot connect to http://***@proxy:3128/ now"


# A server that cannot be reached, and one that does not answer


def test_a_server_that_takes_no_connection_cannot_be_reached():
    with socket.socket() as deaf:  # it has a port, so that nobody else listens there
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(NoConnectionError, match="refused"):
            call(SimpleNamespace(url=f"http://127.0.0.1:{deaf.getsockname()[1]}/x"))


def test_a_connection_that_never_comes_about_is_none(serve, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: threading.Event().wait(30))
    with pytest.raises(NoConnectionError, match="no complete answer"):
        call(serve(lambda connection: None), seconds=0.2)


def test_a_server_that_hangs_up_was_reached(serve):
    with pytest.raises(NoResponseError) as caught:
        call(serve(lambda connection: connection.close()))
    assert not isinstance(caught.value, NoConnectionError)
