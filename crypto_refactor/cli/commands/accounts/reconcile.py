"""`reconcile`: hold an account against the backtest of its own lifetime, and its holdings against Alpaca's."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.commands.accounts.holdings import account_at_alpaca
from crypto_refactor.cli.output import check_outputs, console, fitted
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.account_selection import (
    account_options,
    broker_for,
    open_ledger,
    selected_account,
)
from crypto_refactor.errors import EXIT_AUDIT_FAILED, EXIT_OK, BrokerError
from crypto_refactor.storage.output_file import write_text

if TYPE_CHECKING:
    from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
    from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger
    from crypto_refactor.trading.manual.reconcile import Reconciliation
    from crypto_refactor.trading.reconciliation.reconcile import Means
    from crypto_refactor.trading.reconciliation.result import AccountReconciliation


@grouped_command("reconcile")
@options.flag("--accept", "Book Alpaca's holdings as they are, and accept orders of other ledgers up to now.")
@options.option("--ticker", "Only this ticker; repeat for several.", "tickers", multiple=True, metavar="T")
@options.option(
    "--since",
    "Begin at this full hour (UTC).  [default: opened]",
    metavar="STAMP",
    callback=options.parse_hour,
)
@options.file_option("--csv", "FILE.csv", "Write both sides hour by hour.", "table")
@options.report
@options.wide
@account_options
def reconcile(
    accept: bool,
    tickers: tuple[str, ...],
    since: int | None,
    table: Path | None,
    report: Path | None,
    wide: bool,
    **values: Any,
) -> int:
    """Hold an account against the backtest of its own lifetime, and name the cause of every difference.

    The backtest uses the settings that the ledger keeps.  For an account at Alpaca, its holdings are compared as well.
    Exit code 6 means that a difference has no cause, or that holdings differ.

    With --accept, coins that are missing at Alpaca are booked as sold at the ledger's last price, and this ledger trades
    again although another one has sent orders.  Coins the ledger did not open are never sold: see `adopt`.
    """
    from datetime import UTC, datetime

    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.account_names import is_at_broker
    from crypto_refactor.trading.reconciliation.reconcile import reconcile_account

    check_outputs({"--csv": table, "--report": report})
    requested = tuple(dict.fromkeys(map(Ticker.parse, tickers))) or None
    state, ledger, rows = open_ledger(values)
    now = datetime.now(UTC)
    row = None if accept else selected_account(values, rows)
    if row is None:
        return _holdings_alone(values, ledger, state, rows, requested, accept=accept)
    broker = broker_for(values, row) if is_at_broker(row.name) else None
    result = reconcile_account(ledger, row, _means(values, broker, now), tickers=requested, since=since)
    holdings, why = _holdings(ledger, row, broker, now)
    if why is not None:
        from dataclasses import replace

        result = replace(result, missing={**result.missing, "holdings": why})
    _write(result, table, report)
    _show(result, holdings, as_json=values["as_json"], wide=wide)
    if requested is None and since is None and result.tickers:
        _keep(state, result)
    return _exit_code(result, holdings)


def _keep(state: Path, result: AccountReconciliation) -> None:
    """Keep a reconciliation for the page; what was found is told already, and is not lost where it cannot be kept."""
    from crypto_refactor.report.documents.reconciliation import headline
    from crypto_refactor.trading.reconciliation.kept import keep_reconciliation

    try:
        keep_reconciliation(state, result, headline(result))
    except BrokerError as error:
        click.echo(fitted(f"Not kept for the page of the account: {error.to_text()}"), err=True)


def _exit_code(result: AccountReconciliation, holdings: Reconciliation | None) -> int:
    from crypto_refactor.report.documents.reconciliation import holdings_agree

    if not result.explained or (holdings is not None and not holdings_agree(holdings, result)):
        return EXIT_AUDIT_FAILED
    return BrokerError.exit_code if result.unanswered else EXIT_OK


def _holdings_alone(
    values: Mapping[str, Any],
    ledger: Ledger,
    state: Path,
    rows: tuple[AccountRow, ...],
    tickers: Any,
    *,
    accept: bool,
) -> int:
    """Compare the holdings of the ledger with those of the account at Alpaca, or accept the latter."""
    from datetime import UTC, datetime

    from crypto_refactor.report.documents.reconciliation import acceptance_json
    from crypto_refactor.report.terminal.accounts.reconciliation import print_holdings
    from crypto_refactor.trading.manual.reconcile import accept_broker, compare_with_broker

    row, broker = account_at_alpaca(values, rows)
    now = datetime.now(UTC)
    if accept:
        found = accept_broker(ledger, state, row, broker, tickers, now)
    else:
        found = compare_with_broker(ledger, row, broker, now)
    if values["as_json"]:
        print_json(acceptance_json(row.name, found, accepted=accept))
    else:
        print_holdings(row.name, found, console(), accepted=accept)
    return EXIT_OK if accept or found.agrees else EXIT_AUDIT_FAILED


def _holdings(
    ledger: Ledger, row: AccountRow, broker: AlpacaBroker | None, now: Any
) -> tuple[Reconciliation | None, str | None]:
    """Return how ledger and Alpaca compare, or why that is not known."""
    from crypto_refactor.trading.brokers import UnreachableError
    from crypto_refactor.trading.manual.reconcile import compare_with_broker

    if broker is None:
        return None, None
    try:
        return compare_with_broker(ledger, row, broker, now), None
    except UnreachableError as error:
        return None, error.what


def _means(values: Mapping[str, Any], broker: AlpacaBroker | None, now: Any) -> Means:
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.model.cache import ModelProvider
    from crypto_refactor.trading.reconciliation.reconcile import Means
    from crypto_refactor.trading.reconciliation.segments import Segment

    def stored(segment: Segment) -> Source:
        folder = values["data_dir"] or segment.data_dir
        return open_source(segment.source, data_dir=folder, state_dir=values["state_dir"])

    # The store keeps bars as they came: those of today come into one of their own.
    folder = click.get_current_context().with_resource(TemporaryDirectory(prefix="crypto-refactor-"))

    def source(segment: Segment) -> Source:
        if segment.source == "alpaca":
            return open_source("alpaca", state_dir=Path(folder))
        return stored(segment)

    def models(segment: Segment) -> ModelProvider:
        return ModelProvider(folder=settings().model_dir, settings=segment.settings, observer=TrainingBars())

    return Means(source=source, models=models, broker=broker, now=now, stored=stored)


def _write(result: AccountReconciliation, table: Path | None, report: Path | None) -> None:
    if table is not None:
        from crypto_refactor.report.csv_files import reconciliation_csv

        write_text(table, reconciliation_csv(result))
    if report is not None:
        from crypto_refactor.report.html.reconciliation import reconciliation_html

        write_text(report, reconciliation_html(result))


def _show(
    result: AccountReconciliation, holdings: Reconciliation | None, *, as_json: bool, wide: bool
) -> None:
    if as_json:
        from crypto_refactor.report.documents.reconciliation import reconciliation_json

        print_json(reconciliation_json(result, holdings))
        return
    from crypto_refactor.report.terminal.accounts.reconciliation import print_reconciliation

    print_reconciliation(result, holdings, console(), wide=wide)


COMMANDS = {"reconcile": reconcile}
