"""Notices to a web address, posted as JSON."""

import json
import logging
from http import HTTPStatus
from urllib.parse import urlsplit

import requests

from crypto_refactor.trading.notifications.notices import Notice
from crypto_refactor.trading.notifications.sender import Refusal
from crypto_refactor.transport import is_loopback

_TIMEOUT = (3.0, 5.0)
"""Seconds until a connection is established, and until the receiver answers."""
_NOTICE_REFUSED = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
"""What says that the notice is at fault, and not the receiver or the way to it."""


class Webhook:
    """Posts notices to an http or https URL; redirections are not followed.

    Parameters
    ----------
    url : str
        May hold a secret, so only its host is ever shown or logged.

    Raises
    ------
    ValueError
        If `url` cannot be used.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.name = _host(url)
        # urllib3 would log the whole URL.
        logging.getLogger("urllib3").setLevel(logging.ERROR)
        self._session = requests.Session()
        self._session.trust_env = not is_loopback(url)  # no proxy sees what is meant for this machine

    def send(self, notice: Notice) -> Refusal | None:
        """Post a notice once."""
        headers = {"Content-Type": "application/json", "Connection": "close"}
        try:
            # The response is not read, which also bounds the time it may take.
            with self._session.post(
                self._url,
                data=json.dumps(notice, allow_nan=False).encode(),
                headers=headers,
                timeout=_TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as response:
                code = response.status_code
        except Exception as error:  # noqa: BLE001 - no failure of a receiver may end the thread
            # The error's text would show the whole URL.
            return Refusal(why=type(error).__name__)
        if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
            return None
        return Refusal(why=f"it answered {code}", notice_at_fault=code in _NOTICE_REFUSED)


def _host(url: str) -> str:
    parts = urlsplit(url)
    requests.Request("POST", url).prepare()
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host, or no port")
    return parts.hostname
