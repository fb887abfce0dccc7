"""What people at a distance are told: notices, and their way to webhooks and, through apprise, to other services."""

from crypto_refactor.trading.notifications.notices import (
    Notice,
    notices,
    of_account,
    of_failure,
    of_run,
    of_signal,
    stamped,
)
from crypto_refactor.trading.notifications.notifier import Notifier

__all__ = [
    "Notice",
    "Notifier",
    "notices",
    "of_account",
    "of_failure",
    "of_run",
    "of_signal",
    "stamped",
]
