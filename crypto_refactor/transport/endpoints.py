"""Where requests may go, and where keys may go with them."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from pydantic import SecretStr

_OWN_DOMAIN = "alpaca.markets"


def is_loopback(address: str) -> bool:
    """Return whether `address`, a URL, names this machine."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def validate_url(address: str, *, setting: str) -> str:
    """Return scheme, host and port of an API, without a slash at the end.

    Raises
    ------
    UsageError
        If `address` is anything else; `setting` names where it was given.  It is not repeated, because a
        URL may carry a password.
    """
    address = address.strip().rstrip("/")
    try:
        parts = urlsplit(address)
        bare = f"{parts.scheme}://{parts.netloc}"
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        bare, usable = "", False
    if not usable or "@" in bare or bare.lower() != address.lower():
        raise UsageError(
            f"The address in {setting} cannot be used.",
            expected="scheme, host and perhaps a port only, for example http://127.0.0.1:8000.",
            remedy=f"correct {setting}, or unset it to use Alpaca's own address.",
        )
    return bare


def validate_keys(
    address: str, api_key: SecretStr | None, secret_key: SecretStr | None, *, instead: str
) -> tuple[str, str] | None:
    """Return the pair of keys that may be sent to `address`, or None where there are none.

    `instead` ends the remedy for keys that cannot be used: what else than setting them helps.

    Raises
    ------
    UsageError
        If only one of the two is set, one cannot be a key, or `address` is neither one of Alpaca's own
        over https nor this machine.
    """
    pair = tuple(key.get_secret_value().strip() if key else "" for key in (api_key, secret_key))
    if not any(pair):
        return None
    # A line break in a header is refused with a message that repeats the header: never let it get there.
    if not all(key.isascii() and key.isprintable() and key and " " not in key for key in pair):
        raise UsageError(
            "Alpaca's keys cannot be used: one is missing or holds characters no key has.",
            expected="ALPACA_API_KEY and ALPACA_SECRET_KEY, both as Alpaca shows them.",
            remedy=f"set both again, or {instead}.",
        )
    parts = urlsplit(address)
    own = parts.scheme == "https" and f".{parts.hostname}".endswith(f".{_OWN_DOMAIN}")
    if not own and not is_loopback(address):
        raise UsageError(
            f"Keys are not sent to {address}.",
            expected=f"an https address under {_OWN_DOMAIN}, or this machine.",
            remedy="unset ALPACA_API_KEY and ALPACA_SECRET_KEY, or the other address.",
        )
    return pair[0], pair[1]
