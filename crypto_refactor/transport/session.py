"""HTTP within bounds: time-outs, a deadline, few retries, and the server's clock."""

import json
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import count
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests

from crypto_refactor.errors import CryptoRefactorError
from crypto_refactor.transport.connections import ConnectionAdapter, Connections
from crypto_refactor.transport.endpoints import is_loopback
from crypto_refactor.transport.failures import (
    NoConnectionError,
    NoResponseError,
    RequestFailedError,
    UnreadableResponseError,
    describe_failure,
    excerpt,
    status_error,
)

_log = logging.getLogger(__name__)
_random = random.SystemRandom()
_T = TypeVar("_T")

_PIECE_BYTES = 65_536
_RETRIED = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """Bounds on a request, in seconds, attempts and bytes.

    The wait before a retry doubles each time; a random part of up to a half is taken off it, so that many
    clients do not return at once.
    """

    connect: float = 5.0  # until a connection is established
    read: float = 20.0  # between two pieces of a response
    total: float = 90.0  # for a whole call with retries and waits, for each page it is expected to have
    attempts: int = 4  # for one page, the first one included
    first_wait: float = 1.0
    max_wait: float = 20.0
    body: int = 64_000_000  # of one response, unpacked; a full page of bars has 2 MB


class _DeadlineBody:
    """A request body that is sent in time or not at all.

    At the deadline the caller gives up, but the sending thread may still hang, for example in a DNS look-up.
    Without this check the broker could receive an order that its sender has given up.
    """

    def __init__(self, content: bytes, *, send_by: float) -> None:
        self._content = content
        self._send_by = send_by

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        if time.monotonic() > self._send_by:
            raise requests.Timeout("the request did not leave in time")
        yield self._content


