"""A server on this machine that answers like Alpaca's crypto data API, with faults on command.

    with AlpacaDataServer() as server:
        server.offer(bars)
        server.script = [status(429), None, reset()]  # one entry a request; None answers as usual
        AlpacaSource(path, url=server.url)

`server.always` is the fault of every request that finds the script empty.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from crypto_refactor.market.hours import to_iso


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived: `query` holds the last value of each parameter."""

    path: str
    query: dict
    headers: dict

    @property
    def symbols(self):
        return self.query["symbols"].split(",")

    @property
    def range(self):
        """First and last full hour asked for, both included, as ISO text."""
        stamps = (datetime.fromisoformat(self.query[name]).astimezone(UTC) for name in ("start", "end"))
        return tuple(stamp.strftime("%Y-%m-%dT%H:%M:%SZ") for stamp in stamps)


def status(code, body='{"message": "no"}', *, content_type="application/json", **headers):
    """Answer with `code`; header names are written with underscores."""
    return lambda handler: handler.answer(code, body, content_type, headers)


def body(text, *, content_type="application/json"):
    """Answer 200 with `text` whatever was asked."""
    return status(200, text, content_type=content_type)


def reset():
    """Cut the connection without an answer."""

    def fault(handler):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    return fault


def cut():
    """End the answer in its middle."""

    def fault(handler):
        handler.begin(200, "application/json", {"Content-Length": "1000"})
        handler.wfile.write(b'{"bars": {')
        handler.close_connection = True

    return fault


def silence():
    """Never answer, until the server is closed."""

    def fault(handler):
        handler.server.closing.wait(60)
        handler.close_connection = True

    return fault


def trickle(seconds=0.02):
    """Send one byte after the other, so slowly that no socket time-out ever strikes."""

    def fault(handler):
        handler.begin(200, "application/json", {"Content-Length": "1000000"})
        while not handler.server.closing.wait(seconds):
            handler.wfile.write(b" ")
        handler.close_connection = True

    return fault


class AlpacaDataServer:
    """See the module's text.

    Attributes
    ----------
    rows : dict of str to list of dict
        The bars of each symbol as Alpaca sends them, in time order; edit them at will.
    trades : dict of str to dict
        The latest trade of each symbol.
    quotes : dict of str to dict
        The latest quote of each symbol: ``t``, ``bp`` and ``ap``.
    invalid : set of str
        Symbols that spoil a request with 400.
    page_size : int
        Bars on a page, at most.
    date : datetime or None
        The server's clock; None is the real one.
    dated : bool
        Whether answers carry a Date at all.
    chance : callable or None
        Given each request that no other fault meets; returns a fault as `AlpacaTradingServer` knows them, or None.
    requests : list of Request
        What was asked, in order of arrival.
    """

    def __init__(self, *, page_size=10_000, date=None):
        self.rows, self.trades, self.quotes, self.invalid = {}, {}, {}, set()
        self.page_size, self.date, self.dated = page_size, date, True
        self.script, self.always, self.chance = [], None, None
        self.requests = []

    def __enter__(self):
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.api = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        return self

    def __exit__(self, *_):
        self._http.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def proceed(self, request):
        """Return (status, content) of a request."""
        if request.path == "/v1beta3/crypto/us/bars":
            return self.page(request)
        if request.path == "/v1beta3/crypto/us/latest/trades":
            trades = {symbol: self.trades[symbol] for symbol in request.symbols if symbol in self.trades}
            return 200, {"trades": trades}
        if request.path == "/v1beta3/crypto/us/latest/quotes":
            quotes = {symbol: self.quotes[symbol] for symbol in request.symbols if symbol in self.quotes}
            return 200, {"quotes": quotes}
        return 404, {"message": "no such path"}

    def offer(self, bars):
        """Serve `bars`, a `Bars`, in place of what was served for its ticker."""
        self.rows[str(bars.ticker)] = [
            {
                "t": to_iso(int(bars.opened[row])),
                "o": float(bars.open[row]),
                "h": float(bars.high[row]),
                "l": float(bars.low[row]),
                "c": float(bars.close[row]),
                "v": float(bars.volume[row]),
                "n": 7,
                "vw": float(bars.close[row]),
            }
            for row in range(len(bars))
        ]

    def page(self, request):
        """Return status and body of a bars request: both ends included, by symbol, then by time."""
        refused = self.invalid.intersection(request.symbols)
        if refused:
            return 400, {"message": f"invalid symbol: {refused.pop()}"}
        start, end = (datetime.fromisoformat(request.query[name]) for name in ("start", "end"))
        found = [
            (symbol, row)
            for symbol in sorted(request.symbols)
            for row in self.rows.get(symbol, [])
            if start <= datetime.fromisoformat(row["t"]) <= end
        ]
        first = int(request.query.get("page_token", 0))
        stop = first + min(self.page_size, int(request.query.get("limit", 1000)))
        bars = {}
        for symbol, row in found[first:stop]:
            bars.setdefault(symbol, []).append(row)
        return 200, {"bars": bars, "next_page_token": str(stop) if stop < len(found) else None}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args):
        super().__init__(*args)
        self.closing = threading.Event()

    def handle_error(self, request, client_address):
        """Stay quiet: clients that leave early are what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each further answer on a connection takes 40 ms

    def do_GET(self):
        api = self.server.api
        parts = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        request = Request(path=parts.path, query=query, headers=dict(self.headers))
        api.requests.append(request)
        fault = api.script.pop(0) if api.script else api.always
        chance = api.chance(request) if fault is None and api.chance else None
        if fault is not None:
            fault(self)
        elif chance is not None:
            chance(self, lambda: api.proceed(request))
        else:
            code, content = api.proceed(request)
            self.answer(code, json.dumps(content))

    def begin(self, code, content_type, headers):
        self.send_response_only(code)
        if self.server.api.dated:
            date = self.server.api.date or datetime.now(UTC)
            self.send_header("Date", format_datetime(date, usegmt=True))
        self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def answer(self, code, text, content_type="application/json", headers=()):
        content = text.encode()
        self.begin(code, content_type, {**dict(headers), "Content-Length": str(len(content))})
        self.wfile.write(content)

    def log_message(self, *_):
        """Keep the test's output clean."""
