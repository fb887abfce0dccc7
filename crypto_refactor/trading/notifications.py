"""Webhook notifications: fills, refusals, halts and failures, posted as JSON while trading never waits."""

import json
import logging
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from crypto_refactor.errors import UsageError
from crypto_refactor.market.hours import to_iso
from crypto_refactor.trading.brokers import UnknownOutcomeError
from crypto_refactor.trading.ledger import OrderStatus
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable
from crypto_refactor.transport import is_loopback

_log = logging.getLogger(__name__)

SCHEMA = 1
_TIMEOUT = (3.0, 5.0)
"""Seconds until a connection is established, and until the receiver answers."""
_MAX_QUEUED = 200
"""Notices that may wait; a receiver that is further behind loses the newest."""


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


def _outcome_notices(row: TickerOutcome) -> Iterator[dict[str, Any]]:
    for fill in row.fills:
        verb = "bought" if fill.side > 0 else "sold"
        text = f"{verb} {fill.quantity:.9g} {row.ticker.base} at {fill.price:.8g}, {fill.reason}"
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
    """Posts notices from its own thread, in order, each once.

    The thread is a daemon: unlike the workers of `concurrent.futures`, it cannot delay the end of the process.

    Parameters
    ----------
    url : str
        The receiver.  It may hold a secret, so only its host is ever shown or logged.

    Raises
    ------
    UsageError
        If `url` is not an http or https URL.
    """

    def __init__(self, url: str) -> None:
        self._url = url.strip()
        self._host = _validate_host(self._url)
        # urllib3 would log the whole URL.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue(_MAX_QUEUED)
        self._closed = False
        self._cancelled = threading.Event()
        self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
        self._thread.start()

    def post(self, notice: dict[str, Any]) -> None:
        """Queue a notice; returns at once, whatever the receiver does."""
        if self._closed:
            return
        try:
            self._queue.put_nowait(notice)
        except queue.Full:
            _log.warning("%s is too far behind: a notice was dropped.", self._host)

    def close(self, timeout: float) -> None:
        """Post what is queued, for `timeout` seconds at most, and stop."""
        if self._closed:
            return
        self._closed = True
        deadline = time.monotonic() + timeout
        with suppress(queue.Full):
            self._queue.put(None, timeout=timeout)
        self._thread.join(max(0.0, deadline - time.monotonic()))
        if self._thread.is_alive():
            self._cancelled.set()
            _log.warning("%s does not answer: notices were not delivered.", self._host)

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = not is_loopback(self._url)  # no proxy sees what is meant for this machine
            while not self._cancelled.is_set() and (notice := self._queue.get()) is not None:
                self._send(session, notice)

    def _send(self, session: requests.Session, notice: dict[str, Any]) -> None:
        try:
            body = json.dumps(notice, allow_nan=False)
            headers = {"Content-Type": "application/json", "Connection": "close"}
            # The response is not read, which also bounds the time it may take.
            with session.post(
                self._url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True
            ) as response:
                code = response.status_code
        except Exception as error:  # noqa: BLE001 - no failure of a receiver may end the thread
            # The error's text would show the whole URL.
            _log.warning("A notice could not be posted to %s: %s.", self._host, type(error).__name__)
            return
        if not HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
            _log.warning("A notice could not be posted to %s: it answered %d.", self._host, code)


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
