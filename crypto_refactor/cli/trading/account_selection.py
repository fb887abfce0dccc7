"""Which account a command means, and how it is reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger
    from crypto_refactor.trading.manual_actions import Close

state_options = options.combined(options.state_dir, options.as_json, options.debug)
account_options = options.combined(
    click.option("--account", metavar="NAME", help="Name of the account.  [default: the one traded last]"),
    click.option("--demo", is_flag=True, help="The demo account of the source."),
    click.option("--live", is_flag=True, help="The account that trades real money."),
    options.source,
    options.data_dir,
    state_options,
)


def open_ledger(values: Mapping[str, Any]) -> tuple[Path, Ledger, tuple[AccountRow, ...]]:
    """Return the state folder, its ledger and every account, the one traded last first."""
    from crypto_refactor.config import settings
    from crypto_refactor.trading.account_names import ledger_of
    from crypto_refactor.trading.account_status import accounts_of

    state = values["state_dir"] or settings().state_dir
    ledger = ledger_of(state)
    return state, ledger, accounts_of(state, ledger)


def selected_account(values: Mapping[str, Any], rows: Sequence[AccountRow]) -> AccountRow | None:
    """Return the account asked for, None where no account has ever been traded."""
    from crypto_refactor.trading.account_status import select_account

    _check_choice(values)
    name, source = values["account"], values["source"]
    if values["demo"] or values["data_dir"] is not None:
        name, source = _demo_name(source, values["data_dir"]), None
    if not rows:
        return None
    return select_account(rows, name=name, live=values["live"], source=source)


def _check_choice(values: Mapping[str, Any]) -> None:
    by_source = [name for name in ("source", "data_dir") if values[name] is not None]
    given = [name for name in ("account", "demo", "live") if values[name]] + by_source
    one_too_many = {
        "--demo and --live": {"demo", "live"},
        "--account and --demo": {"account", "demo"},
        "--account and --source": {"account", "source"},
        "--account and --data-dir": {"account", "data_dir"},
        "--live and --data-dir": {"live", "data_dir"},
    }
    for names, both in one_too_many.items():
        if both <= set(given):
            raise UsageError(
                f"{names} were both given.", expected="one of them.", remedy="leave out the other."
            )
    if values["live"] and values["source"] not in {None, "alpaca"}:
        raise UsageError(
            f"--live was given with --source {values['source']}.",
            expected="--source alpaca, or none: real money is traded on nothing else.",
            remedy="leave out --source, or --live.",
        )


def _demo_name(source: str | None, folder: Path | None) -> str:
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.factory import SOURCES, open_source
    from crypto_refactor.trading.account_names import demo_account, demo_account_name

    source = source or settings().source
    if folder is not None and source in SOURCES and source != "files":
        raise UsageError(
            f"--data-dir was given with the source {source}.",
            expected="--source files.",
            remedy="add --source files, or leave out --data-dir.",
        )
    # Only the name is needed: whether Alpaca's keys can be used is of no interest here.
    return (
        demo_account_name(source, None)
        if source == "alpaca"
        else demo_account(open_source(source, data_dir=folder))
    )


def closer_for(values: Mapping[str, Any], row: AccountRow, ledger: Ledger) -> Close:
    """Return how positions of an account are closed."""
    from crypto_refactor.trading.account_names import REALTIME_DEMO, is_at_broker
    from crypto_refactor.trading.manual_actions import close_at_next_open, close_immediately

    if is_at_broker(row.name):
        return _at_broker(values, row, ledger)
    if row.name == REALTIME_DEMO:
        return close_immediately(
            ledger, row, options.open_selected_source("alpaca", None, values["state_dir"])
        )
    return close_at_next_open(ledger, row.name)


def _at_broker(values: Mapping[str, Any], row: AccountRow, ledger: Ledger) -> Close:
    import time
    from datetime import UTC, datetime

    from crypto_refactor.trading.account_names import LIVE
    from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
    from crypto_refactor.trading.manual_actions import close_at_broker

    live = row.name.startswith(LIVE)
    if live:
        _check_live(row.name, said_so=values["live"])

    def clock() -> datetime:
        return datetime.now(UTC)

    broker = AlpacaBroker.from_settings(paper=not live, clock=clock, sleep=time.sleep)
    source = options.open_selected_source("alpaca", None, values["state_dir"])
    return close_at_broker(ledger, row, broker, source, clock=clock, sleep=time.sleep)


def _check_live(account: str, *, said_so: bool) -> None:
    from crypto_refactor.config import settings

    chosen = settings()
    if not said_so or chosen.alpaca_paper:
        raise UsageError(
            f"{account} trades real money, and {'ALPACA_PAPER is not false' if said_so else '--live was not given'}.",
            expected="ALPACA_PAPER=false and --live, both.",
            remedy="set and add them to sell real positions, or name a paper or demo account.",
        )
    if chosen.alpaca_data_url or chosen.alpaca_trading_url:
        raise UsageError(
            "--live was given while CRYPTO_ALPACA_DATA_URL or CRYPTO_ALPACA_TRADING_URL is set.",
            expected="bars and orders of a live account to be Alpaca's own.",
            remedy="unset both.",
        )
