"""`crypto-refactor audit`: run a backtest and check that it has seen nothing of the future."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.execution_options import rule_options
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


@click.command("audit")
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
@click.option("--full", is_flag=True, help="Decide every close again, not a sample of them.")
@options.bars
def command(
    ticker: Ticker,
    hours: int,
    initial_balance: float,
    model: str | None,
    allow_gaps: bool,
    full: bool,
    source: str | None,
    data_dir: Path | None,
    state_dir: Path | None,
    end: int | None,
    tz: ZoneInfo,
    as_json: bool,
    **strategy: object,
) -> int:
    """Check a backtest: that nothing in it has seen the future, and that its account adds up.

    Features, forecasts and signals are made again from the bars that had closed by then, every model is
    held against its cut-off, and every fill and fee is added up again.  Exit code 6 where anything differs.
    """
    from crypto_refactor.backtest.audit.auditor import audit
    from crypto_refactor.backtest.backtester import Backtester
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.report.documents.backtest import audit_json
    from crypto_refactor.report.terminal.audit import print_audit

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
    result = backtester.run(
        hours, end=end, initial_balance=initial_balance, allow_gaps=allow_gaps, assess=False
    )
    found = audit(result, full=full)
    if as_json:
        print_json(audit_json(result, found))
    else:
        from crypto_refactor.cli.output import console

        print_audit(result, found, tz, console())
    return EXIT_OK if found.passed else EXIT_AUDIT_FAILED
