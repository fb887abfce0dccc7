"""The page of an account, written once or again after every hour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_refactor.storage.output_file import write_text

if TYPE_CHECKING:
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from crypto_refactor.trading.account_status import AccountStatus
    from crypto_refactor.trading.ledger import Ledger

REFRESH_SECONDS = 300
"""How often a browser loads the page of a run that lasts."""


def write_account_page(
    path: Path, ledger: Ledger, status: AccountStatus, tz: ZoneInfo, *, refresh: int | None = None
) -> None:
    """Write the page of an account.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    DataError
        If the file cannot be written.
    """
    from crypto_refactor.report.html.account.history import account_history
    from crypto_refactor.report.html.account.page import account_html

    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    write_text(path, account_html(account_history(ledger, status), tz=tz, made_at=now, refresh=refresh))
