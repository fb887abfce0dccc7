"""Notices through apprise: Telegram, Discord, Slack, ntfy, e-mail and whatever else it speaks."""

from __future__ import annotations

import logging
import re
import threading
from typing import TYPE_CHECKING

from crypto_refactor.errors import UsageError
from crypto_refactor.trading.notifications import texts
from crypto_refactor.trading.notifications.sender import Refusal

if TYPE_CHECKING:
    from crypto_refactor.trading.notifications.notices import Notice

_STATUS = re.compile(r"\berror=(\d{3})\b")
_NO_CONNECTION = "connection error"


class AppriseService:
    """Sends notices as a title and a text to one service that apprise knows.

    Parameters
    ----------
    url : str
        May hold a secret in any of its parts, so only the name of the service is ever shown or logged.

    Raises
    ------
    UsageError
        If apprise is not installed.
    ValueError
        If it does not know `url`.
    """

    def __init__(self, url: str) -> None:
        try:
            import apprise
        except ImportError as error:
            raise UsageError(
                "A receiver in --notify or CRYPTO_NOTIFY is no web address, and apprise is not installed.",
                expected="apprise, which alone speaks to other services.",
                remedy="install it with `pip install 'crypto-refactor[notify]'`, or name an http or https URL.",
            ) from error
        _listen()
        asset = apprise.AppriseAsset(
            app_id="crypto-refactor", app_desc="Notices of crypto-refactor", app_url=""
        )
        plugin = apprise.Apprise.instantiate(url, asset=asset)
        if plugin is None:
            raise ValueError("a URL that apprise does not know")
        self.name = str(plugin.service_name)
        self._plugin = plugin

    def send(self, notice: Notice) -> Refusal | None:
        """Send a notice once.

        The plug-in is called in this thread: `Apprise.notify` uses threads that the end of the process waits for.
        """
        import apprise

        _heard.lines = []
        try:
            title, body = texts.title(notice), texts.body(notice)
            taken = self._plugin.notify(
                title=self._written(title) if self._plugin.title_maxlen <= 0 else title,
                body=self._written(body),
                notify_type=getattr(apprise.NotifyType, texts.urgency(notice).upper()),
                body_format=apprise.NotifyFormat.TEXT,
            )
        except Exception as error:  # noqa: BLE001 - no failure of a receiver may end the thread
            return Refusal(why=type(error).__name__)
        return None if taken else Refusal(why=_cause(_heard.lines))

    def _written(self, text: str) -> str:
        """Return a text in the format of the service, which reads no marks of a markup language into it."""
        from apprise import NotifyFormat
        from apprise.conversion import convert_between

        return str(convert_between(NotifyFormat.TEXT, self._plugin.notify_format, content=text))


class _Heard(threading.local):
    """What apprise said in this thread since a notice was given to it."""

    def __init__(self) -> None:
        self.lines: list[str] = []


_heard = _Heard()


class _Listener(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _heard.lines.append(record.getMessage())


def _listen() -> None:
    """Hear what apprise logs, and let nobody else: its messages repeat addresses, tokens among them."""
    log = logging.getLogger("apprise")
    log.propagate = False
    log.setLevel(logging.WARNING)
    if not any(isinstance(handler, _Listener) for handler in log.handlers):
        log.addHandler(_Listener())
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it would log whole URLs


def _cause(lines: list[str]) -> str:
    """Return why a service did not take a notice, as far as that can be told without repeating its words."""
    text = " ".join(lines)
    status = _STATUS.search(text)
    if status is not None:
        return f"it answered {status[1]}"
    return "no connection" if _NO_CONNECTION in text.lower() else "it did not take it"
