"""`models/app_backtester.py`, `crypto-refactor backtest`: trade a window that has passed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.execution_options import rule_options
from crypto_refactor.cli.output import check_outputs, write_text
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import (
    model_settings,
    signal_rules,
    strategy_options,
    training_cluster,
)
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.market.ticker import Ticker

_PROGRAM = ("python3", "models/app_backtester.py")


@click.command("backtest")
@options.ticker
@click.option("--hours", type=int, default=720, show_default=True, help="Hours to trade.")
@click.option(
    "--initial-balance",
    type=float,
    default=100_000.0,
    show_default=True,
    help="Starting capital, quote currency.",
)
@strategy_options
@options.trades
@click.option(
    "--signals", type=click.Path(path_type=Path), metavar="FILE.csv", help="Write every bar's signal."
)
@options.report
@options.bars
def command(
    ticker: Ticker,
    hours: int,
    initial_balance: float,
    model: str | None,
    allow_gaps: bool,
    trades: Path | None,
    signals: Path | None,
    report: Path | None,
    source: str | None,
    data_dir: Path | None,
    state_dir: Path | None,
    end: int | None,
    tz: ZoneInfo,
    as_json: bool,
    **strategy: object,
) -> int:
    """Backtest the signals: every stretch is decided by a model that has seen none of it.

    Decisions are made at each close and filled at the next open, with fees.  The result stands beside
    what an Alpaca account would have got and beside buying and holding.  Every run audits itself; exit code 6
    says that it has seen the future, or does not add up.
    """
    from crypto_refactor.backtest.backtester import Backtester
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.report.csv_files import signals_csv, trades_csv
    from crypto_refactor.report.documents.backtest import backtest_json

    check_outputs({"--trades": trades, "--signals": signals, "--report": report})
    backtester = Backtester(
        ticker,
        source=options.open_selected_source(source, data_dir, state_dir),
        settings=model_settings(strategy),
        signal_rules=signal_rules(strategy),
        options=rule_options(strategy),
        model=model,
        observer=TrainingBars(),
        cluster=training_cluster(strategy),
    )
    result = backtester.run(hours, end=end, initial_balance=initial_balance, allow_gaps=allow_gaps)
    document = backtest_json(result)
    if trades is not None:
        write_text(trades, trades_csv(result))
    if signals is not None:
        write_text(signals, signals_csv(result))
    if report is not None:
        from crypto_refactor.report.html.page import report_html
        from crypto_refactor.report.reproduce import repeat_command

        repeat = repeat_command(_PROGRAM, result.window.source, result.end)
        write_text(report, report_html(result, command=repeat, tz=tz))
    code = EXIT_OK if result.audit is None or result.audit.passed else EXIT_AUDIT_FAILED
    if as_json:
        print_json(document)
        return code
    from crypto_refactor.cli.output import console
    from crypto_refactor.report.terminal.backtest import print_backtest

    print_backtest(result, tz, console())
    return code
