"""Bars from a folder of CSV files, and the writer of such files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crypto_refactor.errors import DataError, UnavailableError, UsageError
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.sources.csv_parser import FILES, HEADER_LINE, read_csv, unreadable
from crypto_refactor.storage.atomic_file import write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from crypto_refactor.market.bars import Bars
    from crypto_refactor.market.ticker import Ticker


def file_path(data_dir: Path, ticker: Ticker) -> Path:
    """Return where the bars of `ticker` are kept below `data_dir`, for example ``btc_usd_1h.csv``."""
    return data_dir / f"{ticker.slug}_1h.csv"


@dataclass(frozen=True, slots=True)
class _CachedFile:
    """One file as it was read, with what shows that it has changed since."""

    version: tuple[Path, int, int]
    bars: Bars


class FilesSource:
    """Bars from ``<base>_<quote>_1h.csv`` files; a file is read once as long as it does not change.

    Parameters
    ----------
    data_dir : Path
        The folder of the files.
    """

    name = FILES

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._held: dict[Ticker, _CachedFile] = {}

    def bars(self, ticker: Ticker, start: int, end: int) -> Bars:
        """Return the bars that opened at `start` or later and had closed by `end`.

        Raises
        ------
        UnavailableError
            If the folder has no file for `ticker`.
        DataError
            If the folder is missing, or the file cannot be read or holds anything but bars.
        """
        return self._all(ticker).between(start, end)

    def prefetch(self, tickers: Iterable[Ticker], hours: int, end: int | None = None) -> None:
        """Do nothing: files are read one by one."""

    def latest_price(self, ticker: Ticker) -> LatestPrice:
        """Return the last close and when it was, with the errors of `bars`."""
        held = self._all(ticker)
        return LatestPrice(price=float(held.close[-1]), at=to_iso(int(held.closed[-1])))

    def now(self, ticker: Ticker) -> int:
        """Return the close of the last bar, with the errors of `bars`."""
        return int(self._all(ticker).closed[-1])

    def _all(self, ticker: Ticker) -> Bars:
        path = file_path(self.data_dir, ticker)
        try:
            found = path.stat()
        except OSError as error:
            raise self._missing(ticker, path, error) from error
        version = (path, found.st_mtime_ns, found.st_size)
        held = self._held.get(ticker)
        if held is None or held.version != version:
            held = self._held[ticker] = _CachedFile(version, read_csv(path, ticker))
        return held.bars

    def _missing(self, ticker: Ticker, path: Path, error: OSError) -> DataError:
        if not self.data_dir.is_dir():
            return DataError(
                f"The data folder {self.data_dir} is not there.",
                expected="a folder of <base>_<quote>_1h.csv files.",
                remedy="correct --data-dir or CRYPTO_DATA_DIR.",
            )
        if not isinstance(error, FileNotFoundError):
            return unreadable(path, error)
        return UnavailableError(
            f"The source files has no bars of {ticker}: {path} is not there.",
            expected=f"a file of that name with the columns {HEADER_LINE}.",
            remedy=f"write it with `crypto-refactor download --ticker {ticker} --data-dir {self.data_dir}`, "
            "or choose another --data-dir or --source.",
        )


def write_csv(bars: Bars, path: Path) -> None:
    """Write the real bars to `path`, whole or not at all; `read_csv` returns exactly the same values.

    Synthetic bars are left out: a hole stays a hole, and carrying it again gives the same bars.

    Parameters
    ----------
    bars : Bars
        At least one real bar, from any source but the simulation.
    path : Path
        The file to write or replace; missing folders are made.

    Raises
    ------
    UsageError
        If the bars are simulated.
    DataError
        If there is no bar to write, or the file cannot be written.
    """
    if bars.simulated:
        raise UsageError(
            f"The bars of {bars.ticker} are SIMULATED and are not written to {path}.",
            expected="bars from a market: a plain CSV file would lose the mark SIMULATED.",
            remedy="choose --source alpaca or --source files; --source sample needs no files.",
        )
    real = np.flatnonzero(~bars.synthetic)
    if not len(real):
        raise DataError(
            f"There is no bar of {bars.ticker} to write to {path}.",
            expected="at least one bar.",
            remedy="ask for a range in which the source has bars.",
        )
    stamps = [to_iso(hour) for hour in bars.opened[real].tolist()]
    values = [map(repr, getattr(bars, name)[real].tolist()) for name in COLUMNS]
    rows = map(",".join, zip(stamps, *values, strict=True))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, ("\n".join([HEADER_LINE, *rows]) + "\n").encode())
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}.",
            expected="a folder that can be written to, with space left.",
            remedy="correct the folder or its permissions; the earlier file, if any, is unchanged.",
        ) from error
