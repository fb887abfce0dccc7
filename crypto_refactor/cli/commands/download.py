"""`crypto-refactor download`: write a source's bars to CSV files that `--source files` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.runner import print_json
from crypto_refactor.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.market.ticker import Ticker


@click.command("download")
@click.option(
    "--ticker",
    "names",
    multiple=True,
    help="Trading pair; repeat for several.  [default: all of tickers.txt]",
)
@click.option(
    "--hours",
    type=click.IntRange(1, 1_000_000),
    default=4320,
    show_default=True,
    help="Hours of bars, up to --end.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write <base>_<quote>_1h.csv files to.",
)
@options.source
@options.state_dir
@options.end
@options.as_json
@options.debug
def command(
    names: tuple[str, ...],
    hours: int,
    data_dir: Path,
    source: str | None,
    state_dir: Path | None,
    end: int | None,
    as_json: bool,
) -> None:
    """Download hourly bars into CSV files, for `--source files`."""
    from crypto_refactor.config import settings, tickers_file
    from crypto_refactor.market.ticker import read_tickers, supported_ticker

    name = source or settings().source
    if name != "alpaca":
        raise UsageError(
            f"Bars cannot be downloaded from the source {name}.",
            expected="alpaca: simulated bars would lose their mark in a CSV file, and files are files already.",
            remedy="use --source alpaca.",
        )
    path = tickers_file()
    tickers = tuple(supported_ticker(text, path) for text in names) or read_tickers(path)
    rows = _download(
        options.open_selected_source(name, None, state_dir), tickers, hours, end, data_dir, asked=bool(names)
    )
    if as_json:
        print_json({"schema": 1, "source": name, "tickers": rows})
        return
    for row in rows:
        click.echo(
            "{ticker}: {bars:,} bars, {first} to {last}, in {path}".format(**row)
            if row["bars"]
            else f"{row['ticker']}: {row['unavailable']}"
        )


def _download(
    source: Source, tickers: Sequence[Ticker], hours: int, end: int | None, folder: Path, *, asked: bool
) -> list[dict[str, object]]:
    """Write one file per ticker; one that is not offered is named, and a failure only if it was asked for."""
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.market.sources.csv_files import file_path, write_csv

    rows: list[dict[str, object]] = []
    unavailable: list[UnavailableError] = []
    for ticker in tickers:
        until = source.now(ticker) if end is None else end
        try:
            bars = source.bars(ticker, until - hours, until)
        except UnavailableError as error:
            if asked:
                raise
            unavailable.append(error)
            rows.append({"ticker": str(ticker), "bars": 0, "unavailable": error.what})
            continue
        path = file_path(folder, ticker)
        write_csv(bars, path)
        first, last = to_iso(int(bars.opened[0])), to_iso(int(bars.opened[-1]))
        rows.append(
            {"ticker": str(ticker), "bars": len(bars), "first": first, "last": last, "path": str(path)}
        )
    if len(unavailable) == len(tickers):
        raise unavailable[0]
    return rows
