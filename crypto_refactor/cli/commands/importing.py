"""`crypto-refactor import`: convert files of bars in other layouts to the one that `--source files` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.output import say_hints, tell
from crypto_refactor.cli.runner import print_json

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.market.conversion import ImportResult


def _parse_zone(context: click.Context, parameter: click.Parameter, value: str | None) -> ZoneInfo | None:
    from crypto_refactor.market.hours import zone

    return None if value is None else zone(value)


def _parse_names(context: click.Context, parameter: click.Parameter, value: str | None) -> tuple[str, ...]:
    return () if value is None else tuple(name.strip() for name in value.split(","))


@grouped_command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@options.required_ticker
@options.option(
    "--data-dir",
    "Folder to write <base>_<quote>_1h.csv to.  [default: CRYPTO_DATA_DIR, or the folder of the first FILE]",
    type=click.Path(path_type=Path, file_okay=False),
)
@options.option(
    "--tz", "Time zone of stamps without an offset.  [default: UTC]", callback=_parse_zone, metavar="ZONE"
)
@options.option(
    "--dates", "What dates such as 01/02/2024 begin with.", type=click.Choice(["day-first", "month-first"])
)
@options.option("--decimal", "How numbers are written.", type=click.Choice(["point", "comma"]))
@options.option("--stamped", "Which moment of its bar a stamp names.", type=click.Choice(["open", "close"]))
@options.option(
    "--columns",
    "Names of the columns in their order, `_` for those to leave out.",
    callback=_parse_names,
    metavar="NAME,…",
)
@options.venue
@options.option(
    "--symbol", "The symbol in the file, or in its name, whose bars are those of --ticker.", metavar="NAME"
)
@options.option(
    "--keep",
    "Which of two different bars of one hour counts: files in their order, what is there already before them.",
    type=click.Choice(["first", "last"]),
)
@options.as_json
@options.debug
def command(files: tuple[Path, ...], **values: Any) -> None:
    """Convert files of hourly bars into a CSV file for `--source files`.

    Each file is recognized by its own marks and named in one line: klines of Binance, CryptoDataDownload, Kraken,
    Coinbase, TradingView, yfinance, alpaca-py, freqtrade, and others with named columns; as it is, or in .gz or .zip.
    What could be read in two ways is refused with the option that decides.  Bars already in the folder stay.  With
    --from, the folder names that venue, and takes no bars of another source.
    """
    from crypto_refactor.config import settings
    from crypto_refactor.market.conversion import Reading, import_bars
    from crypto_refactor.market.hours import floor_hour
    from crypto_refactor.market.sources.base import utc_now
    from crypto_refactor.market.sources.csv_files import file_path

    folder = values["data_dir"] or settings().data_dir or files[0].parent
    names = ("tz", "dates", "decimal", "stamped", "columns", "symbol")
    result = import_bars(
        files,
        values["ticker"],
        file_path(folder, values["ticker"]),
        Reading(**{name: values[name] for name in names}),
        keep=values["keep"],
        now=floor_hour(utc_now()),
        venue=values["venue"],
    )
    if values["as_json"]:
        print_json(_document(result))
    else:
        _print(result)
    ticker = values["ticker"]
    say_hints(
        f"prices in {part.other_dollar} are taken as {ticker.quote} ({part.path.name}). "
        f"--ticker {ticker.base}/{part.other_dollar} keeps the two apart."
        for part in result.parts
        if part.other_dollar is not None
    )
    say_hints(
        f"{part.path.name} is taken as {ticker} although it names {part.other_pair}."
        for part in result.parts
        if part.other_pair is not None
    )


def _document(result: ImportResult) -> dict[str, object]:
    from crypto_refactor.market.hours import to_iso

    return {
        "schema": 1,
        "ticker": str(result.bars.ticker),
        "path": str(result.path),
        "bars": len(result.bars),
        "first": to_iso(int(result.bars.opened[0])),
        "last": to_iso(int(result.bars.opened[-1])),
        "repeated": result.repeated,
        "already_there": result.already_there,
        "original": None if result.original is None else str(result.original),
        "left_out": list(result.left_out),
        "files": [
            {
                "path": str(part.path),
                "layout": part.layout,
                "stamps": part.stamps,
                "order": part.order,
                "decimal_comma": part.decimal_comma,
                "bars": len(part.opened),
                "ignored_columns": list(part.ignored),
            }
            for part in result.parts
        ],
    }


def _print(result: ImportResult) -> None:
    from crypto_refactor.market.hours import to_iso

    for part in result.parts:
        tell(f"{part.path.name}: {part.describe()}")
    bars = result.bars
    first, last = to_iso(int(bars.opened[0])), to_iso(int(bars.opened[-1]))
    tell(f"{bars.ticker}: {len(bars):,} bars, {first} to {last}, in {result.path}")
    if result.repeated:
        rows = (
            "1 row repeated an hour and was"
            if result.repeated == 1
            else f"{result.repeated:,} rows repeated an hour and were"
        )
        tell(f"  {rows} joined")
    if result.already_there:
        tell(f"  {result.already_there:,} bars were there before")
    if result.original is not None:
        tell(f"  the file as it was is now {result.original}")
    for text in result.left_out:
        tell(f"  {text}")
    tell(f"Use them with --source files --data-dir {result.path.parent}")
