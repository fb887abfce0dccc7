"""A server on this machine that answers like Alpaca's trading API for crypto, with faults on command.

In a test::

    with AlpacaTradingServer(prices={"BTC/USD": 50_000}) as server:
        broker = AlpacaBroker(..., paper=True, url=server.url)
        server.fail(accept_then(reset()))       # the next POST /v2/orders is accepted, but never answered
        server.fates.append(partly(0.4))        # the next accepted order fills by 40 % and ends
        server.prices["BTC/USD"] = 51_000       # or a callable: symbol -> price
        server.set_position("BTC/USD", 0.5)     # something happened outside
        server.posted                           # every order body that arrived, as text

By hand: ``python tests/support/alpaca_trading_server.py --port 8901 --price BTC/USD=60000``.  While it runs,
``curl -X POST http://127.0.0.1:8901/faults/reset-after-accept`` arms a fault for the next order, and
``curl http://127.0.0.1:8901/state`` shows everything.  All state lives in this process: clients may be
killed and started again.
"""

from __future__ import annotations

import argparse
import contextlib
import fnmatch
import json
import socket
import struct
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

if __name__ == "__main__":  # started as a script, it still finds its neighbour under the name tests use
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from support.alpaca_exchange import Exchange
from support.alpaca_orders import late, partly, race, rejected, stuck

KEY, SECRET = "PKPLAINLYAKEY0000001", "sPlainlyASecretOfFortyCharacters00000002"
ORDERS = "POST /v2/orders"
HTML = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"


# Faults: what happens to a request.  `proceed` does what was asked and returns (status, content).


def reset():
    """Cut the connection without an answer."""

    def fault(handler, proceed):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()
        handler.close_connection = True

    return fault


def silence():
    """Never answer, until the server is closed."""

    def fault(handler, proceed):
        handler.server.closing.wait(600)
        handler.close_connection = True

    return fault


def status(code, body='{"message": "no"}', *, content_type="application/json", **headers):
    """Answer `code` with `body`; header names are written with underscores."""
    return lambda handler, proceed: handler.answer(code, body, content_type, headers)


def html(code):
    """Answer as a proxy on the way does."""
    return status(code, HTML, content_type="text/html")


def trickle(seconds=0.02):
    """Send one byte after the other, so slowly that no socket time-out ever strikes."""

    def fault(handler, proceed):
        handler.begin(200, "application/json", {"Content-Length": "1000000"})
        while not handler.server.closing.wait(seconds):
            handler.wfile.write(b" ")
        handler.close_connection = True

    return fault


def slow(seconds):
    """Do what was asked and answer it, but only after some time."""

    def fault(handler, proceed):
        handler.server.closing.wait(seconds)
        handler.reply(*proceed())

    return fault


def accept_then(fault):
    """Do what was asked, then let `fault` take the place of the answer."""

    def both(handler, proceed):
        proceed()
        fault(handler, proceed)

    return both


