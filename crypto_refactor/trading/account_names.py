"""Names of accounts: how they are built, what kind of account they name, and where the ledger is."""

import hashlib
import json
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from crypto_refactor.market.bars import Bars
from crypto_refactor.market.sources.base import Source
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.ledger import Ledger

DEMO, PAPER, LIVE, REPLAY = "demo/", "paper/", "live/", "replay/"
"""Prefixes of account names."""
REALTIME_DEMO = f"{DEMO}alpaca"
"""The demo account on Alpaca's bars, which fills at once."""


def heeds_halt(account: str) -> bool:
    """Whether `halt` stops entries in an account: in those that trade as time passes."""
    return account == REALTIME_DEMO or not account.startswith((REPLAY, DEMO))


def ledger_of(state: Path) -> Ledger:
    """Return the one ledger of a state folder."""
    return Ledger(state / "ledger.sqlite")


def demo_account(source: Source) -> str:
    """Return the name of the demo account of a source: demo/alpaca, demo/files/<folder> or demo/sample."""
    return demo_account_name(source.name, source.data_dir if isinstance(source, FilesSource) else None)


def demo_account_name(source: str, folder: Path | None) -> str:
    """Return the name of a demo account; a folder appears by its resolved path."""
    if folder is None:
        return f"{DEMO}{source}"
    # A name on disk may be other than UTF-8, and a name in the ledger may not.
    return f"{DEMO}{source}{os.fsencode(folder.resolve()).decode(errors='backslashreplace')}"


def broker_account(account_id: str, *, paper: bool) -> str:
    """Return the name of an account at Alpaca."""
    return f"{PAPER if paper else LIVE}{account_id}"


def is_at_broker(account: str) -> bool:
    """Whether an account is at a broker."""
    return account.startswith((PAPER, LIVE))


def replay_account(bars: Iterable[Bars], snapshot: dict[str, Any]) -> str:
    """Return the name of a replay, which is derived from its bars and settings."""
    digest = hashlib.sha256(json.dumps(snapshot, sort_keys=True).encode())
    for ticker_bars in bars:
        digest.update(ticker_bars.fingerprint().encode())
    return f"{REPLAY}{digest.hexdigest()[:16]}"


def share_note(ledger: Ledger, account: str, ticker: Ticker, share: float) -> tuple[str, ...]:
    """Return a note where a sub-account was opened with another balance than this run's `share`."""
    opening = ledger.opening(account, ticker)
    if opening is None or math.isclose(opening.balance, share, rel_tol=1e-9):
        return ()
    return (
        f"its sub-account was opened with {opening.balance:,.2f} and keeps it; this run would open it with {share:,.2f}",
    )
