"""Bars from a folder of CSV files, and the writer of such files."""

import logging
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np

from crypto_refactor.errors import DataError, UnavailableError, UsageError
from crypto_refactor.market.bars import COLUMNS, Bars, price_rules
from crypto_refactor.market.hours import Hour, floor_hour, to_iso
from crypto_refactor.market.local_time import local_text, skipped_hours, some
from crypto_refactor.market.sources.base import LoadedSource, utc_now
from crypto_refactor.market.sources.csv_parser import CsvLayout, read_table, unreadable
from crypto_refactor.market.sources.folder_source import claim_folder, venue_of, venue_source
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.storage.atomic_file import write_atomic
from crypto_refactor.storage.private import create_folder

LAYOUT = CsvLayout(stamp="timestamp", columns=COLUMNS, rules=price_rules)
HEADER_LINE = ",".join(LAYOUT.required)
_FEW_BARS = 10
"""So few bars may lie on the grid of a longer bar by chance."""
_LENGTHS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_log = logging.getLogger(__name__)
_Version = tuple[Path, int, int]


def file_path(data_dir: Path, ticker: Ticker) -> Path:
    """Return where the bars of `ticker` are kept below `data_dir`, for example ``btc_usd_1h.csv``."""
    return data_dir / f"{ticker.slug}_1h.csv"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BarFile:
    """The bars of a file, whether its stamps are without an offset, and what converts it if they are not UTC."""

    bars: Bars
    naive: bool
    conversion: str

    def doubt(self) -> str | None:
        """Return what suggests that the stamps are local time; None where nothing does."""
        found = skipped_hours(self.bars.opened) if self.naive else None
        if found is None:
            return None
        hours, zones = found
        return (
            f"{', '.join(map(local_text, hours))} {'is' if len(hours) == 1 else 'are'} missing, on "
            f"{'a day' if len(hours) == 1 else 'days'} when clocks go forward in {some(zones)}: local time without "
            f"an offset? If so, convert the whole file: `{self.conversion} --tz {zones[0]}` (or your own zone)"
        )


def read_bar_file(path: Path, ticker: Ticker, source: str | None = None) -> BarFile:
    """Read all bars of one file; a time stamp is the OPEN of its bar, and UTC unless it names an offset.

    The bars are of `source`, by default the one that the folder of the file names.

    Raises
    ------
    DataError
        If the file cannot be read or holds anything but bars; the first bad line is shown.
    """
    conversion = _conversion(path, ticker)
    table = read_table(path, replace(LAYOUT, conversion=conversion))
    step = int(np.gcd.reduce(np.diff(table.hours))) if len(table.hours) > _FEW_BARS else 1
    if step > 1:
        raise other_length(path, step * 3600)
    source = source or venue_source(venue_of(path.parent))
    bars = Bars(ticker=ticker, source=source, opened=table.hours, **table.values)
    return BarFile(bars=bars, naive=table.naive, conversion=conversion)


def other_length(path: Path, seconds: int) -> DataError:
    """Return the error of a file whose bars are not of an hour."""
    size, unit = next((size, unit) for size, unit in _LENGTHS if seconds % size == 0)
    count = seconds // size
    return DataError(
        f"{path} holds bars of {count} {unit}{'' if count == 1 else 's'}.",
        expected="hourly bars.",
        remedy="export or download bars of one hour; other lengths are neither split nor joined.",
    )


def read_csv(path: Path, ticker: Ticker) -> Bars:
    """Return the bars that `read_bar_file` reads."""
    return read_bar_file(path, ticker).bars


def _conversion(path: Path, ticker: Ticker) -> str:
    file, folder = shlex.quote(str(path)), shlex.quote(str(path.parent))
    return f"crypto-refactor import {file} --ticker {ticker} --data-dir {folder}"


