"""HTTP with bounds: time-outs, a deadline, few retries, and what the answers say about the clock."""

from __future__ import annotations

import json
import logging
import math
import queue
import random
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, cast

import requests

from crypto_refactor.transport.endpoints import is_loopback
from crypto_refactor.transport.failures import describe_failure, excerpt, read_error_response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from crypto_refactor.errors import CryptoRefactorError
    from crypto_refactor.transport.failures import FailureReporter

_log = logging.getLogger(__name__)
_random = random.SystemRandom()
_T = TypeVar("_T")

_RETRIED = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_SERVER_FAULT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLimits:
    """How long, and how often, an answer is waited for.

    Attributes
    ----------
    connect, read : float
        Seconds until a connection stands, and between two pieces of an answer.
    total : float
        Seconds for a whole call with its retries and waits, for every page it is expected to have.
    attempts : int
        Requests for one page, the first one included.
    first_wait, longest_wait : float
        Seconds before the first retry, doubled for each further one up to the longest; shortened by a
        random part of up to a half, so that many clients do not come back at once.
    """

    connect: float = 5.0
    read: float = 20.0
    total: float = 90.0
    attempts: int = 4
    first_wait: float = 1.0
    longest_wait: float = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    error: CryptoRefactorError
    asked_wait: float = 0.0


class _DeadlineBody:
    """The body of a request that changes something: it leaves in time, or not at all.

    The caller stops waiting at the deadline, but the thread that sends may still hang, say, in a look-up of
    the host's name.  Were the body sent afterwards, an order would arrive that its sender has given up.
    """

    def __init__(self, content: bytes, *, leaves_by: float) -> None:
        self._content = content
        self._leaves_by = leaves_by

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        if time.monotonic() > self._leaves_by:
            raise requests.Timeout("the request did not leave in time")
        yield self._content


class BoundedSession(requests.Session):
    """A session for one call (all its pages): bounded in time, retrying what can be retried.

    Only GET is ever retried.  Anything else is sent once: no answer does not mean that nothing was done.

    Parameters
    ----------
    limits : HttpLimits
        The bounds.
    seconds : float
        The deadline of the whole call, from now.
    reporter : FailureReporter
        Words what went wrong.
    secrets : tuple of str
        Texts that never appear in a message.
    clock : callable
        Returns the aware local time.
    sleep : callable
        Waits for so many seconds.

    Attributes
    ----------
    answered_at : datetime or None
        The server's clock at the first accepted answer.
    skew_seconds : float or None
        How far the local clock is ahead of the server's, as little as the last answer allows.
    last_text : str
        The beginning of the last accepted answer.
    """

    def __init__(
        self,
        *,
        limits: HttpLimits,
        seconds: float,
        reporter: FailureReporter,
        secrets: tuple[str, ...],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        super().__init__()
        self._limits = limits
        self._ends = time.monotonic() + seconds
        self._leaves_by = self._ends - seconds / 2
        self._reporter = reporter
        self._secrets = secrets
        self._clock = clock
        self._sleep = sleep
        self._pages: set[object] = set()
        self.answered_at: datetime | None = None
        self.skew_seconds: float | None = None
        self.last_text = ""

    def request(self, method: str | bytes, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send one request; retry it if it is a GET.

        Raises
        ------
        CryptoRefactorError
            The reporter's, if there is no usable answer within the bounds.
        """
        self.trust_env = not is_loopback(str(url))  # a proxy must not see what is meant for this machine
        self._refuse_repeated_page(options.get("params") or {})
        attempts = self._limits.attempts if method == "GET" else 1
        if options.get("json") is not None:
            options["data"] = _DeadlineBody(
                json.dumps(options.pop("json")).encode(), leaves_by=self._leaves_by
            )
            options["headers"] = {**(options.get("headers") or {}), "Content-Type": "application/json"}
        for attempt in count(1):
            outcome = self._attempt(method, url, *args, **options)
            if isinstance(outcome, requests.Response):
                return outcome
            doubled = self._limits.first_wait * 2.0 ** (attempt - 1)
            backed_off = min(doubled, self._limits.longest_wait) * _random.uniform(0.5, 1)
            wait = max(backed_off, outcome.asked_wait)
            if attempt >= attempts or wait > self._remaining():
                raise outcome.error
            _log.info("%s Attempt %d follows in %.1f s.", outcome.error.what, attempt + 1, wait)
            self._sleep(wait)
        raise AssertionError  # pragma: no cover - the loop above has no end

    def _remaining(self) -> float:
        return self._ends - time.monotonic()

    def _attempt(self, *args: Any, **options: Any) -> requests.Response | _Failure:
        left = max(self._remaining(), 0.001)
        options["timeout"] = (min(self._limits.connect, left), min(self._limits.read, left))
        sent = self._clock()
        try:
            answer = super().request(*args, **options)
        except requests.RequestException as error:
            # Returned rather than raised from here: the chain would carry the request and its keys.
            failure = _Failure(error=self._reporter.unreachable(describe_failure(error, self._secrets)))
            if not isinstance(error, _RETRIED):
                return replace(failure, asked_wait=math.inf)
            return failure
        answer.encoding = "utf-8"  # guessing it takes seconds on a full page
        date = _date(answer.headers.get("Date"))
        if date is not None:
            self.skew_seconds = _skew(sent, self._clock(), date)
        if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            refusal = read_error_response(answer, self._secrets)
            return _Failure(error=self._reporter.refused(refusal), asked_wait=_asked_wait(answer, date))
        self.answered_at = self.answered_at or date
        self.last_text = excerpt(answer, self._secrets)
        return answer

    def _refuse_repeated_page(self, params: dict[str, Any]) -> None:
        page = params.get("page_token")
        if page in self._pages:
            raise self._reporter.unreachable("it answered with the same page twice")
        self._pages.add(page)


def call_with_timeout(seconds: float, work: Callable[[], _T]) -> _T:
    """Return what `work` returns, waiting no longer than `seconds`.

    Time-outs on a socket bound neither a name server that hangs nor an answer that trickles in; so the work
    runs in a thread of its own, which is left behind when time is up.

    Raises
    ------
    TimeoutError
        When time is up.
    """
    results: queue.SimpleQueue[tuple[_T, None] | tuple[None, BaseException]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((work(), None))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            results.put((None, error))

    threading.Thread(target=run, daemon=True, name="alpaca").start()
    try:
        value, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return cast("_T", value)


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def _skew(sent: datetime, received: datetime, date: datetime) -> float:
    # The server stamped the answer somewhere in [date, date + 1 s), here between `sent` and `received`.
    least = (sent - date).total_seconds() - 1
    most = (received - date).total_seconds()
    return least if least > 0 else min(most, 0.0)


def _asked_wait(answer: requests.Response, date: datetime | None) -> float:
    """Return the seconds the server wants to be left alone; infinity if asking again is of no use."""
    if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS and answer.status_code < _SERVER_FAULT:
        return math.inf
    text = answer.headers.get("Retry-After", "").strip()
    until = _date(text)
    try:
        if text.isdecimal():
            return float(text)
        if until is None and date is not None and answer.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            until = datetime.fromtimestamp(float(answer.headers["X-RateLimit-Reset"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return 0.0
    return max((until - date).total_seconds(), 0.0) if until and date else 0.0
