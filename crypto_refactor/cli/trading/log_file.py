"""The log of a trading run: a rotating file with UTC times, for its owner alone, without secrets."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from crypto_refactor.errors import CryptoRefactorError, DataError
from crypto_refactor.storage.output_file import check_writable
from crypto_refactor.storage.private import create_file
from crypto_refactor.version import __version__

MAX_BYTES = 5_000_000
FILES_KEPT = 5
SHOWN = "crypto_refactor.shown"
"""The logger of what a run shows: without a log file it goes nowhere, because the screen has it already."""
_HIDDEN = "[hidden]"
_SHORTEST_SECRET = 6
"""A shorter part of a URL is a word, not a key."""

logging.getLogger(SHOWN).propagate = False


@contextmanager
def run_log(values: Mapping[str, Any]) -> Iterator[None]:
    """Keep a log while a run lasts, where the options, the environment or the configuration file ask for one.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    from crypto_refactor.config import settings

    environment = settings()
    path = values["log_file"] or environment.log_file
    if path is None:
        yield
        return
    secrets = (environment.alpaca_api_key, environment.alpaca_secret_key)
    hidden = [each.get_secret_value() for each in secrets if each is not None]
    handler = _open(path, hidden_texts(hidden, values["notify"], environment.notify_urls))
    handler.setLevel(environment.log_level)
    with _attached(handler, environment.log_level):
        yield from _told()


def _told() -> Iterator[None]:
    """Log the beginning and the end of a run."""
    log = logging.getLogger(SHOWN)
    log.info("crypto-refactor %s begins, process %d", __version__, os.getpid())
    try:
        yield
    except CryptoRefactorError as error:
        log.error("ended with exit code %d: %s", error.exit_code, error)  # noqa: TRY400 - expected ones need no traceback
        raise
    except Exception:
        log.exception("ended by an internal error")
        raise
    except BaseException as stop:
        log.info("ended by %s", type(stop).__name__)
        raise
    log.info("ended")


def hidden_texts(keys: Iterable[str], *addresses: str | Iterable[str] | None) -> list[str]:
    """Return what a log must not show: keys, addresses of receivers, and what stands beside their hosts."""
    hidden = set(keys)
    for given in addresses:
        for address in (given,) if isinstance(given, str) else given or ():
            hidden |= {address, *_parts(address)}
    # The longest first: hidden piece by piece, the rest of an address would stay.
    return sorted(filter(None, hidden), key=len, reverse=True)


def _parts(address: str) -> set[str]:
    """Return the parts of an address that other messages may hold by themselves."""
    try:
        url = urlsplit(address)
        query = f"?{url.query}" if url.query else ""
        parts = {f"{url.path}{query}", url.path, url.query, url.username or "", url.password or ""}
    except ValueError:
        return set()
    return {part for part in parts if len(part) >= _SHORTEST_SECRET}


def _open(path: Path, hidden: Iterable[str]) -> _LogFile:
    check_writable(path)
    try:
        return _LogFile(path, hidden)
    except OSError as error:
        raise DataError(
            f"The log {path} cannot be written: {error.strerror}.",
            expected="a file in a writable folder with free space.",
            remedy="choose another --log-file.",
        ) from error


@contextmanager
def _attached(handler: logging.Handler, level: str) -> Iterator[None]:
    """Send what is logged to `handler`; what stderr shows stays as it was."""
    root, ours, shown = (logging.getLogger(name) for name in (None, "crypto_refactor", SHOWN))
    before, others = ours.level, list(root.handlers)
    debugging = ours.getEffectiveLevel() <= logging.DEBUG
    levels = [other.level for other in others]
    for other in others:
        other.setLevel(logging.DEBUG if debugging else max(other.level, root.level))
    ours.setLevel(logging.DEBUG if debugging else min(logging.getLevelName(level), logging.WARNING))
    for logger in (root, shown):
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in (root, shown):
            logger.removeHandler(handler)
        with suppress(OSError):  # what a full device has not taken
            handler.close()
        ours.setLevel(before)
        for other, earlier in zip(others, levels, strict=True):
            other.setLevel(earlier)


class _LogFile(RotatingFileHandler):
    """A rotating file.  Several runs may write it, line by line; the first of them rotates it.

    A failure is said once, and the run goes on.
    """

    def __init__(self, path: Path, hidden: Iterable[str]) -> None:
        self._failing = self._rotates = False
        super().__init__(path, maxBytes=MAX_BYTES, backupCount=FILES_KEPT, encoding="utf-8")
        self.setFormatter(_Formatter(hidden))

    def _open(self) -> TextIOWrapper:
        create_file(Path(self.baseFilename))
        stream = super()._open()
        try:
            fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another run's, or a file system without locks
            self._rotates = False
        else:
            self._rotates = True
        return stream

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - of logging
        """Whether this run rotates the file now; where another one did, its new file is opened."""
        if self._rotates:
            return bool(super().shouldRollover(record))
        if self.stream is not None and not self._is_current(self.stream):
            self.stream.close()
            self.stream = self._open()
        return False

    def _is_current(self, stream: TextIOWrapper) -> bool:
        try:
            return Path(self.baseFilename).stat().st_ino == os.fstat(stream.fileno()).st_ino
        except FileNotFoundError:
            return False

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of logging
        """Say once that the log cannot be written."""
        if not self._failing:
            self._failing = True
            with suppress(OSError, ValueError):
                click.echo(f"The log {self.baseFilename} cannot be written; the run goes on.", err=True)


class _Formatter(logging.Formatter):
    """``2024-06-01T13:00:05.123Z LEVEL logger message``, with hidden texts taken out."""

    def __init__(self, hidden: Iterable[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")
        self._hidden = list(hidden)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - of logging
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        for secret in self._hidden:
            text = text.replace(secret, _HIDDEN)
        return text
