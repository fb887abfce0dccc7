"""`crypto-refactor compare`: the same window for several tickers and settings, in one ranked table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.execution_options import rule_options
from crypto_refactor.cli.output import check_writable, write_text
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import (
    model_settings,
    signal_rules,
    strategy_options,
    training_cluster,
)
from crypto_refactor.errors import EXIT_OK, EXIT_TICKERS_DIFFER, UnavailableError

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet
    from crypto_refactor.backtest.comparison.runner import Comparison
    from crypto_refactor.market.ticker import Ticker


@click.command("compare")
@click.option(
    "--ticker",
    "tickers",
    multiple=True,
    callback=options.several_tickers,
    help="Only this one; may be repeated.  [default: all of tickers.txt]",
)
@click.option("--hours", type=int, default=720, show_default=True, help="Hours to trade.")
@click.option(
    "--initial-balance",
    type=float,
    default=100_000.0,
    show_default=True,
    help="Starting capital of each trial and of each portfolio, quote currency.",
)
@click.option(
    "--vary",
    "vary",
    multiple=True,
    metavar="NAME=V1,V2,…",
    help="Try each value; may be repeated for every combination.  NAME: threshold-scale, min-confirmations, "
    "exit, long-only, network, venue, strict, stop-loss, take-profit.",
)
@strategy_options
@click.option("--csv", "table", type=click.Path(path_type=Path), metavar="FILE.csv", help="Write the table.")
@options.bars
def command(
    tickers: tuple[Ticker, ...],
    hours: int,
    initial_balance: float,
    vary: tuple[str, ...],
    model: str | None,
    allow_gaps: bool,
    table: Path | None,
    source: str | None,
    data_dir: Path | None,
    state_dir: Path | None,
    end: int | None,
    tz: ZoneInfo,
    as_json: bool,
    **strategy: object,
) -> int:
    """Backtest several tickers and settings over one window, and rank them.

    Models come from the same cache as a backtest's; all that are missing are trained side by side.  Below
    the ranking stands what its best would show by luck alone, and for each setting the portfolio of equal
    sub-accounts that run_multi_ticker.py would have traded.
    """
    from crypto_refactor.backtest.comparison.request import ComparisonRequest
    from crypto_refactor.backtest.comparison.runner import compare
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.config import settings, tickers_file
    from crypto_refactor.market.ticker import read_tickers
    from crypto_refactor.report.csv_files import comparison_csv
    from crypto_refactor.report.documents.comparison import comparison_json

    check_writable(table)
    found = compare(
        ComparisonRequest(
            tickers=tickers or read_tickers(tickers_file()),
            asked=bool(tickers),
            settings=_settings(strategy, vary),
            source=options.open_selected_source(source, data_dir, state_dir),
            hours=hours,
            end=end,
            initial_balance=initial_balance,
            model=model,
            model_dir=settings().model_dir,
            allow_gaps=allow_gaps,
            observer=TrainingBars(),
            cluster=training_cluster(strategy),
        )
    )
    if not found.trials and not found.failed:
        raise _none_offered()
    if table is not None:
        write_text(table, comparison_csv(found))
    if as_json:
        print_json(comparison_json(found))
    else:
        from crypto_refactor.cli.output import console
        from crypto_refactor.report.terminal.comparison import print_comparison

        print_comparison(found, tz, console())
    return _exit_code(found)


def _settings(strategy: dict[str, object], vary: tuple[str, ...]) -> tuple[ParameterSet, ...]:
    from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, combinations, parse_axis

    base = ParameterSet(
        settings=model_settings(strategy), signal_rules=signal_rules(strategy), options=rule_options(strategy)
    )
    return combinations(base, [parse_axis(text) for text in vary])


def _none_offered() -> UnavailableError:
    return UnavailableError(
        "None of the tickers is offered.",
        expected="at least one that the source has bars of.",
        remedy="choose another --source or --ticker.",
    )


def _exit_code(found: Comparison) -> int:
    """Return 0, the one code that everything failed with, or 1 where tickers ended differently."""
    codes = {failed.error.exit_code for failed in found.failed}
    if not codes:
        return EXIT_OK
    return EXIT_TICKERS_DIFFER if found.trials or len(codes) > 1 else codes.pop()
