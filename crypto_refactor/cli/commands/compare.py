"""`compare` and `trials`: the same window for several tickers and settings, and everything that was tried so far."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.journal import no_journal, open_journal, recorded
from crypto_refactor.cli.output import check_outputs, console, say_hints
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import (
    deciding_options,
    model_settings,
    rule_options,
    signal_rules,
    strategy_options,
    training_cluster,
)
from crypto_refactor.errors import (
    EXIT_AUDIT_FAILED,
    EXIT_OK,
    CryptoRefactorError,
    UnavailableError,
    combined_exit_code,
)
from crypto_refactor.execution.options import option_hints
from crypto_refactor.storage.output_file import check_writable, write_text

if TYPE_CHECKING:
    from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet
    from crypto_refactor.backtest.comparison.runner import Comparison

_VARIABLE = ", ".join(options.names(deciding_options))


@grouped_command("compare")
@options.tickers
@options.hours_to_trade
@options.option(
    "--initial-balance",
    "Starting capital of each trial and of each portfolio, quote currency.",
    default=100_000.0,
)
@options.option(
    "--vary",
    f"Try each value; repeat for every combination of several options.  NAME: {_VARIABLE}.",
    multiple=True,
    metavar="NAME=V1,V2,…",
)
@options.option(
    "--select-then-test",
    "Choose the best trial on this first part of the window, and test it on the rest, which the choice never saw.",
    "fraction",
    type=float,
    metavar="FRACTION",
)
@strategy_options
@options.file_option("--csv", "FILE.csv", "Write the table.", "table")
@options.report
@options.wide
@no_journal
@options.bars
def command(
    vary: tuple[str, ...],
    fraction: float | None,
    table: Path | None,
    report: Path | None,
    wide: bool,
    **values: Any,
) -> int:
    """Backtest several tickers and settings over one window, and rank them.

    Missing models are trained side by side, into the cache that backtests use.  Below the ranking stand
    what the best trial would be expected to show by chance and, for each setting, the portfolio of equal
    sub-accounts that run_multi_ticker.py would have traded.
    """
    from crypto_refactor.backtest.comparison.request import ComparisonRequest
    from crypto_refactor.backtest.comparison.runner import run_comparison
    from crypto_refactor.backtest.comparison.selection import select_then_test
    from crypto_refactor.backtest.journal.recording import record_comparison, record_held_out
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.config import settings
    from crypto_refactor.report.csv_files import comparison_csv
    from crypto_refactor.report.documents.comparison import comparison_json

    check_outputs({"--csv": table, "--report": report})
    tickers = options.selected_tickers(values)
    request = ComparisonRequest(
        tickers=tickers,
        explicitly_requested=bool(values["tickers"]),
        settings=_parameter_sets(values, vary, len(tickers)),
        source=options.open_selected_source(values),
        hours=values["hours"],
        end=values["end"],
        initial_balance=values["initial_balance"],
        model=values["model"],
        model_dir=settings().model_dir,
        allow_gaps=values["allow_gaps"],
        allow_jumps=values["allow_jumps"],
        observer=TrainingBars(),
        cluster=training_cluster(values),
    )
    sets = f"{len(request.settings)} setting{'s' if len(request.settings) > 1 else ''}"
    click.echo(f"Comparing {len(tickers)} ticker{'s' if len(tickers) > 1 else ''} with {sets} …", err=True)
    held_out = None
    if fraction is None:
        comparison = recorded(values, run_comparison(request), record_comparison)
    else:
        held_out = recorded(values, select_then_test(request, fraction), record_held_out)
        comparison = held_out.choice
    if not comparison.trials and not comparison.failed:
        raise UnavailableError.for_all()
    if not comparison.trials and not values["as_json"] and len(set(map(str, _errors(comparison)))) == 1:
        raise _errors(comparison)[0]
    if table is not None:
        write_text(table, comparison_csv(comparison))
    if report is not None:
        from crypto_refactor.report.html.comparison_page import comparison_html

        write_text(report, comparison_html(comparison, held_out, tz=values["tz"]))
    if values["as_json"]:
        print_json(comparison_json(comparison, held_out))
    else:
        from crypto_refactor.report.reproduce import repeat_command
        from crypto_refactor.report.terminal.comparison import print_comparison

        end = comparison.end if held_out is None else held_out.end
        again = () if end is None else repeat_command("compare", request.source.name, end)
        print_comparison(comparison, values["tz"], console(), held_out, wide=wide, again=again)
    parts = [comparison] if held_out is None or held_out.rest is None else [comparison, held_out.rest]
    if any(part.audits_passed < len(part.trials) for part in parts):
        return EXIT_AUDIT_FAILED
    codes = [failed.error.exit_code for part in parts for failed in part.failed]
    return combined_exit_code([*codes, EXIT_OK] if comparison.trials else codes)


def _errors(comparison: Comparison) -> list[CryptoRefactorError]:
    return [failed.error for failed in comparison.failed]


def _parameter_sets(
    values: Mapping[str, Any], vary: tuple[str, ...], tickers: int
) -> tuple[ParameterSet, ...]:
    from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, combinations, parse_axis

    base = ParameterSet(
        settings=model_settings(values), signal_rules=signal_rules(values), options=rule_options(values)
    )
    sets = combinations(base, [parse_axis(text) for text in vary], tickers=tickers)
    said = option_hints(base.options)
    hints = dict.fromkeys(hint for parameters in sets for hint in option_hints(parameters.options))
    say_hints(hint for hint in hints if hint not in said)
    return sets


@grouped_command("trials")
@options.option(
    "--ticker",
    "Show the trials of this pair alone.  [default: all]",
    callback=options.parse_optional_ticker,
)
@options.option("--limit", "Show the newest ones, at most so many.  [default: all]", type=click.IntRange(1))
@options.file_option("--csv", "FILE.csv", "Write the table.", "table")
@options.wide
@options.state
def trials(table: Path | None, wide: bool, **values: Any) -> None:
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

        print_trials(rows, console(), wide=wide)


COMMANDS = {"compare": command, "trials": trials}
