"""`crypto-refactor compare`: the same window for several tickers and settings, in one ranked table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.output import console, say_hints
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import (
    model_settings,
    rule_options,
    signal_rules,
    strategy_options,
    training_cluster,
)
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK, UnavailableError, combined_exit_code
from crypto_refactor.execution.options import EXECUTION_OPTIONS, option_hints
from crypto_refactor.storage.output_file import check_writable, write_text

if TYPE_CHECKING:
    from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet

_VARIABLE = ", ".join(
    [
        *("threshold-scale", "min-confirmations", "network"),
        *(spec.name for spec in EXECUTION_OPTIONS.values() if spec.variation_text),
    ]
)


@click.command("compare")
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
@strategy_options
@options.file_option("--csv", "FILE.csv", "Write the table.", "table")
@options.bars
def command(vary: tuple[str, ...], table: Path | None, **values: Any) -> int:
    """Backtest several tickers and settings over one window, and rank them.

    Missing models are trained side by side, into the cache that backtests use.  Below the ranking stand
    what the best trial would be expected to show by chance and, for each setting, the portfolio of equal
    sub-accounts that run_multi_ticker.py would have traded.
    """
    from crypto_refactor.backtest.comparison.request import ComparisonRequest
    from crypto_refactor.backtest.comparison.runner import run_comparison
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.config import settings
    from crypto_refactor.report.csv_files import comparison_csv
    from crypto_refactor.report.documents.comparison import comparison_json

    check_writable(table)
    comparison = run_comparison(
        ComparisonRequest(
            tickers=options.selected_tickers(values),
            explicitly_requested=bool(values["tickers"]),
            settings=_parameter_sets(values, vary),
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
    )
    if not comparison.trials and not comparison.failed:
        raise UnavailableError.for_all()
    if table is not None:
        write_text(table, comparison_csv(comparison))
    if values["as_json"]:
        print_json(comparison_json(comparison))
    else:
        from crypto_refactor.report.terminal.comparison import print_comparison

        print_comparison(comparison, values["tz"], console())
    if comparison.audits_passed < len(comparison.trials):
        return EXIT_AUDIT_FAILED
    codes = [failed.error.exit_code for failed in comparison.failed]
    return combined_exit_code([*codes, EXIT_OK] if comparison.trials else codes)


def _parameter_sets(values: Mapping[str, Any], vary: tuple[str, ...]) -> tuple[ParameterSet, ...]:
    from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, combinations, parse_axis

    base = ParameterSet(
        settings=model_settings(values), signal_rules=signal_rules(values), options=rule_options(values)
    )
    sets = combinations(base, [parse_axis(text) for text in vary])
    said = option_hints(base.options)
    hints = dict.fromkeys(hint for parameters in sets for hint in option_hints(parameters.options))
    say_hints(hint for hint in hints if hint not in said)
    return sets
