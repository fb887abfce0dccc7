"""Convert files of bars into the one that the source `files` reads."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import COLUMNS, Bars
from crypto_refactor.market.conversion.converter import ForeignBars, Reading, read_foreign
from crypto_refactor.market.conversion.merging import merge, require_utc
from crypto_refactor.market.hours import Hour
from crypto_refactor.market.sources.csv_files import (
    closed_bars,
    read_csv,
    require_past,
    unfinished_text,
    write_csv,
)
from crypto_refactor.market.sources.folder_source import claim_folder, venue_source
from crypto_refactor.market.ticker import Ticker

_ALREADY_THERE = "the file that was there"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImportResult:
    """What was read, and what was written.

    Attributes
    ----------
    parts : tuple of ForeignBars
        One for each file that was named.
    bars : Bars
        All that the written file holds.
    repeated : int
        Rows that said again what others had said.
    already_there : int
        Bars that the file held before.
    left_out : tuple of str
        Bars that have not closed, in words.
    original : Path or None
        The copy of a named file whose place the result has taken.
    """

    path: Path
    parts: tuple[ForeignBars, ...]
    bars: Bars
    repeated: int
    already_there: int
    left_out: tuple[str, ...]
    original: Path | None


def import_bars(
    files: Sequence[Path],
    ticker: Ticker,
    path: Path,
    reading: Reading,
    *,
    keep: str | None,
    now: Hour,
    venue: str | None = None,
) -> ImportResult:
    """Write the bars of `files`, and those already at `path`, to `path`.

    Parameters
    ----------
    files : sequence of Path
        Files of hourly bars of `ticker`, in any known layout.
    path : Path
        The plain CSV file; one of `files` may lie there, and is copied beside it before it is replaced.
    reading : Reading
        What the files do not say themselves.
    keep : str or None
        Whether the ``first`` or the ``last`` of two different bars of an hour counts.
    now : Hour
        The hour it is.
    venue : str or None
        Where the bars are from, where the folder is to name it.

    Raises
    ------
    DataError, UsageError
        If a file cannot be read for certain, bars contradict each other, the folder holds bars of another source, or the file
        cannot be written.
    """
    parts = tuple(read_foreign(file, ticker, reading) for file in files)
    for part in parts:
        require_utc(part)
    replaced = any(file.resolve() == path.resolve() for file in files)
    before = [] if replaced or not path.exists() else [_already_there(path, ticker)]
    merged = merge(ticker, [*before, *parts], source=venue_source(venue), keep=keep)
    newest = max(parts, key=lambda part: int(part.opened.max())).path
    require_past(merged.bars, now, newest, "crypto-refactor import")
    bars = closed_bars(merged.bars, now, newest)
    claim_folder(path.parent, venue)
    original = _copy_beside(path) if replaced else None
    write_csv(bars, path, venue)
    return ImportResult(
        path=path,
        parts=parts,
        bars=bars,
        repeated=merged.repeated,
        already_there=sum(len(part.opened) for part in before),
        left_out=tuple(map(unfinished_text, merged.bars.opened[len(bars) :].tolist())),
        original=original,
    )


def _already_there(path: Path, ticker: Ticker) -> ForeignBars:
    try:
        bars = read_csv(path, ticker)
    except DataError as error:
        raise DataError(
            f"There is a file at {path} already, and it is no plain CSV: {error.what}",
            expected="no file there, or one that --source files reads.",
            remedy="move it away, or name it among the files to import.",
        ) from error
    return ForeignBars(
        path=path,
        opened=np.asarray(bars.opened),
        numbers={name: getattr(bars, name) for name in COLUMNS},
        layout=_ALREADY_THERE,
        stamps="",
        decimal_comma=False,
        ignored=(),
        naive=False,
    )


def _copy_beside(path: Path) -> Path:
    """Copy the file at `path` to one beside it, and return that."""
    copy = path.with_name(path.name + ".original")
    try:
        with path.open("rb") as source, copy.open("xb") as target:
            shutil.copyfileobj(source, target)
    except OSError as error:
        raise DataError(
            f"{path} would be replaced, and its copy {copy} cannot be written: {error.strerror or error}.",
            expected="room for a copy of the file as it was.",
            remedy="move that copy away, or name another --data-dir.",
        ) from error
    return copy
