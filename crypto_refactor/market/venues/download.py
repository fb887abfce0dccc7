"""Bring the bars of an exchange into a folder that names it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import Hour
from crypto_refactor.market.sources.csv_files import file_path, read_csv, write_csv
from crypto_refactor.market.sources.folder_source import claim_folder
from crypto_refactor.market.sources.received_bars import joined, revised
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.market.venues.venue import Venue


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Downloaded:
    """What was asked for and written.

    Attributes
    ----------
    path : Path
        The file.
    bars : Bars
        All that it holds.
    received : Bars
        What the exchange gave, which counts before what was there.
    already_there, revised : int
        Bars that the file held before and keeps, and those that came with other values.
    left_out : tuple of str
        Rows that are no bars, in words.
    """

    path: Path
    bars: Bars
    received: Bars
    already_there: int
    revised: int
    left_out: tuple[str, ...]


def download(
    venue: Venue, ticker: Ticker, folder: Path, *, hours: int, end: Hour | None = None
) -> Downloaded:
    """Write the last `hours` hours up to `end` (by default now), and the bars that were there before, to `folder`.

    Raises
    ------
    UnavailableError
        If the exchange does not offer `ticker`, or has no bar of it in that range.
    DataError
        If the folder holds bars of another source, a file cannot be read or written, or the exchange gives no usable
        answer.
    """
    claim_folder(folder, venue.name)
    path = file_path(folder, ticker)
    before = read_csv(path, ticker) if path.exists() else None
    until = venue.now() if end is None else end
    found = venue.bars(ticker, until - hours, until)
    bars = found.bars if before is None else joined(found.bars, before)
    write_csv(bars, path, venue.name)
    return Downloaded(
        path=path,
        bars=bars,
        received=found.bars,
        already_there=len(bars) - len(found.bars),
        revised=0 if before is None else _revised(before, found.bars),
        left_out=found.left_out,
    )


def _revised(before: Bars, received: Bars) -> int:
    return len(revised(before.take(np.isin(before.opened, received.opened)), received))
