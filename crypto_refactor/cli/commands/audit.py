"""`crypto-refactor audit`: run a backtest and check that it has no look-ahead."""

from typing import Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.output import say, text_width
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import run_backtest, strategy_options
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK


@options.command("audit")
@options.ticker
@options.hours_to_trade
@options.initial_balance
@strategy_options
@options.flag("--full", "Recompute every decision instead of a sample.")
@options.flag("--retrain", "Train the model behind most fills again and compare the two.")
@options.bars
def command(full: bool, retrain: bool, **values: Any) -> int:
    """Check a backtest for look-ahead and its account for errors.

    Features, forecasts and signals are recomputed from the bars that had closed by then, every model's card is
    compared with its cut-off, and every fill and fee is recalculated.  Exit code 6 if anything differs.
    """
    from crypto_refactor.backtest.audit.auditor import audit
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.report.documents.backtest import audit_json
    from crypto_refactor.report.terminal.audit import audit_text

    result = run_backtest(values, assess=False)
    if full:
        click.echo("Recomputing every decision …", err=True)
    findings = audit(result, full=full, retrain=TrainingBars() if retrain else None)
    if values["as_json"]:
        print_json(audit_json(result, findings))
    else:
        say(audit_text(result, findings, values["tz"], text_width()))
    return EXIT_OK if findings.passed else EXIT_AUDIT_FAILED
