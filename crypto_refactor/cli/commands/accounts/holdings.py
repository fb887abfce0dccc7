"""`adopt`, `panic`: take coins under the care of the ledger, and end everything at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.output import fitted, tell
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.account_selection import (
    account_options,
    broker_for,
    closer_for,
    open_ledger,
    selected_account,
)
from crypto_refactor.errors import EXIT_OK, BrokerError, CryptoRefactorError, combined_exit_code
from crypto_refactor.price_text import price_text

if TYPE_CHECKING:
    from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
    from crypto_refactor.trading.ledger.ledger import AccountRow
    from crypto_refactor.trading.manual.close import CloseResult


def account_at_alpaca(
    values: Mapping[str, Any], rows: Sequence[AccountRow]
) -> tuple[AccountRow, AlpacaBroker]:
    """Return the account at Alpaca that is meant, also one that this ledger has never traded, and its broker."""
    from crypto_refactor.trading.account_names import is_at_broker

    at_alpaca = [row for row in rows if is_at_broker(row.name)]
    if not any(values[name] for name in ("account", "demo", "source", "data_dir")) and not at_alpaca:
        return _untraded_account(values)
    named = values["account"] or values["demo"] or values["source"] or values["data_dir"]
    row = selected_account(values, rows if named else at_alpaca)
    if row is None:
        raise BrokerError(
            "No account has been traded yet.",
            expected="an account of this ledger.",
            remedy="leave out the options that name one, or choose another ledger with --state-dir.",
        )
    return row, broker_for(values, row)


def _untraded_account(values: Mapping[str, Any]) -> tuple[AccountRow, AlpacaBroker]:
    """Return the account of the keys, with the rules that every account at Alpaca has."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from crypto_refactor.execution.rules import ExecutionOptions
    from crypto_refactor.trading.account_names import LIVE, PAPER, broker_account
    from crypto_refactor.trading.ledger.ledger import AccountRow

    live = bool(values["live"])
    now = datetime.now(UTC).isoformat()
    about = {"source": "alpaca", "options": asdict(ExecutionOptions(venue="alpaca"))}
    row = AccountRow(name=LIVE if live else PAPER, opened_at=now, traded_at=now, about=about)
    broker = broker_for(values, row)
    name = broker_account(broker.account().account_id, paper=not live)
    return replace(row, name=name), broker


@grouped_command("adopt")
@options.option("--ticker", "Coins to adopt.", required=True, metavar="T")
@options.option("--cost", "Price of one coin, quote currency.", type=float, required=True)
@options.option("--quantity", "Coins.  [default: all that this ledger does not hold]", type=float)
@account_options
def adopt(ticker: str, cost: float, quantity: float | None, **values: Any) -> None:
    """Put coins of the account at Alpaca under the ledger's care, as if bought at --cost without a fee.

    The sub-account pays for them with its cash; where none is open, one is opened that holds these coins alone.
    From then on, signals and protections manage them.
    """
    from datetime import UTC, datetime

    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.manual.reconcile import Adoption
    from crypto_refactor.trading.manual.reconcile import adopt as adopt_coins

    state, ledger, rows = open_ledger(values)
    row, broker = account_at_alpaca(values, rows)
    adoption = Adoption(ticker=Ticker.parse(ticker), cost=cost, quantity=quantity)
    ledger.prepare_account(row.name, row.opened_at, row.about)
    fill = adopt_coins(ledger, state, row, broker, adoption, lambda: datetime.now(UTC))
    if values["as_json"]:
        print_json({"schema": 1, "account": row.name, "ticker": ticker, "fill": fill.to_dict()})
    else:
        tell(
            f"{row.name}: {fill.quantity:.9g} {adoption.ticker.base} adopted at {price_text(fill.price)} each, "
            f"{fill.notional:,.2f} in all."
        )


@grouped_command("panic")
@click.option("--why", metavar="TEXT", default="panic", help="Reason of the halt.")
@account_options
def panic(why: str, **values: Any) -> int:
    """Halt entries, then close everything of an account, again and again until it is flat.

    Waits as long as it takes; Ctrl-C ends it and names what is still open.  The halt stays until `resume`.
    """
    from datetime import UTC, datetime

    from crypto_refactor.config import settings
    from crypto_refactor.trading import kill_switch

    state_dir = values["state_dir"] or settings().state_dir
    try:
        kill_switch.halt(state_dir, at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), why=why.strip())
    except BrokerError as error:  # what is open is closed all the same
        click.echo(fitted(f"Entries are not halted: {error.what} Stop every process that trades."), err=True)
    halted = kill_switch.halt_reason(state_dir)
    if not values["as_json"]:
        tell(f"{halted or 'NOT HALTED'}.")
    try:
        return _close_everything(values)
    except CryptoRefactorError:
        if halted is not None:
            click.echo(fitted("Entries stay halted; `crypto-refactor resume` lifts that."), err=True)
        raise


def _close_everything(values: Mapping[str, Any]) -> int:
    import time

    from crypto_refactor.trading.manual.close import closable, close_until_flat, require_closable

    state, ledger, rows = open_ledger(values)
    row = selected_account(values, rows)
    if row is None:
        _show_panic(None, [], as_json=values["as_json"])
        return EXIT_OK
    require_closable(row.name)
    try:
        results = close_until_flat(
            ledger,
            state,
            row.name,
            lambda: closer_for(values, row, ledger),
            sleep=time.sleep,
            report=(lambda _: None) if values["as_json"] else _show_close,
        )
    except KeyboardInterrupt:
        held = ", ".join(map(str, closable(ledger, row.name, None))) or "nothing"
        click.echo(fitted(f"Stopped. Still open in {row.name}: {held}. Entries stay halted."), err=True)
        raise
    _show_panic(row.name, results, as_json=values["as_json"])
    return combined_exit_code(
        EXIT_OK if result.error is None else result.error.exit_code for result in results
    )


def _show_close(result: CloseResult) -> None:
    from crypto_refactor.report.terminal.accounts.account import closing_text

    for line in closing_text(result):
        tell(line)
    if result.error is not None:
        click.echo(fitted(f"{result.ticker}: {result.error.what} Trying again."), err=True)


def _show_panic(account: str | None, results: list[CloseResult], *, as_json: bool) -> None:
    if as_json:
        from crypto_refactor.report.documents.account import closings_json

        print_json(closings_json(account, results, simulated=False))
    elif account is None:
        tell("No account has been traded yet: nothing to close.")
    else:
        from crypto_refactor.trading.account_names import heeds_halt

        if any(result.waiting for result in results):
            tell(f"{account}: everything is closed at the next open, by the next run that has that bar.")
        else:
            tell(f"{account} is flat.")
        tell(
            "Run `crypto-refactor resume` to allow entries again."
            if heeds_halt(account)
            else "This account does not heed the halt: a later run may enter again."
        )


COMMANDS = {"adopt": adopt, "panic": panic}
