"""Typed failures of a request.  They carry facts, with secrets removed; the caller words the message."""

import math
import re
import socket
from dataclasses import dataclass, field

import requests

_CREDENTIALS = re.compile(r"//[^/\s]*@")
"""User and password in a URL, for example that of a proxy."""
_READ_CHARACTERS, _SHOWN_CHARACTERS = 4096, 120


@dataclass(eq=False)
class RequestFailedError(Exception):
    """A request without a usable response."""

    text: str  # the reason, or the beginning of the response; fit for a message
    retry_after: float = field(default=math.inf, kw_only=True)  # seconds; infinite: a retry is pointless


class NoResponseError(RequestFailedError):
    """No response arrived within the bounds."""


class NoConnectionError(NoResponseError):
    """No connection was established within the bounds: the server cannot be reached, whatever is asked of it."""


class UnreadableResponseError(RequestFailedError):
    """A 2xx response that does not hold what the API documents."""


@dataclass(eq=False, kw_only=True)
class HttpStatusError(RequestFailedError):
    """A response that is not 2xx."""

    status: int
    code: int | None  # Alpaca's own, where the response has one
    from_alpaca: bool  # whether the body is Alpaca's documented JSON, rather than, say, the page of a proxy


def redact_and_truncate(text: str, secrets: tuple[str, ...]) -> str:
    """Return the beginning of `text` on one line, without the secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = _CREDENTIALS.sub("//***@", text)
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"


def status_error(
    response: requests.Response, secrets: tuple[str, ...], retry_after: float
) -> HttpStatusError:
    """Read a response that is not 2xx."""
    try:
        content = response.json()
        text, code, from_alpaca = str(content["message"]), content.get("code"), True
    except (ValueError, TypeError, KeyError, RecursionError):
        text, code, from_alpaca = response.text[:_READ_CHARACTERS], None, False
    return HttpStatusError(
        redact_and_truncate(text, secrets),
        status=response.status_code,
        code=code if isinstance(code, int) else None,
        from_alpaca=from_alpaca,
        retry_after=retry_after,
    )


def excerpt(response: requests.Response, secrets: tuple[str, ...]) -> str:
    """Return the beginning of a response's body, fit for a message."""
    return redact_and_truncate(response.text[:_READ_CHARACTERS], secrets)


_WITHOUT_NETWORK: tuple[tuple[type[OSError], str], ...] = (
    (socket.gaierror, "its address cannot be looked up, as without a network"),
    (ConnectionRefusedError, "the connection is refused"),
    (ConnectionResetError, "the connection is cut"),
)


def describe_failure(error: BaseException, secrets: tuple[str, ...]) -> str:
    """Return why there was no response, fit for a message."""
    if isinstance(error, requests.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    while error.__context__ is not None:
        error = error.__context__
    for kind, text in _WITHOUT_NETWORK:
        if isinstance(error, kind):
            return text
    if isinstance(error, OSError) and error.strerror:
        return redact_and_truncate(error.strerror[:1].lower() + error.strerror[1:], secrets)
    return redact_and_truncate(str(error) or type(error).__name__, secrets)
