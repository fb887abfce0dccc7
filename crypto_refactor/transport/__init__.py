"""Bounded HTTP: valid URLs and keys, a session with a deadline, typed failures."""

from crypto_refactor.transport.endpoints import is_loopback, validate_keys, validate_url
from crypto_refactor.transport.failures import (
    HttpStatusError,
    NoConnectionError,
    NoResponseError,
    RequestFailedError,
    UnreadableResponseError,
    redact_and_truncate,
)
from crypto_refactor.transport.session import BoundedSession, HttpLimits

__all__ = [
    "BoundedSession",
    "HttpLimits",
    "HttpStatusError",
    "NoConnectionError",
    "NoResponseError",
    "RequestFailedError",
    "UnreadableResponseError",
    "is_loopback",
    "redact_and_truncate",
    "validate_keys",
    "validate_url",
]
