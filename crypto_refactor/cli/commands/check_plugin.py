"""`crypto-refactor check-plugin`: whether a plug-in sees the future, or breaks another contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.runner import print_json
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK

if TYPE_CHECKING:
    from crypto_refactor.market.bars import Bars

_HOURS = 2160


@click.command("check-plugin")
@click.argument("plugin", metavar="FILE.py")
@options.option(
    "--ticker",
    "Check on bars of this pair from --source too, beside the bundled sample; repeat for several.",
    "tickers",
    multiple=True,
    callback=options.parse_tickers,
)
@options.source
@options.data_dir
@options.state_dir
@options.end
@options.as_json
@options.debug
def command(plugin: str, as_json: bool, **values: Any) -> int:
    """Check the indicators, conditions, networks and exits of a plug-in.

    Later bars are hidden, one by one, and no value of an earlier bar may change; where one does, it is named, with both
    values.  Nor may a value depend on where the data begin, on the units of prices, or on what was computed before.
    """
    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.plugin_checks import check_plugin
    from crypto_refactor.plugins import read_plugins
    from crypto_refactor.report.terminal.plugin_check import plugin_check_text

    (file,) = read_plugins(plugin)
    series = [_bars(open_source("sample"), Ticker("BTC", "USD"), None)]
    if values["tickers"]:
        source = options.open_selected_source(values)
        series += [_bars(source, ticker, values["end"]) for ticker in values["tickers"]]
    report = check_plugin(file, series)
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(plugin_check_text(report))
    return EXIT_OK if report.passed else EXIT_AUDIT_FAILED


def _bars(source: Any, ticker: Any, end: int | None) -> Bars:
    now = source.now(ticker) if end is None else end
    bars: Bars = source.bars(ticker, now - _HOURS, now)
    return bars
