"""Telling somebody elsewhere: fills, halts and troubles, posted as JSON, while trading never waits for it."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import requests

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.sub_account import Fill
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.brokers.base import UnknownOutcomeError
from crypto_refactor.trading.ledger.order_record import OrderStatus
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable
from crypto_refactor.transport.endpoints import is_loopback

_log = logging.getLogger(__name__)

SCHEMA = 1
_TIMEOUT = (3.0, 5.0)
"""Seconds until a connection stands, and until the receiver answers."""
_KEPT = 200
"""Notices that may wait; a receiver that is further behind loses the newest."""
_TALKATIVE = ("urllib3.connection", "urllib3.connectionpool", "urllib3.util.retry")
"""Loggers that would name the whole URL."""


def notices(row: TickerRow) -> list[dict[str, Any]]:
    """Return what is worth telling of one row.

    Parameters
    ----------
    row : TickerRow
        What a pass found and did for one ticker.

    Returns
    -------
    list of dict
        Fills, refused orders, a drawdown halt, an unknown outcome, any other failure; often nothing.
    """
    if isinstance(row, Unavailable):
        return []
    if isinstance(row, Failure):
        return [_of_failure(row)]
    return [*_fills(row), *_refusals(row), *_halts(row)]


def of_account(account: str, text: str) -> dict[str, Any]:
    """Return the notice that entries of a whole account are forbidden, or allowed again."""
    return {
        "schema": SCHEMA,
        "kind": "halt",
        "ticker": None,
        "account": account,
        "bar": None,
        "text": f"{account}: {text}",
    }


def _of_failure(row: Failure) -> dict[str, Any]:
    kind = "unknown_outcome" if isinstance(row.error, UnknownOutcomeError) else "failure"
    return _notice(kind, row.ticker, row.error.what, code=row.error.exit_code, remedy=row.error.remedy)


def _fills(row: TickerOutcome) -> Iterator[dict[str, Any]]:
    for fill in row.fills:
        verb = "bought" if fill.side > 0 else "sold"
        text = f"{verb} {fill.quantity:.9g} {row.ticker.base} at {fill.price:.8g}, {fill.reason}"
        yield _of_entry("fill", row, text, fill=_fill(fill))


def _fill(fill: Fill) -> dict[str, Any]:
    return {
        "at": to_iso(fill.at),
        "side": fill.side,
        "quantity": fill.quantity,
        "price": fill.price,
        "fee": fill.fee,
        "reason": fill.reason,
    }


def _refusals(row: TickerOutcome) -> Iterator[dict[str, Any]]:
    for order in row.orders:
        if order.stage is OrderStatus.REFUSED:
            yield _of_entry("refused", row, order.detail, client_order_id=order.client_order_id)


def _halts(row: TickerOutcome) -> Iterator[dict[str, Any]]:
    if row.newly_halted and row.holding is not None:
        text = "entries are halted by the drawdown until `crypto-refactor resume`"
        yield _of_entry("halt", row, text, equity=row.equity, peak_equity=row.holding.peak_equity)


def _of_entry(kind: str, row: TickerOutcome, text: str, **more: Any) -> dict[str, Any]:
    simulated = {"simulated": True} if row.simulated else {}
    return _notice(kind, row.ticker, text, account=row.account, bar=row.bar, **simulated, **more)


def _notice(
    kind: str, ticker: Ticker, text: str, *, account: str | None = None, bar: int | None = None, **more: Any
) -> dict[str, Any]:
    mark = "SIMULATED: " if more.get("simulated") else ""
    return {
        "schema": SCHEMA,
        "kind": kind,
        "ticker": str(ticker),
        "account": account,
        "bar": None if bar is None else to_iso(bar),
        "text": f"{mark}{ticker}: {text}",
        **more,
    }


class Notifier:
    """Posts notices from a thread of its own, one after the other, each once.

    Parameters
    ----------
    url : str
        Where to; it may hold a secret, so only its host is ever named.

    Raises
    ------
    UsageError
        If `url` is no http or https address.
    """

    def __init__(self, url: str) -> None:
        self._url = url.strip()
        self._host = _checked_host(self._url)
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(_KEPT)
        self._given_up = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="notify", daemon=True)
        for name in _TALKATIVE:
            logging.getLogger(name).addFilter(self._from_elsewhere)
        self._thread.start()

    def post(self, notice: dict[str, Any]) -> None:
        """Queue a notice; returns at once, whatever the receiver does."""
        if self._closed:
            return
        try:
            self._waiting.put_nowait(notice)
        except queue.Full:
            _log.warning("%s is too far behind: a notice was dropped.", self._host)

    def close(self, timeout: float) -> None:
        """Post what is queued, for `timeout` seconds at most, and stop."""
        if self._closed:
            return
        self._closed = True
        ends = time.monotonic() + timeout
        try:
            self._waiting.put(None, timeout=timeout)
        except queue.Full:
            self._given_up.set()
        self._thread.join(max(0.0, ends - time.monotonic()))
        if self._thread.is_alive():
            self._given_up.set()
            _log.warning("%s does not answer: notices were not delivered.", self._host)
            return  # the filters stay with the thread, which ends after the request it is in
        self._forget_filters()

    def _work(self) -> None:
        with requests.Session() as session:
            session.trust_env = not is_loopback(self._url)  # no proxy sees what is meant for this machine
            while not self._given_up.is_set() and (notice := self._waiting.get()) is not None:
                self._send(session, notice)

    def _send(self, session: requests.Session, notice: dict[str, Any]) -> None:
        try:
            body = json.dumps(notice, allow_nan=False)
            headers = {"Content-Type": "application/json", "Connection": "close"}
            # What the receiver says is of no interest: not reading it also bounds the time it may take.
            with session.post(
                self._url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False, stream=True
            ) as answer:
                code = answer.status_code
        except Exception as error:  # noqa: BLE001 - no trouble of a receiver's may end the thread
            # Its text would name the whole URL.
            _log.warning("A notice could not be posted to %s: %s.", self._host, type(error).__name__)
            return
        if not HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
            _log.warning("A notice could not be posted to %s: it answered %d.", self._host, code)

    def _from_elsewhere(self, record: logging.LogRecord) -> bool:
        return record.thread != self._thread.ident

    def _forget_filters(self) -> None:
        for name in _TALKATIVE:
            logging.getLogger(name).removeFilter(self._from_elsewhere)


def _checked_host(url: str) -> str:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.port != 0
        host = parts.hostname or ""
        requests.Request("POST", url).prepare()
    except ValueError:
        usable, host = False, ""
    if not usable or not host:
        raise UsageError(
            "The address in --notify cannot be used.",
            expected="an http or https URL, for example https://example.com/hook.",
            remedy="correct --notify.",
        )
    return host
