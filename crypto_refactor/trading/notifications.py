"""Webhook notifications: what happens in a run, posted as JSON, in order, while trading never waits.

A notice that cannot be delivered is retried until the receiver is back.
"""

import json
import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from crypto_refactor.errors import UsageError
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import price_text
from crypto_refactor.trading.brokers import UnknownOutcomeError
from crypto_refactor.trading.ledger import OrderStatus
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable
from crypto_refactor.transport import is_loopback

_log = logging.getLogger(__name__)

SCHEMA = 1
_TIMEOUT = (3.0, 5.0)
"""Seconds until a connection is established, and until the receiver answers."""
_MAX_QUEUED = 200
"""Notices that may wait; a receiver that is further behind loses the oldest."""
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 300.0
"""Seconds before a retry, doubled from one to the next."""
_CLOSING_WAIT = 0.2
"""The same while the process ends."""
_MAX_REFUSALS = 3
"""How often a receiver may refuse a notice before the next one is posted."""
_NOTICE_REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""What says that the notice is at fault, and not the receiver or the way to it."""


def notices(row: TickerRow) -> list[dict[str, Any]]:
    """Return the notices of one ticker's row: fills, refused orders, a drawdown halt, a failure; often none."""
    if isinstance(row, Unavailable):
        return []
    if isinstance(row, Failure):
        kind = "unknown_outcome" if isinstance(row.error, UnknownOutcomeError) else "failure"
        error = row.error
        return [_notice(kind, str(row.ticker), error.what, code=error.exit_code, remedy=error.remedy)]
    return list(_outcome_notices(row))


def of_account(account: str, text: str) -> dict[str, Any]:
    """Return the notice that entries of a whole account are halted, or allowed again."""
    return {**_notice("halt", None, text, account=account), "text": f"{account}: {text}"}


def of_run(
    kind: str, text: str, *, account: str | None, ticker: Ticker | None = None, **details: Any
) -> dict[str, Any]:
    """Return the notice on a whole run, or on a ticker of it: start, heartbeat, stop, unavailable, recovered."""
    notice = _notice(kind, None if ticker is None else str(ticker), text, account=account, **details)
    return notice if ticker is not None else {**notice, "text": f"{account or 'No account'}: {text}"}


def _outcome_notices(row: TickerOutcome) -> Iterator[dict[str, Any]]:
    for fill in row.fills:
        verb = "bought" if fill.side > 0 else "sold"
        text = f"{verb} {fill.quantity:.9g} {row.ticker.base} at {price_text(fill.price)}, {fill.reason}"
        yield _outcome_notice("fill", row, text, fill=fill.to_dict())
    for order in row.orders:
        if order.stage is OrderStatus.REFUSED:
            yield _outcome_notice("refused", row, order.detail, client_order_id=order.client_order_id)
    if row.newly_halted and row.sub_account is not None:
        text = "entries are halted by the drawdown until `crypto-refactor resume`"
        yield _outcome_notice("halt", row, text, equity=row.equity, peak_equity=row.sub_account.peak_equity)


def _outcome_notice(kind: str, row: TickerOutcome, text: str, **details: Any) -> dict[str, Any]:
    if row.simulated:
        details = {"simulated": True, **details}
    return _notice(kind, str(row.ticker), text, account=row.account, bar=row.bar, **details)


def _notice(
    kind: str,
    ticker: str | None,
    text: str,
    *,
    account: str | None = None,
    bar: int | None = None,
    **details: Any,
) -> dict[str, Any]:
    mark = "SIMULATED: " if details.get("simulated") else ""
    return {
        "schema": SCHEMA,
        "kind": kind,
        "ticker": ticker,
        "account": account,
        "bar": None if bar is None else to_iso(bar),
        "text": f"{mark}{ticker}: {text}",
        **details,
    }


