"""What a failed request to Alpaca means, which depends on what was requested."""

import re
from http import HTTPStatus

from crypto_refactor.errors import BrokerError
from crypto_refactor.trading.brokers.base import (
    OrderRefusedError,
    OrderRequest,
    UnknownOutcomeError,
    UnreachableError,
)
from crypto_refactor.transport import HttpStatusError, RequestFailedError, UnreadableResponseError

_KEYS_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_ORDER_REFUSED = _KEYS_REFUSED | {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
_NOT_FOUND_CODE = 40410000
_DUPLICATE = re.compile(r"unique|duplicate|already", re.IGNORECASE)
_LIMIT = re.compile(r"\b(min|max)\w*\b.{0,40}?\border\b\D{0,20}?([0-9][0-9,]*(?:\.[0-9]+)?)", re.IGNORECASE)
_REMEDY_KEYS = "set ALPACA_API_KEY and ALPACA_SECRET_KEY as Alpaca shows them; paper and live accounts have different keys."


def is_not_found(failure: RequestFailedError) -> bool:
    """Return whether Alpaca itself says that it has no such order or position.

    The page of a proxy, or a path that Alpaca does not know, says nothing about the account.
    """
    return (
        isinstance(failure, HttpStatusError)
        and (failure.status, failure.code) == (HTTPStatus.NOT_FOUND, _NOT_FOUND_CODE)
        and "endpoint" not in failure.text.lower()
    )


def is_already_final(failure: RequestFailedError) -> bool:
    """Return whether Alpaca says that an order can no longer be cancelled, because it has ended."""
    return (
        isinstance(failure, HttpStatusError)
        and failure.from_alpaca
        and failure.status == HTTPStatus.UNPROCESSABLE_ENTITY
    )


def stated_limit(request: OrderRequest, failure: RequestFailedError) -> dict[str, float]:
    """Return the limit that a refusal names, by its field of `VenueRules`; empty where it names none."""
    if not (isinstance(failure, HttpStatusError) and failure.from_alpaca):
        return {}
    match = _LIMIT.search(failure.text)
    if match is None:
        return {}
    least = "min_buy" if request.side > 0 else "min_notional"
    return {"max_notional" if match[1].lower() == "max" else least: float(match[2].replace(",", ""))}


def query_error(subject: str, failure: RequestFailedError) -> BrokerError:
    """Return the error for a failed request for `subject`, which sent no order."""
    retry = "try again in a few minutes; nothing was concluded from this answer."
    if isinstance(failure, HttpStatusError):
        what = f"Alpaca answered the request for {subject} with {failure.status}: {failure.text!r}."
        if failure.from_alpaca and failure.status in _KEYS_REFUSED:
            return BrokerError(what, expected="keys that Alpaca accepts here.", remedy=_REMEDY_KEYS)
        return UnreachableError(what, expected="200.", remedy=retry)
    if isinstance(failure, UnreadableResponseError):
        return UnreachableError(
            f"Alpaca's answer to the request for {subject} cannot be read: {failure.text!r}.",
            expected="the documented JSON.",
            remedy=retry,
        )
    return UnreachableError(
        f"The request to Alpaca for {subject} failed: {failure.text}.",
        expected="an answer in time.",
        remedy="check the network and Alpaca's status page, then run the command again.",
    )


def order_error(request: OrderRequest, failure: RequestFailedError) -> BrokerError:
    """Return the error for an order: refused where Alpaca itself says so, otherwise of unknown outcome.

    A "duplicate" is unknown, too: Alpaca has an order with this id, most likely this very one, sent by a
    process that ended before the answer came.
    """
    verb = "buy" if request.side > 0 else "sell"
    name = f"order {request.client_order_id} to {verb} {request.ticker}"
    if isinstance(failure, HttpStatusError):
        reason = f"{failure.status}: {failure.text!r}"
        if failure.from_alpaca and failure.status in _ORDER_REFUSED and not _DUPLICATE.search(failure.text):
            return OrderRefusedError(
                f"Alpaca refused {name} with {reason}.",
                expected="an order that Alpaca accepts.",
                remedy=_REMEDY_KEYS
                if failure.status == HTTPStatus.UNAUTHORIZED
                else "nothing was executed; correct what Alpaca names.",
            )
        reason = f"it answered with {reason}"
    elif isinstance(failure, UnreadableResponseError):
        reason = f"its answer cannot be read: {failure.text!r}"
    else:
        reason = failure.text
    return UnknownOutcomeError(
        f"It is not known whether Alpaca accepted {name}: {reason}.",
        expected="an answer that says so.",
        remedy="run the command again: the order is looked up by its id before anything else is sent.",
    )
