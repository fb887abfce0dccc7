"""Locks between processes, one per sub-account; the system releases them when the holder dies.

A lock needs no file that can be written: where its file cannot be created, the state folder itself is locked in its
place, which every other holder shares.  So exits go on a read-only or full disk, and still from one process at a time.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from crypto_refactor.errors import BrokerError
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.storage.private import create_file, create_folder

_LOCK_SECONDS = 120.0
_POLL_SECONDS = 0.05


@contextmanager
def locked(state: Path, account: str, ticker: Ticker | None = None) -> Iterator[None]:
    """Keep other processes from acting on a sub-account, or without `ticker` on a whole account.

    Raises
    ------
    BrokerError
        If another process holds the lock for too long, or no lock can be held there at all.
    """
    until = time.monotonic() + (_LOCK_SECONDS if ticker else 0)
    with ExitStack() as files:
        try:
            _acquire(files, state, _path(state, account, ticker), until)
        except TimeoutError as error:
            raise BrokerError(
                f"Another process is acting on {ticker or 'the account'} in {account}.",
                expected="one process at a time.",
                remedy="wait until it has ended, or end it, then run the command again.",
            ) from error
        except OSError as error:
            raise BrokerError(
                f"The state folder {state} cannot be locked: {error.strerror}.",
                expected="a folder that keeps other processes of this tool away from the account.",
                remedy="correct its permissions, or choose another with --state-dir.",
            ) from error
        yield


def is_locked(state: Path, account: str, ticker: Ticker | None = None) -> bool:
    """Whether another process acts on a sub-account now; nothing is created, and nobody is kept away."""
    path = _path(state, account, ticker)
    with ExitStack() as files:
        try:
            descriptor = _opened(files, path)
        except FileNotFoundError:
            return False
        except OSError:
            descriptor = _opened(files, state)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _path(state: Path, account: str, ticker: Ticker | None) -> Path:
    name = hashlib.sha256(f"{account} {ticker}".encode()).hexdigest()[:16]
    return state / "locks" / f"{name}.lock"


def _acquire(files: ExitStack, state: Path, path: Path, until: float) -> None:
    with suppress(OSError):  # without a file of its own, the folder is locked
        create_folder(path.parent)
        create_file(path)
    folder = _opened(files, state)
    try:
        file = _opened(files, path)
    except OSError:
        _lock(folder, fcntl.LOCK_EX, until)
        return
    try:
        _lock(folder, fcntl.LOCK_SH, until)
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        # A file system that locks no folders: nobody else relies on this one, either.
    _lock(file, fcntl.LOCK_EX, until)


def _opened(files: ExitStack, path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    files.callback(os.close, descriptor)
    return descriptor


def _lock(descriptor: int, mode: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError from None
            time.sleep(_POLL_SECONDS)
        else:
            return
