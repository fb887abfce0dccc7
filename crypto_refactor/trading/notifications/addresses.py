"""From the addresses in `--notify` to what sends to them."""

from collections import Counter
from collections.abc import Iterable
from urllib.parse import urlsplit

from crypto_refactor.errors import UsageError
from crypto_refactor.trading.notifications.apprise_service import AppriseService
from crypto_refactor.trading.notifications.sender import Sender
from crypto_refactor.trading.notifications.webhook import Webhook


def open_senders(urls: Iterable[str]) -> list[Sender]:
    """Return a sender for each address, once where one is repeated; nothing is sent yet.

    An http or https URL is a webhook; any other scheme is one of apprise's.  Senders of the same name are numbered.

    Raises
    ------
    UsageError
        If an address cannot be used, or apprise is needed and not installed.  The address is not repeated: it may
        hold a secret.
    """
    distinct = list(dict.fromkeys(url.strip() for url in urls))
    senders = [_opened(url, number, len(distinct)) for number, url in enumerate(distinct, start=1)]
    seen: Counter[str] = Counter()
    for sender in senders:
        seen[sender.name] += 1
        if seen[sender.name] > 1:
            sender.name = f"{sender.name} {seen[sender.name]}"
    return senders


def _opened(url: str, number: int, count: int) -> Sender:
    which = "The URL" if count == 1 else f"URL {number} of {count}"
    try:
        scheme = urlsplit(url).scheme
        if scheme in {"http", "https"}:
            return Webhook(url)
        if scheme:
            return AppriseService(url)
    except ValueError:
        pass  # chained, it would carry the URL
    raise UsageError(
        f"{which} in --notify or CRYPTO_NOTIFY is not valid.",
        expected="an http or https URL such as https://example.com/hook, or one of apprise such as ntfy://TOPIC.",
        remedy="correct it; docs/notifications.md has an example of each service.",
    )
