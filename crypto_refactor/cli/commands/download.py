"""`crypto-refactor download`: write a source's bars to CSV files that `--source files` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.runner import print_json
from crypto_refactor.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crypto_refactor.market.sources.base import Source


@click.command("download")
@options.tickers
@options.option("--hours", "Hours of bars, up to --end.", default=4320, type=options.BAR_HOURS)
@options.option(
    "--data-dir",
    "Folder to write <base>_<quote>_1h.csv files to.",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
)
@options.source
@options.state_dir
@options.end
@options.as_json
@options.debug
def command(folder: Path, **values: Any) -> None:
    """Download hourly bars into CSV files, for `--source files`."""
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.factory import open_source

    name = values["source"] or settings().source
    if name != "alpaca":
        raise UsageError(
            f"Bars cannot be downloaded from the source {name}.",
            expected="alpaca: simulated bars would lose their mark in a CSV file, and files are files already.",
            remedy="use --source alpaca.",
        )
    source = open_source(name, state_dir=values["state_dir"])
    rows = _download(source, values, folder)
    if values["as_json"]:
        print_json({"schema": 1, "source": name, "tickers": rows})
        return
    for row in rows:
        click.echo(
            "{ticker}: {bars:,} bars, {first} to {last}, in {path}".format(**row)
            if row["bars"]
            else f"{row['ticker']}: {row['unavailable']}"
        )


def _download(source: Source, values: Mapping[str, Any], folder: Path) -> list[dict[str, object]]:
    """Write one file per ticker; an unavailable one is named, and is an error only if it was requested."""
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.market.sources.csv_files import file_path, write_csv

    tickers = options.selected_tickers(values)
    rows: list[dict[str, object]] = []
    unavailable: list[UnavailableError] = []
    for ticker in tickers:
        end = source.now(ticker) if values["end"] is None else values["end"]
        try:
            bars = source.bars(ticker, end - values["hours"], end)
        except UnavailableError as error:
            if values["tickers"]:
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
