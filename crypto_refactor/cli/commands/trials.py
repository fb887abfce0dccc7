"""`crypto-refactor trials`: what was tried so far."""

from pathlib import Path
from typing import Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.journal import open_journal
from crypto_refactor.cli.output import check_writable, console, write_text
from crypto_refactor.cli.runner import print_json


@click.command("trials")
@options.option(
    "--ticker",
    "Show the trials of this pair alone.  [default: all]",
    callback=options.parse_optional_ticker,
)
@options.option("--limit", "Show the newest ones, at most so many.  [default: all]", type=click.IntRange(1))
@options.file_option("--csv", "FILE.csv", "Write the table.", "table")
@options.state
def command(table: Path | None, **values: Any) -> None:
    """List the journal of trials: each backtest, trial of a comparison and evaluation, the newest first.

    The same settings on the same bars are one trial, however often they ran.  Verdicts and deflated Sharpe ratios
    count the trials that came before on overlapping bars of the ticker.
    """
    from crypto_refactor.report.csv_files import trials_csv
    from crypto_refactor.report.documents.trials import trials_json

    check_writable(table)
    journal = open_journal(values)
    ticker = None if values["ticker"] is None else str(values["ticker"])
    rows = journal.rows(ticker=ticker, limit=values["limit"]) if journal.path.exists() else []
    if table is not None:
        write_text(table, trials_csv(rows))
    if values["as_json"]:
        print_json(trials_json(rows))
    elif not rows:
        click.echo(f"No trial{'' if ticker is None else f' of {ticker}'} is recorded in {journal.path}.")
    elif table is not None:
        click.echo(f"{len(rows)} rows written to {table}.")
    else:
        from crypto_refactor.report.terminal.trials import print_trials

        print_trials(rows, console())
