"""What came instead of an answer, and how those who asked put it into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import requests

if TYPE_CHECKING:
    from crypto_refactor.errors import CryptoRefactorError

_READ, _SHOWN = 4096, 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorResponse:
    """An answer that is not 2xx.

    Attributes
    ----------
    status : int
        HTTP's.
    code : int or None
        Alpaca's own, where the answer has one.
    text : str
        Alpaca's message, or the beginning of whatever came instead; fit for a message.
    from_alpaca : bool
        Whether it is JSON as Alpaca documents it, and not, say, the page of a proxy on the way.
    """

    status: int
    code: int | None
    text: str
    from_alpaca: bool


class FailureReporter(Protocol):
    """Words what went wrong for those who asked."""

    def unreachable(self, reason: str) -> CryptoRefactorError:
        """Return the error for no answer."""
        ...

    def refused(self, refusal: ErrorResponse) -> CryptoRefactorError:
        """Return the error for an answer that is not 2xx."""
        ...


def redact_and_truncate(text: str, secrets: tuple[str, ...]) -> str:
    """Return the beginning of `text` on one line, without the secrets: fit for a message."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def read_error_response(answer: requests.Response, secrets: tuple[str, ...]) -> ErrorResponse:
    """Read an answer that is not 2xx."""
    try:
        content = answer.json()
        text, code = str(content["message"]), content.get("code")
    except (ValueError, TypeError, KeyError, RecursionError):
        text = excerpt(answer, secrets)
        return ErrorResponse(status=answer.status_code, code=None, text=text, from_alpaca=False)
    return ErrorResponse(
        status=answer.status_code,
        code=code if isinstance(code, int) else None,
        text=redact_and_truncate(text, secrets),
        from_alpaca=True,
    )


def excerpt(answer: requests.Response, secrets: tuple[str, ...]) -> str:
    """Return the beginning of an answer's body, fit for a message."""
    return redact_and_truncate(answer.text[:_READ], secrets)


def describe_failure(error: BaseException, secrets: tuple[str, ...]) -> str:
    """Return why there was no answer, fit for a message."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    while error.__context__ is not None:
        error = error.__context__
    return redact_and_truncate(str(error) or type(error).__name__, secrets)