class BoundedSession(requests.Session):
    """A session for one call with all its pages, which ends within `seconds`.

    Only GET is retried.  Anything else is sent once, in the first half of the time or not at all: a missing
    response does not mean that nothing was done.  `secrets` never appear in a message.

    Attributes
    ----------
    server_time : datetime or None
        The server's clock at the first accepted response.
    skew_seconds : float or None
        How far the local clock is ahead of the server's: the smallest value the last response allows.
    last_text : str
        The beginning of the last accepted response.
    """

    def __init__(
        self,
        *,
        limits: HttpLimits,
        seconds: float,
        secrets: tuple[str, ...],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        super().__init__()
        self._limits = limits
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._secrets = secrets
        self._clock = clock
        self._sleep = sleep
        self._page_tokens: set[object] = set()
        self._connections = Connections()
        for scheme in ("http://", "https://"):
            self.mount(scheme, ConnectionAdapter(self._connections))
        self.server_time: datetime | None = None
        self.skew_seconds: float | None = None
        self.last_text = ""

    def call(self, request: Callable[[], Any], parse: Callable[[Any], _T]) -> _T:
        """Run `request`, an SDK call that uses this session, parse what it returns, and close the session.

        A request that has not ended by then ends with its connection: nothing reads on behind it.

        Raises
        ------
        NoResponseError, HttpStatusError
            If no usable response arrives within the bounds.
        UnreadableResponseError
            If the SDK or `parse` cannot read it.
        """
        failure: RequestFailedError
        try:
            return parse(call_with_timeout(self._seconds, request))
        except (RequestFailedError, CryptoRefactorError):
            raise
        except TimeoutError:
            failure = self._no_response(f"no complete answer within {self._seconds:g} s")
        except Exception as error:  # noqa: BLE001 - on an unexpected body the SDK raises whatever it runs into
            _log.debug("%s while a response was read", type(error).__name__)
            failure = UnreadableResponseError(self.last_text)
        finally:
            self._connections.end()
            self.close()
        try:
            raise failure  # outside the handlers: chained, it would carry the request and its keys
        finally:
            del failure  # its traceback holds this frame: a circle

    def request(self, method: str | bytes, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send one request; retry it if it is a GET.

        Raises
        ------
        NoResponseError, HttpStatusError
            If no usable response arrives within the bounds.
        """
        self.trust_env = not is_loopback(str(url))  # no proxy may see what is meant for this machine
        self._refuse_repeated_page(options.get("params") or {})
        if options.get("json") is not None:
            content = json.dumps(options.pop("json")).encode()
            options["data"] = _DeadlineBody(content, send_by=self._deadline - self._seconds / 2)
            options["headers"] = {**(options.get("headers") or {}), "Content-Type": "application/json"}
        attempts = self._limits.attempts if method == "GET" else 1
        for attempt in count(1):
            outcome = self._attempt(method, url, *args, **options)
            if isinstance(outcome, requests.Response):
                return outcome
            wait = max(self._backoff(attempt), outcome.retry_after)
            if attempt >= attempts or wait > self._remaining():
                try:
                    raise outcome
                finally:
                    del outcome  # its traceback holds this frame: a circle
            path = urlsplit(str(url)).path
            _log.info("%s failed (%s). Attempt %d follows in %.1f s.", path, outcome.text, attempt + 1, wait)
            self._sleep(wait)
        raise AssertionError  # pragma: no cover - the loop above has no end

    def _backoff(self, attempt: int) -> float:
        doubled = self._limits.first_wait * 2.0 ** (attempt - 1)
        return min(doubled, self._limits.max_wait) * _random.uniform(0.5, 1)

    def _remaining(self) -> float:
        return self._deadline - time.monotonic()

    def _attempt(self, *args: Any, **options: Any) -> requests.Response | RequestFailedError:
        remaining = max(self._remaining(), 0.001)
        options["timeout"] = (min(self._limits.connect, remaining), min(self._limits.read, remaining))
        options |= {"stream": True, "allow_redirects": False}  # neither body may be read without a bound
        sent = self._clock()
        try:
            response = super().request(*args, **options)
            self._read_body(response)
        except requests.RequestException as error:
            # Returned, not raised: chained, it would carry the request and its keys.
            retry_after = 0.0 if isinstance(error, _RETRIED) else math.inf
            return self._no_response(describe_failure(error, self._secrets), retry_after)
        response.encoding = "utf-8"  # guessing it takes seconds on a full page
        date = _parse_date(response.headers.get("Date"))
        if date is not None:
            self.skew_seconds = _skew(sent, self._clock(), date)
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            return status_error(response, self._secrets, _retry_after(response, date))
        self.server_time = self.server_time or date
        self.last_text = excerpt(response, self._secrets)
        return response

    def _no_response(self, text: str, retry_after: float = math.inf) -> NoResponseError:
        kind = NoResponseError if self._connections.opened else NoConnectionError
        return kind(text, retry_after=retry_after)

    def _read_body(self, response: requests.Response) -> None:
        """Read a body within the bounds: 1 MB on the wire may unpack to 1 GB."""
        pieces, size = [], 0
        with response:
            for piece in response.iter_content(_PIECE_BYTES):
                size += len(piece)
                if size > self._limits.body:
                    raise requests.RequestException(f"its answer has more than {self._limits.body:,} bytes")
                if self._remaining() < 0:
                    raise requests.Timeout("the answer did not end in time")
                pieces.append(piece)
        response._content = b"".join(pieces)  # noqa: SLF001 - where requests itself keeps it

    def _refuse_repeated_page(self, params: dict[str, Any]) -> None:
        token = params.get("page_token")
        if token in self._page_tokens:
            raise NoResponseError("it answered with the same page twice")
        self._page_tokens.add(token)


def call_with_timeout(seconds: float, work: Callable[[], _T]) -> _T:
    """Return what `work` returns, within `seconds`.

    Socket time-outs bound neither a name server that hangs nor a response that trickles in.  So the work
    runs in a daemon thread, which is left behind when time is up.

    Raises
    ------
    TimeoutError
        When time is up.
    """
    future: Future[_T] = Future()
    threading.Thread(target=_run, args=(work, future), daemon=True, name="alpaca").start()
    try:
        return future.result(timeout=seconds)
    finally:
        del future  # it holds an error whose traceback holds this frame: a circle


def _run(work: Callable[[], _T], future: Future[_T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
        future.set_exception(error)
    finally:
        del future


def _parse_date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _skew(sent: datetime, received: datetime, date: datetime) -> float:
    # The server stamped the response somewhere in [date, date + 1 s), here between `sent` and `received`.
    smallest = (sent - date).total_seconds() - 1
    largest = (received - date).total_seconds()
    return smallest if smallest > 0 else min(largest, 0.0)


def _retry_after(response: requests.Response, date: datetime | None) -> float:
    """Return the seconds the server asks to wait, by its own clock; infinity if a retry is pointless."""
    limited = response.status_code == HTTPStatus.TOO_MANY_REQUESTS
    if not limited and response.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return math.inf
    text = response.headers.get("Retry-After", "").strip()
    until = _parse_date(text)
    try:
        if text.isdecimal():
            return float(text)
        if until is None and limited:  # the header Alpaca documents
            until = datetime.fromtimestamp(float(response.headers["X-RateLimit-Reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return 0.0
    return max((until - date).total_seconds(), 0.0) if until and date else 0.0