FAULTS = {
    "silence-after-accept": accept_then(silence()),
    "504-after-accept": accept_then(html(504)),
    "reset-after-accept": accept_then(reset()),
    "reset-before-accept": reset(),
    "silence-before-accept": silence(),
    "500": status(500, '{"code": 50010000, "message": "internal server error occurred"}'),
    "429": status(429, '{"message": "too many requests."}'),
    "html": html(502),
    "slow": slow(3),
}
FATES = {"partly": partly(0.5), "late": late(), "stuck": stuck, "race": race(), "rejected": rejected}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request as it arrived: `query` holds the last value of each parameter, `body` the raw text."""

    method: str
    path: str
    query: dict
    body: str
    headers: dict

    @property
    def line(self):
        return f"{self.method} {self.path}"


class AlpacaTradingServer(Exchange):
    """See the module's text; the attributes of `Exchange` are its own.

    Attributes
    ----------
    url : str
        Where it listens, once entered.
    requests : list of Request
        What was asked, in order of arrival.
    date : datetime or None
        The server's clock in answers; None is the real one.
    lock : threading.RLock
        Held while a request changes anything.
    chance : callable or None
        Given each request for which no fault waits; returns one, or None.
    """

    def __init__(self, *, port=0, key=KEY, secret=SECRET, **options):
        super().__init__(**options)
        self.port, self.keys = port, (key, secret)
        self.requests, self.date, self.chance = [], None, None
        self.lock = threading.RLock()
        self._faults = []

    def __enter__(self):
        self._http = _Server(("127.0.0.1", self.port), _Handler)
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

    def fail(self, fault, *, on=ORDERS, times=1):
        """Let `fault` meet the next requests whose "METHOD path" matches the pattern `on`."""
        with self.lock:
            self._faults += [(on, fault)] * times

    @property
    def posted(self):
        """The body of every order that arrived, as text."""
        return [request.body for request in self.requests if request.line == ORDERS]

    def lines(self):
        """Return "METHOD path" of every request."""
        return [request.line for request in self.requests]

    def take_fault(self, request):
        """Note a request; return the fault that waits for it, or None."""
        with self.lock:
            self.requests.append(request)
            for index, (on, fault) in enumerate(self._faults):
                if fnmatch.fnmatchcase(request.line, on):
                    del self._faults[index]
                    return fault
        return self.chance(request) if self.chance else None

    def proceed(self, request):
        """Do what was asked, if the keys are right."""
        with self.lock:
            given = tuple(
                request.headers.get(name, "") for name in ("apca-api-key-id", "apca-api-secret-key")
            )
            if not all(given):
                return 401, {"message": "unauthorized."}
            if given != self.keys:
                return 403, {"message": "forbidden."}
            return self.handle(request)

    def control(self, request):
        """Answer what is asked by hand: /state, /faults/NAME, /fates/NAME; None for Alpaca's own paths."""
        match (request.method, *request.path.strip("/").split("/")):
            case ("GET", "state"):
                with self.lock:
                    positions = [self._position(symbol) for symbol in self.holdings]
                    orders = [self._json(order) for order in self.orders]
                    lines = self.lines()
                    return 200, {
                        "account": self._account(),
                        "positions": positions,
                        "orders": orders,
                        "requests": lines,
                    }
            case ("POST", "faults", name) if name in FAULTS:
                self.fail(FAULTS[name])
            case ("POST", "fates", name) if name in FATES:
                self.fates.append(FATES[name])
            case (_, "faults" | "fates", *_):
                return 404, {"faults": sorted(FAULTS), "fates": sorted(FATES)}
            case _:
                return None
        return 200, {"armed": request.path}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, *args):
        super().__init__(*args)
        self.closing = threading.Event()

    def handle_error(self, request, client_address):
        """Stay quiet about clients that leave early; they are what these tests are about."""
        if not isinstance(sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or each further answer on a connection takes 40 ms

    def _serve(self):
        api = self.server.api
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if len(body) < length:  # the client gave up while it sent: nothing arrived
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        request = Request(
            method=self.command,
            path=parts.path,
            query={name: values[-1] for name, values in parse_qs(parts.query).items()},
            body=body.decode(),
            headers={name.lower(): value for name, value in self.headers.items()},
        )
        by_hand = api.control(request)
        if by_hand is not None:
            self.reply(*by_hand)
            return
        fault = api.take_fault(request)
        if fault is None:
            self.reply(*api.proceed(request))
        else:
            fault(self, lambda: api.proceed(request))

    do_GET = do_POST = do_DELETE = do_PATCH = do_PUT = _serve  # noqa: N815 - names the base class looks up

    def reply(self, code, content):
        self.answer(code, "" if code == 204 else json.dumps(content))

    def begin(self, code, content_type, headers):
        self.send_response_only(code)
        self.send_header("Date", format_datetime(self.server.api.date or datetime.now(UTC), usegmt=True))
        self.send_header("Content-Type", content_type)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def answer(self, code, text, content_type="application/json", headers=()):
        content = text if isinstance(text, bytes) else text.encode()
        self.begin(code, content_type, {**dict(headers), "Content-Length": str(len(content))})
        self.wfile.write(content)

    def log_message(self, *_):
        """Keep the test's output clean."""


def _price(text):
    symbol, _, price = text.partition("=")
    if "/" not in symbol or Decimal(price) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not SYMBOL=PRICE, for example BTC/USD=60000")
    return symbol, Decimal(price)


def main():
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A stand-in for Alpaca's trading API on this machine.")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--cash", type=Decimal, default=Decimal(100_000), help="USD in the account")
    parser.add_argument("--price", type=_price, action="append", default=[], metavar="SYMBOL=PRICE")
    parser.add_argument("--default-price", type=Decimal, default=Decimal(100), help="of any other symbol")
    options = parser.parse_args()
    prices = dict(options.price)
    server = AlpacaTradingServer(
        port=options.port,
        cash=options.cash,
        prices=lambda symbol: prices.get(symbol, options.default_price),
    )
    with server, contextlib.suppress(KeyboardInterrupt):
        print(f"Alpaca's trading API, played at {server.url}\n", flush=True)
        print("Point the tool to it in another terminal:")
        print(f"  export CRYPTO_ALPACA_TRADING_URL={server.url}")
        print(f"  export ALPACA_API_KEY={KEY} ALPACA_SECRET_KEY={SECRET}\n")
        print("For the next order, by `curl -X POST`:")
        print("\n".join(f"  {server.url}/faults/{name}" for name in FAULTS))
        print("\n".join(f"  {server.url}/fates/{name}" for name in FATES))
        print(f"Everything it knows: {server.url}/state\nCtrl-C ends it.", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