class Notifier:
    """Posts notices from its own thread, in order, each until it is delivered.

    The thread is a daemon: unlike the workers of `concurrent.futures`, it cannot delay the end of the process.

    Parameters
    ----------
    url : str
        The receiver.  It may hold a secret, so only its host is ever shown or logged.
    first_wait : float
        Seconds before the first retry.

    Raises
    ------
    UsageError
        If `url` is not an http or https URL.
    """

    def __init__(self, url: str, *, first_wait: float = _FIRST_WAIT) -> None:
        self._url = url.strip()
        self._host = _validate_host(self._url)
        self._first_wait = first_wait
        # urllib3 would log the whole URL.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._lost = 0
        self._failing_since: float | None = None
        self._closing = False
        self._cancelled = False
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self._thread.start()

    @property
    def undelivered(self) -> int:
        """How many notices were lost, or wait for a receiver that does not take them."""
        with self._changed:
            late = self._closing or self._failing_since is not None
            return self._lost + (len(self._waiting) if late else 0)

    def post(self, notice: dict[str, Any]) -> None:
        """Queue a notice; returns at once, whatever the receiver does."""
        try:
            body = json.dumps(notice, allow_nan=False).encode()
        except (ValueError, TypeError) as error:
            _log.warning("A notice cannot be written as JSON and is dropped: %s.", type(error).__name__)
            with self._changed:
                self._lost += 1
            return
        with self._changed:
            if self._closing:
                return
            if len(self._waiting) >= _MAX_QUEUED:
                if not self._lost:
                    _log.warning("%s is too far behind: the oldest notices are dropped.", self._host)
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(body)
            self._changed.notify_all()

    def close(self, timeout: float) -> None:
        """Post what is queued, for `timeout` seconds at most, and stop."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        self._thread.join(timeout)
        self._cancelled = True
        if self.undelivered:
            _log.warning("Notices that were not delivered to %s: %d.", self._host, self.undelivered)

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = not is_loopback(self._url)  # no proxy sees what is meant for this machine
            while (body := self._oldest()) is not None:
                self._deliver(session, body)

    def _oldest(self) -> bytes | None:
        """Return the oldest notice, which stays in the queue until it is settled; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            return self._waiting[0] if self._waiting and not self._cancelled else None

    def _deliver(self, session: requests.Session, body: bytes) -> None:
        """Post a notice until it is taken, refused for good, or dropped because too many have come since."""
        wait, refusals = self._first_wait, 0
        while not self._cancelled and self._is_oldest(body):
            failure, refused = self._send(session, body)
            refusals += refused
            if failure is None or refusals >= _MAX_REFUSALS:
                self._settle(body, delivered=failure is None)
                return
            self._note_failure(failure)
            with self._changed:
                if self._closing:
                    self._changed.wait(_CLOSING_WAIT)
                else:
                    self._changed.wait_for(lambda: self._closing, wait)
            wait = min(2 * wait, _LONGEST_WAIT)

    def _is_oldest(self, body: bytes) -> bool:
        with self._changed:
            return bool(self._waiting) and self._waiting[0] is body

    def _settle(self, body: bytes, *, delivered: bool) -> None:
        with self._changed:
            if self._is_oldest(body):
                self._waiting.popleft()
                self._lost += not delivered
            if delivered and self._failing_since is not None:
                seconds = time.monotonic() - self._failing_since
                _log.warning("Notices are delivered to %s again, after %.0f s.", self._host, seconds)
                self._failing_since = None

    def _note_failure(self, failure: str) -> None:
        with self._changed:
            if self._failing_since is None:
                self._failing_since = time.monotonic()
                _log.warning("A notice could not be posted to %s: %s. It is retried.", self._host, failure)

    def _send(self, session: requests.Session, body: bytes) -> tuple[str | None, bool]:
        """Return why a notice was not taken, None if it was, and whether the notice itself is at fault."""
        headers = {"Content-Type": "application/json", "Connection": "close"}
        try:
            # The response is not read, which also bounds the time it may take.
            with session.post(
                self._url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True
            ) as response:
                code = response.status_code
        except Exception as error:  # noqa: BLE001 - no failure of a receiver may end the thread
            # The error's text would show the whole URL.
            return type(error).__name__, False
        if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
            return None, False
        return f"it answered {code}", code in _NOTICE_REFUSED


def _validate_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.port != 0
        host = parts.hostname or ""
        requests.Request("POST", url).prepare()
    except ValueError:
        usable, host = False, ""
    if not usable or not host:
        raise UsageError(
            "The URL in --notify is not valid.",
            expected="an http or https URL, for example https://example.com/hook.",
            remedy="correct --notify.",
        )
    return host
