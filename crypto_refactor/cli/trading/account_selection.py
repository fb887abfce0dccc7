"""Which account a command means, and how its positions are closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from crypto_refactor.cli import completion, options
from crypto_refactor.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from crypto_refactor.trading.brokers.alpaca import AlpacaBroker
    from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger
    from crypto_refactor.trading.manual.close import Close

_CONFLICTS = (
    ("--demo", "--live"),
    *(("--account", other) for other in ("--demo", "--source", "--data-dir")),
    ("--live", "--data-dir"),
)
account_options = options.combined(
    options.option(
        "--account",
        "Name of the account.  [default: the one traded last, replays aside]",
        metavar="NAME",
        shell_complete=completion.accounts,
    ),
    options.flag("--demo", "Use the demo account of the source."),
    options.flag("--live", "Use the account that trades real money."),
    options.source,
    options.data_dir,
    options.state,
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
    """Return the account that the options select; None where none has ever been traded and none is named."""
    from crypto_refactor.trading.account_status import select_account

    values = _prevailing(values)
    _check_conflicts(values)
    name, source = values["account"], values["source"]
    if values["demo"] or values["data_dir"] is not None:
        name, source = _demo_name(source, values["data_dir"]), None
    if not rows and values["account"] is None:
        return None
    return select_account(rows, name=name, live=values["live"], source=source)


def _prevailing(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the options without those of the configuration file that one on the command line excludes."""
    source_of = click.get_current_context().get_parameter_source
    kept = dict(values)
    for pair in _CONFLICTS:
        names = [name.removeprefix("--").replace("-", "_") for name in pair]
        if ParameterSource.COMMANDLINE in map(source_of, names):
            kept |= {name: None for name in names if source_of(name) is ParameterSource.DEFAULT_MAP}
    return kept


def _check_conflicts(values: Mapping[str, Any]) -> None:
    given = {f"--{name}" for name in ("account", "demo", "live") if values[name]}
    given |= {f"--{name.replace('_', '-')}" for name in ("source", "data_dir") if values[name] is not None}
    for first, second in _CONFLICTS:
        if {first, second} <= given:
            raise UsageError(
                f"{first} and {second} were both given.",
                expected="one of them.",
                remedy="leave out the other.",
            )
    if values["live"] and values["source"] not in {None, "alpaca"}:
        raise UsageError(
            f"--live was given with --source {values['source']}.",
            expected="--source alpaca or no --source: real money is traded on nothing else.",
            remedy="leave out --source, or --live.",
        )


def _demo_name(source: str | None, folder: Path | None) -> str:
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.trading.account_names import demo_account, demo_account_name

    source = source or settings().source
    options.check_data_dir(source, folder)
    if source == "alpaca":  # only its name is needed, whether or not its keys can be used
        return demo_account_name(source, None)
    return demo_account(open_source(source, data_dir=folder))


def closer_for(values: Mapping[str, Any], row: AccountRow, ledger: Ledger) -> Close:
    """Return the function that closes positions of an account."""
    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.trading.account_names import REALTIME_DEMO, is_at_broker
    from crypto_refactor.trading.manual.close import close_at_next_open, close_immediately

    if is_at_broker(row.name):
        return _at_broker(values, row, ledger)
    if row.name == REALTIME_DEMO:
        return close_immediately(ledger, row, open_source("alpaca", state_dir=values["state_dir"]))
    return close_at_next_open(ledger, row.name)


def _at_broker(values: Mapping[str, Any], row: AccountRow, ledger: Ledger) -> Close:
    import time

    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.trading.manual.close import close_at_broker

    source = open_source("alpaca", state_dir=values["state_dir"])
    return close_at_broker(ledger, row, broker_for(values, row), source, clock=_now, sleep=time.sleep)


def broker_for(values: Mapping[str, Any], row: AccountRow) -> AlpacaBroker:
    """Return Alpaca's account `row`; raise UsageError where it is none, or a live one without both switches."""
    import time

    from crypto_refactor.trading.account_names import LIVE, is_at_broker
    from crypto_refactor.trading.brokers.alpaca import AlpacaBroker

    if not is_at_broker(row.name):
        raise UsageError(
            f"{row.name} is not an account at Alpaca.",
            expected="an account whose name begins with paper/ or live/.",
            remedy="name one with --account; `crypto-refactor status` lists them.",
        )
    live = row.name.startswith(LIVE)
    if live:
        require_live_switches(row.name, live=values["live"])
    return AlpacaBroker.from_settings(paper=not live, clock=_now, sleep=time.sleep)


def _now() -> datetime:
    return datetime.now(UTC)


def require_live_switches(subject: str, *, live: bool) -> None:
    """Refuse real money unless both switches say so and nothing but Alpaca's own hosts is used."""
    from crypto_refactor.config import settings

    environment = settings()
    if not live or environment.alpaca_paper:
        missing = "ALPACA_PAPER is not false" if live else "--live was not given"
        raise UsageError(
            f"{subject} trades real money, but {missing}.",
            expected="ALPACA_PAPER=false and --live, both.",
            remedy="set both to trade real money, or use a paper or demo account.",
        )
    if environment.alpaca_data_url or environment.alpaca_trading_url:
        raise UsageError(
            "--live was given while CRYPTO_ALPACA_DATA_URL or CRYPTO_ALPACA_TRADING_URL is set.",
            expected="bars and orders of a live account from Alpaca itself.",
            remedy="unset both, or leave out --live.",
        )
