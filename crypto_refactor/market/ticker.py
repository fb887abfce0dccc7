"""Tickers, and the list of supported ones."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from crypto_refactor.errors import UsageError

_PATTERN = re.compile(r"^([A-Z0-9]{2,10})/([A-Z]{3,5})$")


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
                remedy="correct --ticker; `tickers.txt` lists the supported ones.",
            )
        return cls(*match.groups())

    @property
    def slug(self) -> str:
        """The form used in file names, for example ``btc_usd``."""
        return f"{self.base}_{self.quote}".lower()

    def __str__(self) -> str:
        return f"{self.base}/{self.quote}"


def read_tickers(path: Path) -> tuple[Ticker, ...]:
    """Read a list of tickers, one per line; blank lines and ``#`` comments are skipped.

    Raises
    ------
    UsageError
        If the file cannot be read or is empty, or a line is not a ticker.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"The ticker list {path} cannot be read: {getattr(error, 'strerror', None) or error}.",
            expected="a text file with one ticker per line.",
            remedy="restore tickers.txt.",
        ) from error
    names = [line.partition("#")[0].strip() for line in lines]
    for number, name in enumerate(names, start=1):
        if name and not _PATTERN.match(name.upper()):
            raise UsageError(
                f"Line {number} of the ticker list {path} is not a ticker: {name!r}.",
                expected="BASE/QUOTE, for example BTC/USD.",
                remedy="correct or remove that line.",
            )
    tickers = tuple(dict.fromkeys(Ticker.parse(name) for name in names if name))
    if not tickers:
        raise UsageError(
            f"The ticker list {path} is empty.",
            expected="at least one ticker such as BTC/USD.",
            remedy="add one ticker per line.",
        )
    return tickers


def supported_ticker(text: str, path: Path) -> Ticker:
    """Parse a ticker that the list at `path` must name.

    Raises
    ------
    UsageError
        If `text` is malformed or not in the list.
    """
    ticker, listed = Ticker.parse(text), read_tickers(path)
    if ticker not in listed:
        raise UsageError(
            f"{ticker} is not a supported ticker.",
            expected="one of " + ", ".join(map(str, listed)) + ".",
            remedy=f"choose one of these, or add {ticker} to {path}.",
        )
    return ticker
