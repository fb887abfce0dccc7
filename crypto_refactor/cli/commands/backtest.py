"""`models/app_backtester.py`, `crypto-refactor backtest`: trade a past window."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import load_command
from crypto_refactor.cli.journal import no_journal, recorded
from crypto_refactor.cli.output import check_outputs, say_run
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import run_backtest, strategy_options
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK
from crypto_refactor.storage.output_file import write_text

if TYPE_CHECKING:
    from crypto_refactor.backtest.result import BacktestResult


@options.command("backtest")
@options.ticker
@options.hours_to_trade
@options.initial_balance
@strategy_options
@options.trades
@options.file_option("--signals", "FILE.csv", "Write the signal of every bar.")
@options.report
@options.flag("--importance", "Measure what the models look at: each input in turn is taken from other days.")
@no_journal
@options.details
@options.bars
def command(
    trades: Path | None, signals: Path | None, report: Path | None, details: bool, **values: Any
) -> int:
    """Backtest the signals, each decided by a model that was trained on earlier bars only.

    Decisions are made at each close and filled at the next open, with fees.  The result stands beside
    what an Alpaca account would have made and beside buy and hold.  Every run is audited; exit code 6
    means look-ahead or an account that does not add up.
    """
    from crypto_refactor.backtest.journal.recording import BACKTEST, record_run
    from crypto_refactor.report.csv_files import signals_csv, trades_csv
    from crypto_refactor.report.reproduce import repeat_command

    check_outputs({"--trades": trades, "--signals": signals, "--report": report})
    result = recorded(values, run_backtest(values), lambda journal, run: record_run(journal, run, BACKTEST))
    again = repeat_command("backtest", result.window.source, result.end)
    if trades is not None:
        write_text(trades, trades_csv(result))
    if signals is not None:
        write_text(signals, signals_csv(result))
    if report is not None:
        from crypto_refactor.report.html.page import report_html

        write_text(report, report_html(result, command=shlex.join(again), tz=values["tz"]))
    if values["as_json"]:
        from crypto_refactor.report.documents.backtest import backtest_json

        print_json(backtest_json(result))
    else:
        files = {"report": report, "trades": trades, "signals": signals}
        say_run(
            result,
            values["tz"],
            details=details,
            files=files,
            commands={"Next": _next(result), "Again": again},
        )
    return EXIT_OK if result.audit is None or result.audit.passed else EXIT_AUDIT_FAILED


def _next(result: BacktestResult) -> list[str]:
    """Return what to run next: a longer window where this one proves nothing, a comparison without an edge, else paper."""
    from crypto_refactor.backtest.significance.verdict import EVIDENCE, MIN_HOURS
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.report.reproduce import related_command

    code = None if result.verdict is None else result.verdict.code
    if code == EVIDENCE:
        return related_command(load_command("trade"), result.window.source, {"--demo": None})
    if result.hours < MIN_HOURS:
        changed = {"--hours": str(MIN_HOURS), "--end": to_iso(result.end)}
        return related_command(load_command("backtest"), result.window.source, changed)
    changed = {"--hours": str(result.hours), "--end": to_iso(result.end), "--vary": "exit=neutral,opposite"}
    return related_command(load_command("compare"), result.window.source, changed, without=("--exit",))
