"""`test_historical_data.py` and `test_mountain_time.py`: checks that say in words what they found."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.runner import print_json
from crypto_refactor.errors import EXIT_OK, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crypto_refactor.market.self_checks import SelfCheck
    from crypto_refactor.market.ticker import Ticker


@click.command("check-history")
@options.ticker
@click.option(
    "--hours",
    type=click.IntRange(1, 1_000_000),
    default=240,
    show_default=True,
    help="Hours of bars to check.",
)
@options.source
@options.data_dir
@options.state_dir
@options.end
@options.as_json
@options.debug
def history(
    ticker: Ticker,
    hours: int,
    source: str | None,
    data_dir: Path | None,
    state_dir: Path | None,
    end: int | None,
    as_json: bool,
) -> int:
    """Check that historical bars are complete, in order, closed and repeatable."""
    from crypto_refactor.market.self_checks import history_checks

    opened = options.open_selected_source(source, data_dir, state_dir)
    until = opened.now(ticker) if end is None else end
    return _show(
        f"Historical bars of {ticker} from {opened.name}",
        history_checks(opened, ticker, hours, until),
        as_json=as_json,
    )


@click.command("check-mountain-time")
@options.as_json
@options.debug
def mountain_time(as_json: bool) -> int:
    """Check the conversion to Mountain Time, both changes of the clocks included."""
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
