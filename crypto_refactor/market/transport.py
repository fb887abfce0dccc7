"""HTTP with bounds: time-outs, a deadline, few retries, and what the answers say about the clock."""

from __future__ import annotations

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

from crypto_refactor.errors import DataError, UnavailableError
from crypto_refactor.market.address import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger(__name__)
_random = random.SystemRandom()
_T = TypeVar("_T")

_RETRIED = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)
_UNKNOWN = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY})
_SERVER_FAULT = 500
_READ, _SHOWN = 4096, 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
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
    error: DataError
    asked_wait: float = 0.0


class BoundedSession(requests.Session):
    """A session for one call (all its pages): bounded in time, retrying what can be retried.

    Parameters
    ----------
    limits : Limits
        The bounds.
    seconds : float
        The deadline of the whole call, from now.
    subject : str
        What is asked for, for messages.
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
        limits: Limits,
        seconds: float,
        subject: str,
        secrets: tuple[str, ...],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None],
    ) -> None:
        super().__init__()
        self._limits = limits
        self._ends = time.monotonic() + seconds
        self._subject = subject
        self._secrets = secrets
        self._clock = clock
        self._sleep = sleep
        self._pages: set[object] = set()
        self.answered_at: datetime | None = None
        self.skew_seconds: float | None = None
        self.last_text = ""

    def request(self, method: str | bytes, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send one request, with retries.

        Raises
        ------
        UnavailableError
            If the server does not know the symbol.
        DataError
            If there is no usable answer within the bounds.
        """
        self.trust_env = not is_loopback(str(url))  # a proxy must not see what is meant for this machine
        self._refuse_repeated_page(options.get("params") or {})
        for attempt in count(1):
            outcome = self._attempt(method, url, *args, **options)
            if isinstance(outcome, requests.Response):
                return outcome
            doubled = self._limits.first_wait * 2.0 ** (attempt - 1)
            backed_off = min(doubled, self._limits.longest_wait) * _random.uniform(0.5, 1)
            wait = max(backed_off, outcome.asked_wait)
            if attempt >= self._limits.attempts or wait > self._remaining():
                raise outcome.error
            _log.info("%s Attempt %d follows in %.1f s.", outcome.error.what, attempt + 1, wait)
            self._sleep(wait)
        raise AssertionError  # pragma: no cover - the loop above has no end

    def _shown(self, text: str) -> str:
        return shown(text, self._secrets)

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
            failure = _Failure(error=self._unreachable(self._shown(_reason(error))))
            if not isinstance(error, _RETRIED):
                return replace(failure, asked_wait=math.inf)
            return failure
        answer.encoding = "utf-8"  # guessing it takes seconds on a full page
        date = _date(answer.headers.get("Date"))
        if date is not None:
            self.skew_seconds = _skew(sent, self._clock(), date)
        if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            return _Failure(error=self._refused(answer), asked_wait=_asked_wait(answer, date))
        self.answered_at = self.answered_at or date
        self.last_text = self._shown(answer.text[:_READ])
        return answer

    def _refuse_repeated_page(self, params: dict[str, Any]) -> None:
        page = params.get("page_token")
        if page in self._pages:
            raise DataError(
                f"Alpaca answered the request for {self._subject} with the same page twice.",
                expected="a new page each time, and an end.",
                remedy="try again later; nothing was stored.",
            )
        self._pages.add(page)

    def _unreachable(self, reason: str) -> DataError:
        return DataError(
            f"Alpaca could not be asked for {self._subject}: {reason}.",
            expected=f"an answer within {self._limits.attempts} attempts.",
            remedy="check the network, then run the command again; bars already stored were kept.",
        )

    def _refused(self, answer: requests.Response) -> DataError:
        status, text = answer.status_code, self._shown(_message(answer))
        what = f"Alpaca answered the request for {self._subject} with {status}: {text!r}."
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            expected = "200: keys Alpaca accepts, or none."
            remedy = "correct ALPACA_API_KEY and ALPACA_SECRET_KEY, or unset both: bars need no keys."
        elif status == HTTPStatus.TOO_MANY_REQUESTS:
            expected = "fewer requests than Alpaca's limit per minute."
            remedy = "wait a minute, then run the command again; keys raise the limit."
        elif status in _UNKNOWN and "symbol" in text.lower():
            return UnavailableError(
                what,
                expected="a ticker Alpaca offers.",
                remedy="leave that ticker out, or use another source.",
            )
        else:
            expected = "200."
            remedy = "try again in a few minutes; bars already stored were kept."
        return DataError(what, expected=expected, remedy=remedy)


def shown(text: str, secrets: tuple[str, ...]) -> str:
    """Return the beginning of `text` on one line, without the secrets: fit for a message."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def within(seconds: float, work: Callable[[], _T]) -> _T:
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


def _reason(error: BaseException) -> str:
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    while error.__context__ is not None:
        error = error.__context__
    return str(error) or type(error).__name__


def _message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, TypeError, KeyError):
        return answer.text[:_READ]


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
