"""Which URLs may be used, and which keys may be sent to them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from pydantic import SecretStr

_ALPACA_DOMAIN = "alpaca.markets"


def is_loopback(url: str) -> bool:
    """Return whether `url` names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def validate_url(url: str, *, setting: str) -> str:
    """Return scheme, host and port of an API, without a trailing slash.

    Raises
    ------
    UsageError
        If `url` is anything else.  The message names the `setting` it came from and does not repeat the
        URL, which may carry a password.
    """
    url = url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        base = f"{parts.scheme}://{parts.netloc}"
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        base, usable = "", False
    if not usable or "@" in base or base.lower() != url.lower():
        raise UsageError(
            f"The URL in {setting} is not valid.",
            expected="scheme, host and optionally a port, for example http://127.0.0.1:8000.",
            remedy=f"correct {setting}, or unset it to use Alpaca's own URL.",
        )
    return base


def validate_keys(
    url: str, api_key: SecretStr | None, secret_key: SecretStr | None, *, alternative: str
) -> tuple[str, str] | None:
    """Return the pair of keys that may be sent to `url`, or None where there are none.

    `alternative` ends the remedy for unusable keys: what helps instead of setting them.

    Raises
    ------
    UsageError
        If only one of the two is set, one cannot be a key, or `url` is neither https at Alpaca nor this
        machine.
    """
    pair = tuple(key.get_secret_value().strip() if key else "" for key in (api_key, secret_key))
    if not any(pair):
        return None
    # A line break in a header is refused with a message that repeats the header: it must not get there.
    if not all(key.isascii() and key.isprintable() and key and " " not in key for key in pair):
        raise UsageError(
            "Alpaca's keys cannot be used: one is missing or contains invalid characters.",
            expected="ALPACA_API_KEY and ALPACA_SECRET_KEY, both as Alpaca shows them.",
            remedy=f"set both again, or {alternative}.",
        )
    parts = urlsplit(url)
    at_alpaca = parts.scheme == "https" and f".{parts.hostname}".endswith(f".{_ALPACA_DOMAIN}")
    if not at_alpaca and not is_loopback(url):
        raise UsageError(
            f"Keys are not sent to {url}.",
            expected=f"an https URL under {_ALPACA_DOMAIN}, or this machine.",
            remedy="unset ALPACA_API_KEY and ALPACA_SECRET_KEY, or the URL.",
        )
    return pair[0], pair[1]
