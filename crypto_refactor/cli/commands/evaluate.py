"""`crypto-refactor evaluate`: somebody else's targets through the same engine, costs and metrics."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.execution_options import execution_options, rule_options
from crypto_refactor.cli.output import check_outputs, write_text
from crypto_refactor.cli.runner import print_json

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.market.ticker import Ticker

_PROGRAM = ("crypto-refactor", "evaluate")
_OF_A_FORECAST = {"exit_rule": "neutral", "strict": False}
"""Execution options that ask for a forecast, with the values that leave targets as they are."""


@click.command("evaluate")
@click.option(
    "--targets",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.csv",
    help="Columns made_at (close of a bar, ISO-8601 UTC) and target (-1, 0, 1); an hour without a row keeps "
    "the last target.",
)
@options.ticker
@click.option("--hours", type=int, help="Hours to trade.  [default: from the first target to the last]")
@click.option(
    "--initial-balance",
    type=float,
    default=100_000.0,
    show_default=True,
    help="Starting capital, quote currency.",
)
@execution_options
@options.allow_gaps
@options.trades
@options.report
@options.bars
def command(
    targets: Path,
    ticker: Ticker,
    hours: int | None,
    initial_balance: float,
    allow_gaps: bool,
    trades: Path | None,
    report: Path | None,
    source: str | None,
    data_dir: Path | None,
    state_dir: Path | None,
    end: int | None,
    tz: ZoneInfo,
    as_json: bool,
    **execution: object,
) -> None:
    """Trade somebody else's targets over a window that has passed.

    A target made at a close is filled at the next open, with fees, as the backtester's own are; flat means
    flat.  The window reaches from the first target to the last; --hours and --end narrow it.  The result stands beside what an Alpaca account would have got and beside buying and holding.
    """
    from crypto_refactor.backtest.external.evaluation import evaluate_targets
    from crypto_refactor.backtest.external.target_file import read_targets
    from crypto_refactor.report.csv_files import trades_csv
    from crypto_refactor.report.documents.backtest import evaluation_json

    check_outputs({"--trades": trades, "--report": report}, {"--targets": targets})
    found = evaluate_targets(
        options.open_selected_source(source, data_dir, state_dir),
        ticker,
        read_targets(targets),
        rule_options(execution | _OF_A_FORECAST),
        hours=hours,
        end=end,
        initial_balance=initial_balance,
        allow_gaps=allow_gaps,
    )
    document = evaluation_json(found)
    if trades is not None:
        write_text(trades, trades_csv(found))
    if report is not None:
        from crypto_refactor.report.html.page import evaluation_html
        from crypto_refactor.report.reproduce import repeat_command

        repeat = repeat_command(_PROGRAM, found.window.source, found.end)
        write_text(report, evaluation_html(found, command=repeat, tz=tz))
    if as_json:
        print_json(document)
        return
    from crypto_refactor.cli.output import console
    from crypto_refactor.report.terminal.backtest import print_evaluation

    print_evaluation(found, tz, console())


command.params = [each for each in command.params if each.name not in _OF_A_FORECAST]
