"""`test_historical_data.py`, `test_mountain_time.py` and `crypto-refactor check-plugin`: one line per check."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.output import fitted, tell
from crypto_refactor.cli.runner import print_json
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK, DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crypto_refactor.market.bars import Bars
    from crypto_refactor.market.self_checks import SelfCheck
    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.market.ticker import Ticker


_PLUGIN_HOURS = 3500


@grouped_command("check-history")
@options.ticker
@options.option("--hours", "Hours of bars to check.", default=240, type=options.BAR_HOURS)
@options.source
@options.data_dir
@options.state_dir
@options.end
@options.as_json
@options.debug
def history(as_json: bool, **values: Any) -> int:
    """Check that historical bars are complete, in order, closed and repeatable."""
    from crypto_refactor.market.self_checks import history_checks

    ticker, source = values["ticker"], options.open_selected_source(values)
    end = source.now(ticker) if values["end"] is None else values["end"]
    checks = history_checks(source, ticker, values["hours"], end)
    title = f"Historical bars of {ticker}, the last {values['hours']:,} hours (--hours), from {source.name}"
    return _show(title, checks, as_json=as_json)


@grouped_command("check-mountain-time")
@options.as_json
@options.debug
def mountain_time(as_json: bool) -> int:
    """Check the conversion to Mountain Time, including both clock changes."""
    from crypto_refactor.market.self_checks import mountain_time_checks

    return _show("Mountain Time (America/Denver)", mountain_time_checks(), as_json=as_json)


def _show(title: str, checks: Sequence[SelfCheck], *, as_json: bool) -> int:
    failed = sum(not check.holds for check in checks)
    if as_json:
        print_json(
            {"schema": 1, "title": title, "checks": [asdict(check) for check in checks], "failed": failed}
        )
    else:
        tell(title + ("   SIMULATED" if title.endswith("from sample") else ""))
        for check in checks:
            tell(f"  {'ok    ' if check.holds else 'FAILED'}  {check.what}: {check.found}")
        tell(f"{len(checks) - failed} of {len(checks)} checks hold.")
    return DataError.exit_code if failed else EXIT_OK


@grouped_command("check-plugin")
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
def check_plugin(plugin: str, as_json: bool, **values: Any) -> int:
    """Check the indicators, conditions, networks and exits of a plug-in.

    Later bars are hidden, one by one, and no value of an earlier bar may change; where one does, it is named, with both
    values.  Nor may a value depend on where the data begin, on the units of prices, or on what was computed before.
    """
    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.plugin_checks import checker
    from crypto_refactor.plugins import read_plugins
    from crypto_refactor.report.terminal.plugin_check import plugin_check_text

    if not values["tickers"] and (values["source"] or values["data_dir"] or values["end"] is not None):
        raise UsageError(
            "--source, --data-dir or --end was given without --ticker.",
            expected="a pair whose bars are checked on, beside the sample's.",
            remedy="add --ticker, or leave the others out.",
        )
    (file,) = read_plugins(plugin)
    series = [_bars(open_source("sample"), Ticker("BTC", "USD"), None)]
    if values["tickers"]:
        source = options.open_selected_source(values)
        series += [_bars(source, ticker, values["end"]) for ticker in values["tickers"]]
    if sys.stderr.isatty():  # a loop over bars in Python takes a minute
        click.echo(
            fitted(f"Checking {file.name}: every bar is computed again without later ones …"), err=True
        )
    report = checker.check_plugin(file, series)
    if as_json:
        print_json(report.to_dict())
    else:
        tell(plugin_check_text(report))
    return EXIT_OK if report.passed else EXIT_AUDIT_FAILED


def _bars(source: Source, ticker: Ticker, end: int | None) -> Bars:
    now = source.now(ticker) if end is None else end
    return source.bars(ticker, now - _PLUGIN_HOURS, now)


COMMANDS = {"check-history": history, "check-mountain-time": mountain_time, "check-plugin": check_plugin}
