"""Locks between processes, one per sub-account; the system releases them when the holder dies."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.storage.private import create_file, create_folder

_LOCK_SECONDS = 120.0


@contextmanager
def locked(state: Path, account: str, ticker: Ticker | None = None) -> Iterator[None]:
    """Keep other processes from acting on a sub-account, or without `ticker` on a whole account.

    Raises
    ------
    BrokerError
        If another process holds the lock for too long, or the state folder cannot be written.
    """
    name = hashlib.sha256(f"{account} {ticker}".encode()).hexdigest()[:16]
    path = state / "locks" / f"{name}.lock"
    lock = FileLock(path, timeout=_LOCK_SECONDS if ticker else 0)
    try:
        create_folder(path.parent)
        create_file(path)
        lock.acquire()
    except Timeout as error:
        raise BrokerError(
            f"Another process is acting on {ticker or 'the account'} in {account}.",
            expected="one process at a time.",
            remedy="wait until it has ended, or end it, then run the command again.",
        ) from error
    except OSError as error:
        raise BrokerError(
            f"The state folder {state} cannot be used: {error.strerror}.",
            expected="a folder this user can write to.",
            remedy="correct its permissions, or choose another with --state-dir.",
        ) from error
    try:
        yield
    finally:
        lock.release()
