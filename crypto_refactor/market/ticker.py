"""Tickers, and the list of those that "all" stands for."""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from crypto_refactor.errors import UsageError
from crypto_refactor.storage.atomic_file import write_atomic
from crypto_refactor.storage.private import create_folder

_log = logging.getLogger(__name__)
# The ids of orders have room for 15 characters of a pair.
_PATTERN = re.compile(r"^([A-Z0-9]{1,10})/([A-Z][A-Z0-9]{2,4})$")
_MAX_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class Ticker:
    """A pair such as BTC/USD: upper-case symbols, the price of one unit of `base` in `quote`."""

    base: str
    quote: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``BTC/USD`` in upper or lower case.

        Raises
        ------
        UsageError
            If `text` is not of the form BASE/QUOTE.
        """
        match = _PATTERN.match(text.strip().upper())
        if match is None:
            raise UsageError(
                f"{text!r} is not a ticker.",
                expected="BASE/QUOTE, for example BTC/USD.",
                remedy=_meant(text) or "correct --ticker; `tickers.txt` lists some.",
            )
        return cls(*match.groups())

    @classmethod
    def of(cls, given: "Ticker | str") -> "Ticker":
        """Return the ticker that a program means by a ticker or its text.

        Raises
        ------
        UsageError
            If it is neither, or the text is not of the form BASE/QUOTE.
        """
        if isinstance(given, Ticker):
            return given
        if isinstance(given, str):
            return cls.parse(given)
        raise UsageError(
            f"{given!r} is not a ticker.",
            expected="a text such as BTC/USD, or a Ticker.",
            remedy="correct the ticker.",
        )

    @property
    def slug(self) -> str:
        """The form used in file names, for example ``btc_usd``."""
        return f"{self.base}_{self.quote}".lower()

    def __str__(self) -> str:
        return f"{self.base}/{self.quote}"


def _meant(text: str) -> str | None:
    """Return what to write in place of another form of a ticker: ``BTC``, ``BTCUSD``, ``BTC-USD``."""
    name = text.strip().upper()
    if "," in name and all(_is_ticker(part.strip()) for part in name.split(",")):
        return "name each one by itself: " + " ".join(f"--ticker {part.strip()}" for part in name.split(","))
    pair = re.fullmatch(r"([A-Z0-9]{2,10}?)[-_: ]?(USDT|USDC|USD|EUR|BTC|ETH)", name)
    if pair is not None:
        return f"write {pair[1]}/{pair[2]}."
    return f"write {name}/USD." if re.fullmatch(r"[A-Z0-9]{2,10}", name) else None


def read_tickers(path: Path, default: Path | None = None) -> tuple[Ticker, ...]:
    """Read a list of tickers, one per line; blank lines and ``#`` comments are skipped.

    A line that is not a ticker is named in a warning and concerns no other one.  Where `path` does not exist, it is
    created as a copy of `default`, so that there is a list to change.

    Raises
    ------
    UsageError
        If the file cannot be read or names no ticker.
    """
    if default is not None and not path.exists():
        path = _copied(default, path)
    names = [line.partition("#")[0].strip() for line in _lines(path)]
    bad = [(number, name) for number, name in enumerate(names, start=1) if name and not _is_ticker(name)]
    for number, name in bad:
        _log.warning(
            "Line %d of the ticker list %s is not a ticker and is skipped: %.40r.", number, path, name
        )
    tickers = tuple(dict.fromkeys(Ticker.parse(name) for name in names if _is_ticker(name)))
    if not tickers:
        raise UsageError(
            f"The ticker list {path} names no ticker"
            + (f": line {bad[0][0]} is {bad[0][1]!r}." if bad else "."),
            expected="at least one ticker such as BTC/USD.",
            remedy="add one ticker per line.",
        )
    return tickers


def _is_ticker(name: str) -> bool:
    return _PATTERN.match(name.upper()) is not None


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES + 1)
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise _unreadable(path, "it is not UTF-8 text") from error
    except OSError as error:
        raise _unreadable(path, error.strerror or "it cannot be read") from error
    if len(content) > _MAX_BYTES:
        raise _unreadable(path, "it is larger than a list of tickers can be")
    return lines


def _unreadable(path: Path, why: str) -> UsageError:
    return UsageError(
        f"The ticker list {path} cannot be read: {why}.",
        expected="a text file with one ticker per line.",
        remedy="restore it, or name another list with CRYPTO_TICKERS.",
    )


def _copied(default: Path, path: Path) -> Path:
    """Copy `default` to `path`, and return which of the two to read."""
    try:
        create_folder(path.parent)
        write_atomic(path, default.read_bytes())
    except OSError as error:
        _log.info("The ticker list cannot be copied to %s: %s.", path, error.strerror or error)
        return default
    return path
