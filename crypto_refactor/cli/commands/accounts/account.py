"""`status`, `close`, `halt`, `resume`, `trades`: look at accounts, and act on them by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.output import console, fitted, tell
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.account_page import write_account_page
from crypto_refactor.cli.trading.account_selection import (
    account_options,
    closer_for,
    open_ledger,
    selected_account,
)
from crypto_refactor.errors import EXIT_OK, BrokerError, UsageError, combined_exit_code
from crypto_refactor.storage.output_file import check_writable, write_text

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger
    from crypto_refactor.trading.manual.close import CloseResult

_NEVER_TRADED = "No account has been traded yet"


@grouped_command("status")
@options.file_option("--report", "FILE.html", "Write a page with charts of its equity, prices and forecasts.")
@options.option(
    "--max-age",
    "Exit with code 5 when no decision was recorded in this time: 90m, 2h, 1d.",
    metavar="TIME",
)
@options.wide
@options.tz
@account_options
def status(report: Path | None, max_age: str | None, wide: bool, tz: ZoneInfo, **values: Any) -> int:
    """Show an account: cash, positions, equity, last decisions, halts and unsettled orders.

    Reads the ledger only: no broker or source is asked, and nothing changes.  Times are UTC, those of the page in --tz.
    """
    from datetime import UTC, datetime

    from crypto_refactor.report.documents.account import status_json
    from crypto_refactor.trading.account_status import account_status, trades_of
    from crypto_refactor.trading.health.decision_age import decision_age, parse_length
    from crypto_refactor.trading.kill_switch import halt_reason
    from crypto_refactor.trading.record.record import account_record

    allowed = None if max_age is None else parse_length("--max-age", max_age)
    check_writable(report)
    state, ledger, rows = open_ledger(values)
    row = selected_account(values, rows)
    account = None if row is None else account_status(ledger, state, row, rows)
    record = None if row is None else account_record(ledger, row.name)
    reason = halt_reason(state)
    age = None if allowed is None else decision_age(account, datetime.now(UTC), allowed)
    if report is not None and account is not None:
        write_account_page(report, ledger, state, account, tz)
    if values["as_json"]:
        print_json(status_json(account, ledger.path, reason, record, age))
    elif account is None:
        tell(f"{_NEVER_TRADED}: {ledger.path} does not exist or holds no account.")
        if reason is not None:
            tell(f"{reason}. `crypto-refactor resume` lifts it.")
    else:
        from crypto_refactor.report.terminal.accounts.account import print_status

        print_status(account, trades_of(account, ledger), console(), record, wide=wide)
        if report is not None:
            click.echo(f"Report: {report}")
    if age is None:
        return EXIT_OK
    if not values["as_json"]:
        from crypto_refactor.report.terminal.accounts.account import age_text
        from crypto_refactor.report.terminal.tables import print_lines

        print_lines(console(), [age_text(age)])
    return EXIT_OK if age.is_recent else BrokerError.exit_code


@grouped_command("close")
@options.option("--ticker", "Ticker to close; repeat for several.", "tickers", multiple=True, metavar="T")
@options.flag("--all", "Close every ticker.", "everything")
@account_options
def close(tickers: tuple[str, ...], everything: bool, **values: Any) -> int:
    """Sell what the ledger has opened.

    Sells at once at Alpaca and in the demo account on Alpaca's bars, and at the next open in a demo account
    on files or sample.  After a manual close, the same side is not re-entered until the target changes.
    """
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.account_status import is_simulated
    from crypto_refactor.trading.manual.close import closable, close_all, require_closable

    if everything == bool(tickers):
        raise UsageError(
            "--ticker and --all were both given." if everything else "Neither --ticker nor --all was given.",
            expected="one of them.",
            remedy="name what to close with --ticker, or close everything with --all.",
        )
    requested = None if everything else tuple(dict.fromkeys(map(Ticker.parse, tickers)))
    state, ledger, rows = open_ledger(values)
    named = any(values[name] for name in ("account", "demo", "live", "source", "data_dir"))
    row = selected_account(values, rows)
    results: list[CloseResult] = []
    if row is not None:
        require_closable(row.name)
        due = closable(ledger, row.name, requested)
        if due:
            results = close_all(state, row.name, due, closer_for(values, row, ledger))
        elif not named:
            _require_nothing_elsewhere(row, ledger, rows)
    name, simulated = (None, False) if row is None else (row.name, is_simulated(row))
    _show_closings(name, results, simulated=simulated, as_json=values["as_json"])
    return combined_exit_code(
        EXIT_OK if result.error is None else result.error.exit_code for result in results
    )


def _require_nothing_elsewhere(last: AccountRow, ledger: Ledger, rows: Sequence[AccountRow]) -> None:
    """Refuse an empty account that was traded last while another one still holds something."""
    from crypto_refactor.trading.account_names import REPLAY
    from crypto_refactor.trading.account_status import marked_name
    from crypto_refactor.trading.manual.close import closable

    for row in rows:
        if row.name != last.name and not row.name.startswith(REPLAY) and closable(ledger, row.name, None):
            raise BrokerError(
                f"There is nothing to close in {marked_name(last)}, the account traded last, but {marked_name(row)} "
                "holds something.",
                expected="the account to be named.",
                remedy=f"add --account {row.name}.",
            )


def _show_closings(
    account: str | None, results: list[CloseResult], *, simulated: bool, as_json: bool
) -> None:
    if as_json:
        from crypto_refactor.report.documents.account import closings_json

        print_json(closings_json(account, results, simulated=simulated))
        return
    from crypto_refactor.report.terminal.accounts.account import closing_text

    if account is None:
        tell(f"{_NEVER_TRADED}: nothing to close.")
        return
    click.echo(_title(account, simulated=simulated))
    if not results:
        tell("Nothing to close.")
    for result in results:
        for line in closing_text(result):
            tell(line)
        if result.error is not None:
            click.echo(fitted(f"{result.ticker}: {result.error.to_text()}"), err=True)


def _title(account: str, *, simulated: bool) -> str:
    return f"{account}{'   SIMULATED' if simulated else ''}"


@grouped_command("halt")
@click.option("--why", metavar="TEXT", default="", help="Reason, shown with every entry that is not made.")
@options.state
def halt(why: str, **values: Any) -> None:
    """Block entries in every account that trades in real time, until `resume`; exits continue.

    Backtests and replays are not affected.
    """
    from datetime import UTC, datetime

    from crypto_refactor.config import settings
    from crypto_refactor.trading import kill_switch

    state = values["state_dir"] or settings().state_dir
    kill_switch.halt(state, at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), why=why.strip())
    reason = kill_switch.halt_reason(state)
    if values["as_json"]:
        print_json({"schema": 1, "halt": reason})
    else:
        tell(f"{reason}. Exits continue. Run `crypto-refactor resume` to lift the halt.")
        tell("Replays, and demo accounts on files or sample, do not heed a halt.")


@grouped_command("resume")
@options.flag("--drawdown", "Lift drawdown halts of the tickers named with --ticker, and nothing else.")
@options.option("--ticker", "Ticker whose drawdown halt ends; repeat.", "tickers", multiple=True, metavar="T")
@account_options
def resume(drawdown: bool, tickers: tuple[str, ...], **values: Any) -> None:
    """Allow entries again: lift `halt`, or with --drawdown --ticker T a drawdown halt.

    For sub-accounts halted by drawdown, the peak is reset to the current equity.  What --max-loss blocks stays blocked.
    """
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.account_names import REPLAY
    from crypto_refactor.trading.account_status import marked_name
    from crypto_refactor.trading.kill_switch import lift_halt
    from crypto_refactor.trading.manual.resume import halted_tickers, resume_tickers

    if drawdown != bool(tickers):
        raise UsageError(
            "--drawdown and --ticker were not given together.",
            expected="`resume` for a halt, or `resume --drawdown --ticker T` for each drawdown halt.",
            remedy="add the other one, or leave both out.",
        )
    requested = tuple(map(Ticker.parse, tickers))
    state, ledger, rows = open_ledger(values)
    row = selected_account(values, rows)
    name = "" if row is None else marked_name(row)
    lifted = not drawdown and lift_halt(state)
    replayed = row is not None and row.name.startswith(REPLAY)
    peaks = {} if row is None or replayed else resume_tickers(ledger, state, row.name, requested)
    halted = () if row is None or replayed else halted_tickers(ledger, row.name)
    if values["as_json"]:
        restarted = {str(ticker): peak for ticker, peak in peaks.items()}
        account = None if row is None else row.name
        still = [str(ticker) for ticker in halted]
        print_json(
            {
                "schema": 1,
                "account": account,
                "halt_lifted": lifted,
                "peaks_restarted": restarted,
                "halted_by_drawdown": still,
            }
        )
        return
    if not drawdown:
        tell("The halt is lifted." if lifted else "Entries were not halted.")
    if row is not None and replayed:
        if requested or halted_tickers(ledger, row.name):
            tell(f"{name} is a replay, and its drawdown halts stay; --account names another account.")
    elif row is not None:
        _show_drawdown_halts(name, peaks, halted, [other for other in requested if other not in peaks])


def _show_drawdown_halts(
    name: str, peaks: Mapping[Ticker, float], halted: Sequence[Ticker], not_halted: Sequence[Ticker]
) -> None:
    """Show which drawdown halts are lifted, which were none, and which remain."""
    for ticker, peak in peaks.items():
        tell(f"{name}: {ticker} may enter again; its drawdown is measured from {peak:,.2f}.")
    for ticker in not_halted:
        tell(f"{name}: {ticker} was not halted by its drawdown.")
    for ticker in halted:
        tell(
            f"{name}: {ticker} is halted by its drawdown; "
            f"`crypto-refactor resume --drawdown --ticker {ticker}` lifts that."
        )


@grouped_command("trades")
@options.file_option("--csv", "FILE.csv", "Write every trade.", "file")
@options.wide
@account_options
def trades(file: Path | None, wide: bool, **values: Any) -> None:
    """List the trades of an account, and its open positions at the last recorded price."""
    from crypto_refactor.report.csv_files import trades_text
    from crypto_refactor.report.documents.account import trades_json
    from crypto_refactor.trading.account_status import account_status, is_simulated, trades_of

    check_writable(file)
    state, ledger, rows = open_ledger(values)
    row = selected_account(values, rows)
    listed = [] if row is None else trades_of(account_status(ledger, state, row, rows), ledger)
    simulated = row is not None and is_simulated(row)
    if file is not None:
        write_text(file, trades_text(listed, simulated=simulated))
    if values["as_json"]:
        print_json(trades_json(None if row is None else row.name, listed, simulated=simulated))
    elif row is None:
        tell(f"{_NEVER_TRADED}: no trades.")
    elif file is not None:
        tell(f"{_title(row.name, simulated=simulated)}: {len(listed)} rows written to {file}.")
    else:
        from crypto_refactor.report.terminal.accounts.account import print_trades

        print_trades(row.name, listed, console(), simulated=simulated, wide=wide)


COMMANDS = {"status": status, "close": close, "halt": halt, "resume": resume, "trades": trades}
