"""Names of accounts, and what their sub-accounts are opened with."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crypto_refactor.market.bars import Bars
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger.ledger import Ledger


def ledger_of(state: Path) -> Ledger:
    """Return the one ledger of a state folder."""
    return Ledger(state / "ledger.sqlite")


def demo_account(source: Source) -> str:
    """Return the name of the demo account of a source: demo/alpaca, demo/files/<folder> or demo/sample."""
    return demo_account_name(source.name, source.data_dir if isinstance(source, FilesSource) else None)


def demo_account_name(source: str, folder: Path | None) -> str:
    """Return the name of a demo account; a folder is named by where it really lies."""
    return f"demo/{source}" if folder is None else f"demo/{source}{folder.resolve()}"


def broker_account(account_id: str, *, paper: bool) -> str:
    """Return the name of an account at Alpaca."""
    return f"{'paper' if paper else 'live'}/{account_id}"


def replay_account(bars: Iterable[Bars], about: dict[str, Any]) -> str:
    """Return the name of a replay: the same for the same bars and settings, and for no other."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for each in bars:
        digest.update(each.fingerprint().encode())
    return f"replay/{digest.hexdigest()[:16]}"


def share_note(ledger: Ledger, account: str, ticker: Ticker, share: float) -> tuple[str, ...]:
    """Say that a sub-account is open with another balance than the `share` this run would open it with."""
    opening = ledger.opening(account, ticker)
    if opening is None or math.isclose(opening.balance, share, rel_tol=1e-9):
        return ()
    return (
        f"its sub-account was opened with {opening.balance:,.2f} and keeps it; this run would give it {share:,.2f}",
    )
