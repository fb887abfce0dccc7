"""Bars from a folder of CSV files, and the writer of such files."""

from pathlib import Path

from crypto_refactor.errors import DataError, UnavailableError, UsageError
from crypto_refactor.market.bars import COLUMNS, Bars, price_rules
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.base import LoadedSource
from crypto_refactor.market.sources.csv_parser import CsvLayout, read_table, unreadable
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.storage.atomic_file import write_atomic
from crypto_refactor.storage.private import create_folder

FILES = "files"
"""The name of this source."""
LAYOUT = CsvLayout(stamp="timestamp", columns=COLUMNS, rules=price_rules)
HEADER_LINE = ",".join(LAYOUT.required)
_Version = tuple[Path, int, int]


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


class FilesSource(LoadedSource):
    """Bars from ``<base>_<quote>_1h.csv`` files below `data_dir`; a file is read again only if it changes."""

    name = FILES

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._cache: dict[Ticker, tuple[_Version, Bars]] = {}

    def load(self, ticker: Ticker) -> Bars:
        """Return all bars of the file of `ticker`.

        Raises
        ------
        UnavailableError
            If the folder has no file for `ticker`.
        DataError
            If the folder is missing, or the file cannot be read or holds anything but bars.
        """
        path = file_path(self.data_dir, ticker)
        try:
            status = path.stat()
        except OSError as error:
            raise self._missing(ticker, path, error) from error
        version = (path, status.st_mtime_ns, status.st_size)
        if ticker not in self._cache or self._cache[ticker][0] != version:
            self._cache[ticker] = version, read_csv(path, ticker)
        return self._cache[ticker][1]

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
        create_folder(path.parent)
        write_atomic(path, ("\n".join([HEADER_LINE, *rows]) + "\n").encode())
    except OSError as error:
        raise DataError(
            f"{path} cannot be written: {error.strerror or error}.",
            expected="a folder that can be written to, with space left.",
            remedy="correct the folder or its permissions; the earlier file, if any, is unchanged.",
        ) from error
