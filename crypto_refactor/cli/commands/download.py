"""`crypto-refactor download`: write bars of Alpaca, or of another exchange, to CSV files that `--source files` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.runner import print_json
from crypto_refactor.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from crypto_refactor.market.bars import Bars
    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.market.ticker import Ticker


@grouped_command("download")
@options.tickers
@options.option("--hours", "Hours of bars, up to --end.", default=4320, type=options.BAR_HOURS)
@options.option(
    "--data-dir",
    "Folder to write <base>_<quote>_1h.csv files to.",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
)
@options.venue
@options.source
@options.state_dir
@options.end
@options.as_json
@options.debug
def command(folder: Path, **values: Any) -> None:
    """Download hourly bars into CSV files, for `--source files`.

    With --from, they are another exchange's, for research: the folder names it, models of other bars never decide on
    them, and bars that are there already stay.
    """
    from crypto_refactor.market.sources.folder_source import venue_source

    venue = values["venue"]
    if venue is None:
        name, rows = "alpaca", _each_ticker(values, _from_alpaca(values, folder))
    elif values["source"] is not None:
        raise UsageError(
            "--from and --source were both given.",
            expected="--from with the name of an exchange, or --source alpaca.",
            remedy="leave out one of them.",
        )
    else:
        name, rows = venue_source(venue), _each_ticker(values, _from_venue(values, folder))
    if values["as_json"]:
        print_json({"schema": 1, "source": name, "tickers": rows})
        return
    if venue is not None:
        click.echo(f"Use them with --source files --data-dir {folder}")


def _print(row: Mapping[str, Any]) -> None:
    if not row["bars"]:
        click.echo(f"{row['ticker']}: {row['unavailable']}")
        return
    click.echo("{ticker}: {bars:,} bars, {first} to {last}, in {path}".format(**row))
    if row.get("already_there") or row.get("revised"):
        click.echo(
            f"  {row['already_there']:,} of them were there before; {row['revised']:,} came with other values"
        )
    if row.get("missing_before"):
        click.echo(
            f"  the exchange gave none before {row['received_first']}, {row['missing_before']:,} h fewer than asked"
        )
    for text in row.get("left_out", ()):
        click.echo(f"  left out: {text}")


def _from_venue(values: Mapping[str, Any], folder: Path) -> Callable[[Ticker], dict[str, object]]:
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.market.venues import Venue, download, open_exchange

    venue = Venue(open_exchange(values["venue"]))

    def downloaded(ticker: Ticker) -> dict[str, object]:
        end = venue.now() if values["end"] is None else values["end"]
        done = download(venue, ticker, folder, hours=values["hours"], end=end)
        first = int(done.received.opened[0])
        return {
            **_row(done.bars, done.path),
            "received": len(done.received),
            "received_first": to_iso(first),
            "missing_before": first - (end - values["hours"]),
            "already_there": done.already_there,
            "revised": done.revised,
            "left_out": list(done.left_out),
        }

    return downloaded


def _from_alpaca(values: Mapping[str, Any], folder: Path) -> Callable[[Ticker], dict[str, object]]:
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.csv_files import file_path, write_csv
    from crypto_refactor.market.sources.factory import open_source

    name = values["source"] or settings().source
    if name != "alpaca":
        raise UsageError(
            f"Bars cannot be downloaded from the source {name}.",
            expected="alpaca: simulated bars would lose their mark in a CSV file, and files are files already.",
            remedy="use --source alpaca, or --from with the name of another exchange.",
        )
    source: Source = open_source(name, state_dir=values["state_dir"])

    def downloaded(ticker: Ticker) -> dict[str, object]:
        end = source.now(ticker) if values["end"] is None else values["end"]
        bars = source.bars(ticker, end - values["hours"], end)
        path = file_path(folder, ticker)
        write_csv(bars, path)
        return _row(bars, path)

    return downloaded


def _row(bars: Bars, path: Path) -> dict[str, object]:
    from crypto_refactor.market.hours import to_iso

    first, last = to_iso(int(bars.opened[0])), to_iso(int(bars.opened[-1]))
    return {"ticker": str(bars.ticker), "bars": len(bars), "first": first, "last": last, "path": str(path)}


def _each_ticker(
    values: Mapping[str, Any], download: Callable[[Ticker], dict[str, object]]
) -> list[dict[str, object]]:
    """Write one file per ticker and say so; an unavailable one is named, and is an error only if it was requested."""
    tickers = options.selected_tickers(values)
    rows: list[dict[str, object]] = []
    unavailable: list[UnavailableError] = []
    for ticker in tickers:
        try:
            row = download(ticker)
        except UnavailableError as error:
            if values["tickers"]:
                raise
            unavailable.append(error)
            row = {"ticker": str(ticker), "bars": 0, "unavailable": error.what}
        rows.append(row)
        if not values["as_json"]:
            _print(row)  # at once: the next ticker may take minutes
    if len(unavailable) == len(tickers):
        raise unavailable[0]
    return rows
