"""Bars from a folder of CSV files, and the writer of such files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.errors import DataError, UnavailableError, UsageError
from crypto_refactor.market.bars import COLUMNS, Bars, price_rules
from crypto_refactor.market.hours import Hour, to_iso
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.sources.csv_parser import CsvLayout, read_table, unreadable
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.storage.atomic_file import write_atomic

FILES = "files"
"""The name of this source."""
LAYOUT = CsvLayout(stamp="timestamp", columns=COLUMNS, rules=price_rules)
HEADER_LINE = ",".join(LAYOUT.required)


def file_path(data_dir: Path, ticker: Ticker) -> Path:
    """Return where the bars of `ticker` are kept below `data_dir`, for example ``btc_usd_1h.csv``."""
    return data_dir / f"{ticker.slug}_1h.csv"


def read_csv(path: Path, ticker: Ticker) -> Bars:
    """Read all bars of one file; a time stamp is the OPEN of its bar.

    Raises
    ------
    DataError
        If the file cannot be read or holds anything but bars; the first bad line is shown.
    """
    table = read_table(path, LAYOUT)
    return Bars(ticker=ticker, source=FILES, opened=table.hours, **table.values)


@dataclass(frozen=True, slots=True)
class _CachedFile:
    """The bars of one version of a file."""

    version: tuple[Path, int, int]
    bars: Bars


class FilesSource:
    """Bars from ``<base>_<quote>_1h.csv`` files below `data_dir`, read once as long as they do not change."""

    name = FILES

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._cache: dict[Ticker, _CachedFile] = {}

    def bars(self, ticker: Ticker, start: Hour, end: Hour) -> Bars:
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
        """Return the last close and its time, with the errors of `bars`."""
        bars = self._all(ticker)
        return LatestPrice(price=float(bars.close[-1]), at=to_iso(int(bars.closed[-1])))

    def now(self, ticker: Ticker) -> Hour:
        """Return the close of the last bar, with the errors of `bars`."""
        return int(self._all(ticker).closed[-1])

    def _all(self, ticker: Ticker) -> Bars:
        path = file_path(self.data_dir, ticker)
        try:
            status = path.stat()
        except OSError as error:
            raise self._missing(ticker, path, error) from error
        version = (path, status.st_mtime_ns, status.st_size)
        cached = self._cache.get(ticker)
        if cached is None or cached.version != version:
            cached = self._cache[ticker] = _CachedFile(version, read_csv(path, ticker))
        return cached.bars

    def _missing(self, ticker: Ticker, path: Path, error: OSError) -> DataError:
        if not self.data_dir.is_dir():
            return DataError(
                f"The data folder {self.data_dir} does not exist.",
                expected="a folder of <base>_<quote>_1h.csv files.",
                remedy="correct --data-dir or CRYPTO_DATA_DIR.",
            )
        if not isinstance(error, FileNotFoundError):
            return unreadable(path, error, LAYOUT)
        return UnavailableError(
            f"The source files has no bars of {ticker}: {path} does not exist.",
            expected=f"a file of that name with the columns {HEADER_LINE}.",
            remedy=f"write it with `crypto-refactor download --ticker {ticker} --data-dir {self.data_dir}`, "
            "or choose another --data-dir or --source.",
        )


def write_csv(bars: Bars, path: Path) -> None:
    """Write the real bars to `path` atomically; `read_csv` returns exactly the same values.

    Synthetic bars are left out: a gap stays a gap, and filling it again gives the same bars.

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
    real = bars.without_synthetic()
    if not len(real):
        raise DataError(
            f"There is no bar of {bars.ticker} to write to {path}.",
            expected="at least one bar.",
            remedy="choose a range in which the source has bars.",
        )
    stamps = map(to_iso, real.opened.tolist())
    values = [map(repr, getattr(real, name).tolist()) for name in COLUMNS]
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
