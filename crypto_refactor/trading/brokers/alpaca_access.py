"""Where orders may go, and with which keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crypto_refactor.errors import BrokerError, UsageError
from crypto_refactor.transport.endpoints import is_loopback, validate_keys, validate_url

if TYPE_CHECKING:
    from pydantic import SecretStr

PAPER_ADDRESS = "https://paper-api.alpaca.markets"
LIVE_ADDRESS = "https://api.alpaca.markets"
URL_SETTING = "CRYPTO_ALPACA_TRADING_URL"
_WITHOUT_KEYS = "add --demo: the demo account needs none"


def validate_access(
    url: str | None, api_key: SecretStr | None, secret_key: SecretStr | None, *, paper: bool
) -> tuple[str, tuple[str, str]]:
    """Return the address orders go to and the pair of keys that goes with them.

    Raises
    ------
    BrokerError
        If there are no keys.
    UsageError
        If only one is given or one cannot be a key, or if `url` is given for a live account or names anything
        but this machine or Alpaca's paper address.
    """
    address = _checked_trading_address(url, paper=paper)
    keys = validate_keys(address, api_key, secret_key, instead=_WITHOUT_KEYS)
    if keys is None:
        raise BrokerError(
            "Alpaca's account cannot be used without keys.",
            expected="ALPACA_API_KEY and ALPACA_SECRET_KEY.",
            remedy=f"set both as Alpaca shows them, or {_WITHOUT_KEYS}.",
        )
    return address, keys


def _checked_trading_address(url: str | None, *, paper: bool) -> str:
    if url is None:
        return PAPER_ADDRESS if paper else LIVE_ADDRESS
    if not paper:
        raise UsageError(
            f"{URL_SETTING} is set while a live account is asked for.",
            expected="live orders to go to Alpaca itself.",
            remedy=f"unset {URL_SETTING}, or trade on paper.",
        )
    address = validate_url(url, setting=URL_SETTING)
    if address.lower() != PAPER_ADDRESS and not is_loopback(address):
        raise UsageError(
            f"Keys and paper orders are not sent to {address}.",
            expected=f"{PAPER_ADDRESS}, or this machine.",
            remedy=f"correct {URL_SETTING}, or unset it.",
        )
    return address
