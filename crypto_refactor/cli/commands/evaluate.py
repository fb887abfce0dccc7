"""`crypto-refactor evaluate`: external targets through the same engine, costs and metrics."""

import shlex
from pathlib import Path
from typing import Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.journal import no_journal, recorded
from crypto_refactor.cli.output import check_outputs, say_run
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import execution_options, rule_options
from crypto_refactor.execution.options import EXECUTION_OPTIONS, NEEDS_A_FORECAST
from crypto_refactor.storage.output_file import write_text


@options.command("evaluate")
@options.file_option(
    "--targets",
    "FILE.csv",
    "Columns made_at (an hour, ISO-8601 UTC) and target (-1, 0, 1); an hour without a row keeps the last target.",
    required=True,
)
@options.option(
    "--stamped",
    "What made_at is: the close of the bar a target was made from, so that the target is known at that hour; or the "
    "bar's open, so that it is known an hour later.",
    type=click.Choice(["open", "close"]),
    default="close",
)
@options.ticker
@options.option("--hours", "Hours to trade.  [default: from the first target to the last]", type=int)
@options.initial_balance
@execution_options
@options.allow_gaps
@options.allow_jumps
@options.trades
@options.report
@no_journal
@options.details
@options.bars
def command(
    targets: Path, stamped: str, trades: Path | None, report: Path | None, details: bool, **values: Any
) -> None:
    """Backtest external targets over a past window.

    A target is filled at the first open at or after the hour at which it is known, with fees, as the
    backtester's own are; 0 means flat.  Stamped 12:00, it is known and filled at 12:00 with --stamped close,
    and at 13:00 with --stamped open.  The window reaches from the first target to the last; --hours and --end
    narrow it.  The result stands beside that of the same targets one hour later, what an Alpaca account would
    have made, and buy and hold; where the result hangs on that hour, this is said first.
    """
    from crypto_refactor.backtest.external.evaluation import evaluate_targets
    from crypto_refactor.backtest.external.target_file import Stamped, read_targets
    from crypto_refactor.backtest.journal.recording import EVALUATE, record_run
    from crypto_refactor.report.csv_files import trades_csv
    from crypto_refactor.report.reproduce import repeat_command

    check_outputs({"--trades": trades, "--report": report}, {"--targets": targets})
    result = evaluate_targets(
        options.open_selected_source(values),
        values["ticker"],
        read_targets(targets, Stamped(stamped)),
        rule_options(values | {name: EXECUTION_OPTIONS[name].default for name in NEEDS_A_FORECAST}),
        hours=values["hours"],
        end=values["end"],
        initial_balance=values["initial_balance"],
        allow_gaps=values["allow_gaps"],
        allow_jumps=values["allow_jumps"],
    )
    result = recorded(values, result, lambda journal, run: record_run(journal, run, EVALUATE))
    again = repeat_command("evaluate", result.window.source, result.end)
    if trades is not None:
        write_text(trades, trades_csv(result))
    if report is not None:
        from crypto_refactor.report.html.page import evaluation_html

        write_text(report, evaluation_html(result, command=shlex.join(again), tz=values["tz"]))
    if values["as_json"]:
        from crypto_refactor.report.documents.backtest import evaluation_json

        print_json(evaluation_json(result))
    else:
        files = {"report": report, "trades": trades}
        say_run(result, values["tz"], details=details, files=files, commands={"Again": again})


command.params = [parameter for parameter in command.params if parameter.name not in NEEDS_A_FORECAST]
