"""The page of an account, written once or again after every hour."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crypto_refactor.storage.output_file import write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from zoneinfo import ZoneInfo

    from crypto_refactor.trading.account_status import AccountStatus
    from crypto_refactor.trading.ledger import Ledger

REFRESH_SECONDS = 300
"""How often a browser loads the page of a run that lasts."""


def write_account_page(
    path: Path,
    ledger: Ledger,
    state: Path,
    status: AccountStatus,
    tz: ZoneInfo,
    *,
    refresh: int | None = None,
) -> None:
    """Write the page of an account, with its last reconciliation from the folder `state`.

    Raises
    ------
    BrokerError
        If the ledger cannot be read.
    DataError
        If the file cannot be written.
    """
    from crypto_refactor.report.html.account.history import account_history
    from crypto_refactor.report.html.account.page import account_html
    from crypto_refactor.trading.reconciliation.kept import kept_reconciliation
    from crypto_refactor.trading.record.record import account_record

    account = status.row.name
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = account_html(
        account_history(ledger, status),
        tz=tz,
        made_at=now,
        record=account_record(ledger, account),
        reconciled=kept_reconciliation(state, account),
        refresh=refresh,
    )
    write_text(path, page)


class AccountPage:
    """The page of the account that a run trades; nothing is written before that account exists.

    Parameters
    ----------
    path : Path
        Where it is written, whole or not at all.
    ledger : Ledger
        Records the account.
    state : Path
        Folder of the ledger and the halt file.
    tz : ZoneInfo
        Time zone of the page.
    """

    def __init__(self, path: Path, ledger: Ledger, state: Path, tz: ZoneInfo) -> None:
        self._path, self._ledger, self._state, self._tz = path, ledger, state, tz
        self._failure = ""

    def write(self, account: str, *, refresh: int | None = None) -> None:
        """Write the page of `account`; see `write_account_page`."""
        from crypto_refactor.trading.account_status import account_status, accounts_of

        rows = accounts_of(self._state, self._ledger)
        row = next((row for row in rows if row.name == account), None)
        if row is not None:
            status = account_status(self._ledger, self._state, row, rows)
            write_account_page(self._path, self._ledger, self._state, status, self._tz, refresh=refresh)

    def rewrite(self, account: str, note: Callable[[str], None]) -> None:
        """Write it for a run that goes on: what keeps it from being written is noted once, and ends nothing."""
        from crypto_refactor.trading.ticker_pool import as_error

        try:
            self.write(account, refresh=REFRESH_SECONDS)
        except Exception as error:  # noqa: BLE001 - a page is no reason to stop trading
            failure = as_error(error).what
            if failure != self._failure:
                note(f"The page {self._path} is not written: {failure}")
            self._failure = failure
        else:
            self._failure = ""
