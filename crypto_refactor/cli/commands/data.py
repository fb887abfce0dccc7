"""`models/data/app.py`, `crypto-refactor data`: try the data client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.output import console
from crypto_refactor.cli.runner import print_json

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.market.bars import Bars
    from crypto_refactor.market.quality import QualityReport
    from crypto_refactor.market.sources.base import LatestPrice

_MAX_ROWS = 12


@grouped_command("data")
@options.ticker
@options.option("--hours", "Hours of bars to read.", default=240, type=options.BAR_HOURS)
@options.bars
def command(**values: Any) -> None:
    """Show recent bars in UTC and Mountain Time, the latest price, and how complete the bars are."""
    from crypto_refactor.market.bars import fill_gaps
    from crypto_refactor.market.client import CryptoMarketDataClient
    from crypto_refactor.market.quality import quality_report

    ticker, source = values["ticker"], options.open_selected_source(values)
    end = source.now(ticker) if values["end"] is None else values["end"]
    bars = CryptoMarketDataClient(source).get_historical_bars(ticker, values["hours"], end)
    report = quality_report(fill_gaps(bars), end - values["hours"], end)
    latest = source.latest_price(ticker)
    if values["as_json"]:
        print_json(_document(bars, report, latest, end) | {"left_out": list(source.left_out(ticker))})
    else:
        _print(bars, report, latest, values["tz"])
        for note in source.notes():
            click.echo(note)


def _document(bars: Bars, report: QualityReport, latest: LatestPrice, end: int) -> dict[str, object]:
    from dataclasses import asdict

    from crypto_refactor.market.bars import COLUMNS
    from crypto_refactor.market.hours import to_iso

    return {
        "schema": 1,
        "ticker": str(bars.ticker),
        "timeframe": "1h",
        "source": bars.source,
        "simulated": bars.simulated,
        "end": to_iso(end),
        "latest_price": asdict(latest),
        "quality": report.to_dict(),
        "bars": [
            {"opened_at": to_iso(int(bars.opened[row]))}
            | {name: float(getattr(bars, name)[row]) for name in COLUMNS}
            for row in range(len(bars))
        ],
    }


def _print(bars: Bars, report: QualityReport, latest: LatestPrice, tz: ZoneInfo) -> None:
    from rich.table import Table

    from crypto_refactor.market.client import MOUNTAIN
    from crypto_refactor.market.hours import to_local_text, zone
    from crypto_refactor.market.quality import describe
    from crypto_refactor.report.formatting import number, price, source_name

    mountain, screen = zone(MOUNTAIN), console()
    screen.print(
        f"[bold]{bars.ticker}[/bold]: {len(bars):,} hourly bars from {source_name(bars.source)}",
        highlight=False,
    )
    screen.print(f"Latest price {price(latest.price)} {bars.ticker.quote} at {latest.at}\n", highlight=False)
    shown = min(len(bars), _MAX_ROWS)
    first = f"The last {shown} of them" if shown < len(bars) else "All of them"
    screen.print(f"{first}, prices in {bars.ticker.quote}, volume in {bars.ticker.base}:", highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(f"opened ({tz.key})")
    table.add_column("opened (Mountain Time)")
    for name in ("open", "high", "low", "close", "volume"):
        table.add_column(name, justify="right")
    for row in range(len(bars) - shown, len(bars)):
        opened = int(bars.opened[row])
        prices = (price(float(getattr(bars, name)[row])) for name in ("open", "high", "low", "close"))
        table.add_row(
            to_local_text(opened, tz),
            to_local_text(opened, mountain),
            *prices,
            number(float(bars.volume[row]), 4),
        )
    screen.print(table)
    screen.print()
    for line in describe(report):
        screen.print(line, highlight=False)
