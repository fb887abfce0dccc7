"""What a refusal by Alpaca means depends on what was asked; these say it, each for one kind of request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from crypto_refactor.errors import BrokerError
from crypto_refactor.trading.brokers.base import OrderRefusedError, UnknownOutcomeError, UnreachableError
from crypto_refactor.transport.failures import FailureReporter

if TYPE_CHECKING:
    from crypto_refactor.trading.brokers.base import OrderRequest
    from crypto_refactor.transport.failures import ErrorResponse

_KEYS_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_ORDER_REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
_NOT_FOUND_CODE = 40410000
_DUPLICATE = re.compile(r"unique|duplicate|already", re.IGNORECASE)
_REMEDY_KEYS = "set ALPACA_API_KEY and ALPACA_SECRET_KEY as Alpaca shows them; paper keys work on paper only, live keys live."


class NotThereError(UnreachableError):
    """Alpaca itself says that it has no such order or position.

    Where nobody expects that answer, it says nothing: hence the base.
    """


class TooLateError(BrokerError):
    """Alpaca says that an order cannot be cancelled any more."""


class AnswerReporter(FailureReporter, Protocol):
    """Words what goes wrong with one request and with reading its answer."""

    def unreadable(self, text: str) -> BrokerError:
        """Return the error for a 2xx answer that is not what Alpaca documents."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryReporter:
    """Words what goes wrong with a request that asks.

    Attributes
    ----------
    subject : str
        What is asked for.
    """

    subject: str

    def unreachable(self, reason: str) -> UnreachableError:
        """Return the error for no answer."""
        return UnreachableError(
            f"Alpaca could not be asked for {self.subject}: {reason}.",
            expected="an answer in time.",
            remedy="check the network and Alpaca's status page, then run the command again.",
        )

    def unreadable(self, text: str) -> UnreachableError:
        """Return the error for an answer that is not what Alpaca documents."""
        return UnreachableError(
            f"Alpaca's answer to the request for {self.subject} cannot be read: {text!r}.",
            expected="the documented JSON.",
            remedy="try again in a few minutes; nothing was concluded from this answer.",
        )

    def refused(self, refusal: ErrorResponse) -> BrokerError:
        """Return the error for a refusal.

        "Not found" counts only where Alpaca says so of the thing asked for: the page of a proxy, or a path
        that Alpaca does not know, says nothing about the account.
        """
        what = f"Alpaca answered the request for {self.subject} with {refusal.status}: {refusal.text!r}."
        if refusal.from_alpaca and refusal.status in _KEYS_REFUSED:
            return BrokerError(what, expected="keys that Alpaca accepts here.", remedy=_REMEDY_KEYS)
        not_there = refusal.status == HTTPStatus.NOT_FOUND and refusal.code == _NOT_FOUND_CODE
        kind = NotThereError if not_there and "endpoint" not in refusal.text.lower() else UnreachableError
        return kind(
            what,
            expected="200.",
            remedy="try again in a few minutes; nothing was concluded from this answer.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelReporter(QueryReporter):
    """Words what goes wrong with a request to cancel an order."""

    def refused(self, refusal: ErrorResponse) -> BrokerError:
        """Return the error for a refusal: 422 means that the order has ended."""
        if refusal.from_alpaca and refusal.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return TooLateError(
                f"Alpaca does not cancel {self.subject}: {refusal.text!r}.",
                expected="an open order.",
                remedy="look the order up: it has ended.",
            )
        return QueryReporter.refused(self, refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderReporter:
    """Words what goes wrong with an order: refused where Alpaca says so itself, otherwise unknown.

    A "duplicate" answer is unknown, too: Alpaca has an order with this id, most likely this one, sent by a
    process that did not live to hear of it.

    Attributes
    ----------
    request : OrderRequest
        The order.
    """

    request: OrderRequest

    @property
    def _name(self) -> str:
        verb = "buy" if self.request.side > 0 else "sell"
        return f"order {self.request.client_order_id} to {verb} {self.request.ticker}"

    def unreachable(self, reason: str) -> UnknownOutcomeError:
        """Return the error for no answer."""
        return UnknownOutcomeError(
            f"It is not known whether Alpaca accepted {self._name}: {reason}.",
            expected="an answer that says so.",
            remedy="run the command again: the order is looked up by its id before anything else is sent.",
        )

    def unreadable(self, text: str) -> UnknownOutcomeError:
        """Return the error for an answer that is not what Alpaca documents."""
        return self.unreachable(f"its answer cannot be read: {text!r}")

    def refused(self, refusal: ErrorResponse) -> BrokerError:
        """Return the error for a refusal."""
        said = f"{refusal.status}: {refusal.text!r}"
        explicit = refusal.from_alpaca and refusal.status in _ORDER_REFUSED
        if not explicit or _DUPLICATE.search(refusal.text):
            return self.unreachable(f"it answered with {said}")
        return OrderRefusedError(
            f"Alpaca refused {self._name} with {said}.",
            expected="an order that Alpaca accepts.",
            remedy=_REMEDY_KEYS
            if refusal.status == HTTPStatus.UNAUTHORIZED
            else "nothing was executed; correct what Alpaca names.",
        )