class FilesSource(LoadedSource):
    """Bars from ``<base>_<quote>_1h.csv`` files below `data_dir`; a file is read again only if it changes.

    A bar that closes after `clock` is left out and named once.
    """

    def __init__(self, data_dir: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.data_dir = data_dir
        self._clock = clock
        self._cache: dict[Ticker, tuple[_Version, BarFile]] = {}
        self._closed: dict[Ticker, Bars] = {}
        self._left_out: dict[Ticker, tuple[str, ...]] = {}
        self._doubts: dict[Ticker, tuple[str, ...]] = {}

    @cached_property
    def name(self) -> str:
        """``files``, or ``files:kraken`` where the folder names its venue."""
        return venue_source(venue_of(self.data_dir))

    def load(self, ticker: Ticker) -> Bars:
        """Return the bars of the file of `ticker` that have closed.

        Raises
        ------
        UnavailableError
            If the folder has no file for `ticker`.
        DataError
            If the folder is missing, the file cannot be read or holds anything but bars, a stamp lies more than an
            hour in the future, or no bar has closed.
        """
        path = file_path(self.data_dir, ticker)
        try:
            status = path.stat()
        except OSError as error:
            raise self._missing(ticker, path, error) from error
        version = (path, status.st_mtime_ns, status.st_size)
        if ticker not in self._cache or self._cache[ticker][0] != version:
            self._keep(ticker, version)
        return self._up_to_now(ticker, path)

    def left_out(self, ticker: Ticker) -> tuple[str, ...]:
        """Return the bars that have not closed, in words."""
        return self._left_out.get(ticker, ())

    def doubts(self, ticker: Ticker) -> tuple[str, ...]:
        """Return what suggests that the stamps are not the UTC opens of closed bars."""
        return (*self.left_out(ticker), *self._doubts.get(ticker, ()))

    def notes(self) -> tuple[str, ...]:
        """Return every such sentence, with its ticker."""
        return tuple(f"{ticker}: {text}" for ticker in self._cache for text in self.doubts(ticker))

    def _keep(self, ticker: Ticker, version: _Version) -> None:
        file = read_bar_file(version[0], ticker, self.name)
        self._cache[ticker] = version, file
        self._closed.pop(ticker, None)
        doubt = file.doubt()
        self._doubts[ticker] = () if doubt is None else (doubt,)
        if doubt is not None:
            _log.warning("%s: %s.", version[0], doubt)

    def _up_to_now(self, ticker: Ticker, path: Path) -> Bars:
        bars, now = self._cache[ticker][1].bars, floor_hour(self._clock())
        if int(bars.closed[-1]) <= now:
            self._left_out[ticker] = ()
            return bars
        require_past(bars, now, path, _conversion(path, ticker))
        closed = self._closed.get(ticker)
        if closed is None or int(closed.closed[-1]) < min(now, int(bars.closed[-1])):
            closed = self._closed[ticker] = closed_bars(bars, now, path)
        self._note_unfinished(ticker, bars.between(int(closed.closed[-1]), int(bars.closed[-1])), path)
        return closed

    def _note_unfinished(self, ticker: Ticker, unfinished: Bars, path: Path) -> None:
        texts = tuple(map(unfinished_text, unfinished.opened.tolist()))
        for text in texts:
            if text not in self.left_out(ticker):
                _log.warning("%s: %s.", path, text)
        self._left_out[ticker] = texts

    def _missing(self, ticker: Ticker, path: Path, error: OSError) -> DataError:
        if self.data_dir.is_file():
            return DataError(
                f"The data folder {self.data_dir} is a file.",
                expected="a folder of <base>_<quote>_1h.csv files.",
                remedy="name its folder; `crypto-refactor import FILE --ticker TICKER --data-dir FOLDER` converts a file of "
                "another name or layout.",
            )
        if not self.data_dir.is_dir():
            return DataError(
                f"The data folder {self.data_dir} does not exist.",
                expected="a folder of <base>_<quote>_1h.csv files.",
                remedy="correct --data-dir or CRYPTO_DATA_DIR.",
            )
        if not isinstance(error, FileNotFoundError):
            return unreadable(path, error, LAYOUT)
        venue = venue_of(self.data_dir)
        origin = "" if venue is None else f" --from {venue}"
        return UnavailableError(
            f"{self.data_dir} has no bars of {ticker}: there is no {path.name}.",
            expected=f"a file of that name with the columns {HEADER_LINE}{self._others()}.",
            remedy=f"write it with `crypto-refactor download --ticker {ticker}{origin} --data-dir {self.data_dir}`, "
            f"convert a file of yours with `crypto-refactor import FILE --ticker {ticker}{origin} --data-dir {self.data_dir}`, "
            "or choose another --data-dir or --source.",
        )

    def _others(self) -> str:
        suffix = "_1h.csv"
        names = sorted(
            path.name.removesuffix(suffix).replace("_", "/").upper()
            for path in self.data_dir.glob(f"*_*{suffix}")
        )
        return f"; the folder has {', '.join(names[:10])}{', …' if len(names) > 10 else ''}" if names else ""


def unfinished_text(hour: Hour) -> str:
    """Say that the bar that opened at `hour` is not used."""
    return f"the bar stamped {to_iso(hour)} closes at {to_iso(hour + 1)}, after now, and is not used"


def closed_bars(bars: Bars, now: Hour, path: Path) -> Bars:
    """Return the bars that had closed at `now`.

    Raises
    ------
    DataError
        If there is none.
    """
    closed = bars.take(bars.closed <= now)
    if not len(closed):
        raise DataError(
            f"{path} holds no bar that has closed: the first closes at {to_iso(int(bars.closed[0]))}, and it is "
            f"{to_iso(now)}.",
            expected="at least one bar that has closed.",
            remedy="wait for the close, or correct the stamps or the clock of this machine.",
        )
    return closed


def require_past(bars: Bars, now: Hour, path: Path, conversion: str) -> None:
    """Refuse stamps that lie more than an hour after `now`: no exchange has stamped them, in UTC.

    Raises
    ------
    DataError
        If there is one.
    """
    last = int(bars.opened[-1])
    if last <= now + 1:
        return
    raise DataError(
        f"{path}: the last stamp is {to_iso(last)}, and it is {to_iso(now)}: stamps are not UTC?",
        expected="stamps in UTC, of bars that have opened.",
        remedy=f"convert the file with `{conversion} --tz ZONE` if its stamps are local time (ZONE such as "
        "Europe/Berlin), or correct the stamps or the clock of this machine.",
    )


def write_csv(bars: Bars, path: Path, venue: str | None = None) -> None:
    """Write the real bars to `path` atomically; `read_csv` returns exactly the same values.

    The folder becomes that of `venue`, or stays one without.

    Synthetic bars are left out: a gap stays a gap, and filling it again gives the same bars.

    Raises
    ------
    UsageError
        If the bars are simulated.
    DataError
        If there is no bar to write, the folder holds bars of another source, or the file cannot be written.
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
    claim_folder(path.parent, venue)
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
