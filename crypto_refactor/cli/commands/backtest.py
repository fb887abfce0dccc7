"""`models/app_backtester.py`, `crypto-refactor backtest`: trade a past window."""

from pathlib import Path
from typing import Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.journal import no_journal, recorded
from crypto_refactor.cli.output import check_outputs, console
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import run_backtest, strategy_options
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK
from crypto_refactor.storage.output_file import write_text

_PROGRAM = ("python3", "models/app_backtester.py")


@click.command("backtest")
@options.ticker
@options.hours_to_trade
@options.initial_balance
@strategy_options
@options.trades
@options.file_option("--signals", "FILE.csv", "Write the signal of every bar.")
@options.report
@options.flag("--importance", "Measure what the models look at: each input in turn is taken from other days.")
@no_journal
@options.bars
def command(trades: Path | None, signals: Path | None, report: Path | None, **values: Any) -> int:
    """Backtest the signals, each decided by a model that was trained on earlier bars only.

    Decisions are made at each close and filled at the next open, with fees.  The result stands beside
    what an Alpaca account would have made and beside buy and hold.  Every run is audited; exit code 6
    means look-ahead or an account that does not add up.
    """
    from crypto_refactor.backtest.journal.recording import BACKTEST, record_run
    from crypto_refactor.report.csv_files import signals_csv, trades_csv

    check_outputs({"--trades": trades, "--signals": signals, "--report": report})
    result = recorded(values, run_backtest(values), lambda journal, run: record_run(journal, run, BACKTEST))
    if trades is not None:
        write_text(trades, trades_csv(result))
    if signals is not None:
        write_text(signals, signals_csv(result))
    if report is not None:
        from crypto_refactor.report.html.page import report_html
        from crypto_refactor.report.reproduce import repeat_command

        repeat = repeat_command(_PROGRAM, result.window.source, result.end)
        write_text(report, report_html(result, command=repeat, tz=values["tz"]))
    if values["as_json"]:
        from crypto_refactor.report.documents.backtest import backtest_json

        print_json(backtest_json(result))
    else:
        from crypto_refactor.report.terminal.backtest import print_backtest

        print_backtest(result, values["tz"], console())
    return EXIT_OK if result.audit is None or result.audit.passed else EXIT_AUDIT_FAILED
