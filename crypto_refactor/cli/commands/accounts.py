"""`status`, `close`, `halt`, `resume`, `trades`: looking at accounts, and acting on them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli.output import check_writable, console, write_text
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.account_selection import (
    account_options,
    closer_for,
    open_ledger,
    selected_account,
    state_options,
)
from crypto_refactor.errors import EXIT_OK, EXIT_TICKERS_DIFFER, BrokerError, UsageError

if TYPE_CHECKING:
    from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger
    from crypto_refactor.trading.manual_actions import CloseResult


@click.command("status")
@account_options
def status(**values: Any) -> None:
    """Show an account: cash, positions, equity, last decisions, and what is halted or not settled.

    Only the ledger is read; nobody is asked, and nothing is changed.
    """
    from crypto_refactor.report.documents.account import status_json
    from crypto_refactor.trading.account_status import account_status
    from crypto_refactor.trading.kill_switch import halt_reason

    state, ledger, rows = open_ledger(values)
    row = selected_account(values, rows)
    seen = None if row is None else account_status(ledger, state, row, rows)
    halt = halt_reason(state)
    if values["as_json"]:
        print_json(status_json(seen, ledger.path, halt))
    elif seen is None:
        click.echo(f"No account has been traded yet: {ledger.path} is not there or empty.")
        if halt is not None:
            click.echo(f"{halt}. Run `crypto-refactor resume` to lift the halt.")
    else:
        from crypto_refactor.report.terminal.account import print_status

        print_status(seen, console())


@click.command("close")
@click.option("--ticker", "tickers", multiple=True, metavar="T", help="What to close; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Close every ticker.")
@account_options
def close(tickers: tuple[str, ...], everything: bool, **values: Any) -> int:
    """Sell what the ledger has opened.

    At Alpaca, and in the demo account on Alpaca's bars, at once; in the demo account on files or sample at
    the next open.  What is closed by hand is not entered again on that side until the target has changed.
    """
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.account_names import REPLAY
    from crypto_refactor.trading.account_status import is_simulated
    from crypto_refactor.trading.manual_actions import closable, close_all, require_closable

    if everything == bool(tickers):
        raise UsageError(
            "--ticker and --all were both given." if everything else "Neither --ticker nor --all was given.",
            expected="one of them.",
            remedy="name what to close with --ticker, or close everything with --all.",
        )
    asked = None if everything else tuple(dict.fromkeys(map(Ticker.parse, tickers)))
    state, ledger, rows = open_ledger(values)
    named = any(values[name] for name in ("account", "demo", "live", "source", "data_dir"))
    lasting = [each for each in rows if not each.name.startswith(REPLAY)]
    row = selected_account(values, lasting if lasting and not named else rows)
    if row is not None:
        require_closable(row.name)
    due = () if row is None else closable(ledger, row.name, asked)
    if row is not None and not due and not named:
        _require_nothing_elsewhere(row.name, ledger, rows)
    closings: list[CloseResult] = []
    if row is not None and due:
        closings = close_all(state, row.name, due, closer_for(values, row, ledger))
    name, simulated = (None, False) if row is None else (row.name, is_simulated(row))
    _show_closings(name, closings, simulated=simulated, as_json=values["as_json"])
    return _exit_code(closings)


def _require_nothing_elsewhere(account: str, ledger: Ledger, rows: Sequence[AccountRow]) -> None:
    """Refuse to call it done where the account traded last holds nothing and another one does."""
    from crypto_refactor.trading.account_names import REPLAY
    from crypto_refactor.trading.manual_actions import closable

    for row in rows:
        if row.name != account and not row.name.startswith(REPLAY) and closable(ledger, row.name, None):
            raise BrokerError(
                f"There is nothing to close in {account}, the account traded last, but {row.name} holds something.",
                expected="the account to be named.",
                remedy=f"add --account {row.name}.",
            )


def _show_closings(
    account: str | None, closings: list[CloseResult], *, simulated: bool, as_json: bool
) -> None:
    if as_json:
        from crypto_refactor.report.documents.account import closings_json

        print_json(closings_json(account, closings, simulated=simulated))
        return
    from crypto_refactor.report.terminal.account import closing_text

    if account is None:
        click.echo("No account has been traded yet: nothing to close.")
        return
    click.echo(f"{account}{'   SIMULATED' if simulated else ''}")
    if not closings:
        click.echo("Nothing to close.")
    for closing in closings:
        for line in closing_text(closing):
            click.echo(line)
        if closing.error is not None:
            click.echo(f"{closing.ticker}: {closing.error.what}\n  Remedy: {closing.error.remedy}", err=True)


def _exit_code(closings: Sequence[CloseResult]) -> int:
    """Return 0, the one code that every ticker failed with, or 1 where tickers ended differently."""
    codes = [EXIT_OK if closing.error is None else closing.error.exit_code for closing in closings]
    return EXIT_TICKERS_DIFFER if len(set(codes)) > 1 else next(iter(codes), EXIT_OK)


@click.command("halt")
@click.option("--why", metavar="TEXT", default="", help="What it is for; shown with every entry not made.")
@state_options
def halt(why: str, **values: Any) -> None:
    """Forbid entries in every account that trades as time passes, until `resume`; exits go on.

    Backtests and replays take no notice.
    """
    from datetime import UTC, datetime

    from crypto_refactor.config import settings
    from crypto_refactor.trading.kill_switch import halt as forbid
    from crypto_refactor.trading.kill_switch import halt_reason

    state = values["state_dir"] or settings().state_dir
    forbid(state, at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), why=why.strip())
    if values["as_json"]:
        print_json({"schema": 1, "halt": halt_reason(state)})
    else:
        click.echo(f"{halt_reason(state)}. Exits continue. Run `crypto-refactor resume` to lift the halt.")


@click.command("resume")
@account_options
def resume(**values: Any) -> None:
    """Allow entries again: lift `halt`, and in one account the halts that drawdowns have struck.

    A sub-account that its drawdown has halted is measured from its equity of now.
    """
    from crypto_refactor.trading.account_names import REPLAY
    from crypto_refactor.trading.kill_switch import lift_halt
    from crypto_refactor.trading.manual_actions import resume_tickers as restart

    state, ledger, rows = open_ledger(values)
    row = selected_account(values, rows)
    lifted = lift_halt(state)
    replayed = row is not None and row.name.startswith(REPLAY)
    peaks = {} if row is None or replayed else restart(ledger, state, row.name)
    if values["as_json"]:
        named = {str(ticker): peak for ticker, peak in peaks.items()}
        account = None if row is None else row.name
        print_json({"schema": 1, "account": account, "halt_lifted": lifted, "peaks_restarted": named})
        return
    click.echo("The halt is lifted." if lifted else "Entries were not halted.")
    if row is None:
        return
    for ticker, peak in peaks.items():
        click.echo(f"{row.name}: {ticker} may enter again; its drawdown is measured from {peak:,.2f}.")
    if replayed:
        click.echo(f"{row.name} is a replay, and its drawdown halts stay; --account names another account.")
    elif not peaks:
        click.echo(f"{row.name}: no sub-account was halted by its drawdown.")


@click.command("trades")
@click.option("--csv", "file", type=click.Path(path_type=Path), metavar="FILE.csv", help="Write every trade.")
@account_options
def trades(file: Path | None, **values: Any) -> None:
    """List the trades of an account, and what is still held, marked at the last recorded bar."""
    from crypto_refactor.report.csv_files import trades_text
    from crypto_refactor.report.documents.account import trades_json
    from crypto_refactor.trading.account_status import account_status, is_simulated, trades_of

    check_writable(file)
    state, ledger, rows = open_ledger(values)
    row = selected_account(values, rows)
    found = [] if row is None else trades_of(account_status(ledger, state, row, rows), ledger)
    simulated = row is not None and is_simulated(row)
    if file is not None:
        write_text(file, trades_text(found, simulated=simulated))
    if values["as_json"]:
        print_json(trades_json(None if row is None else row.name, found, simulated=simulated))
    elif row is None:
        click.echo("No account has been traded yet: no trades.")
    elif file is not None:
        click.echo(f"{row.name}{'   SIMULATED' if simulated else ''}: {len(found)} rows written to {file}.")
    else:
        from crypto_refactor.report.terminal.account import print_trades

        print_trades(row.name, found, console(), simulated=simulated)


COMMANDS = {"status": status, "close": close, "halt": halt, "resume": resume, "trades": trades}
