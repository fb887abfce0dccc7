"""`test_historical_data.py` and `test_mountain_time.py`: one line per check."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.runner import print_json
from crypto_refactor.errors import EXIT_OK, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crypto_refactor.market.self_checks import SelfCheck


@click.command("check-history")
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
    return _show(f"Historical bars of {ticker} from {source.name}", checks, as_json=as_json)


@click.command("check-mountain-time")
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
        click.echo(title + ("   SIMULATED" if title.endswith("from sample") else ""))
        for check in checks:
            click.echo(f"  {'ok    ' if check.holds else 'FAILED'}  {check.what}: {check.found}")
        click.echo(f"{len(checks) - failed} of {len(checks)} checks hold.")
    return DataError.exit_code if failed else EXIT_OK


COMMANDS = {"check-history": history, "check-mountain-time": mountain_time}
