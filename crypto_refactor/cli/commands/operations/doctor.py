"""`crypto-refactor doctor`: check what a run needs that nobody watches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.output import console
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.account_selection import account_options, open_ledger, selected_account
from crypto_refactor.errors import EXIT_OK, BrokerError, UsageError

if TYPE_CHECKING:
    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.trading.account_status import AccountStatus
    from crypto_refactor.trading.brokers import Broker
    from crypto_refactor.trading.health.finding import Finding
    from crypto_refactor.trading.ledger.ledger import AccountRow, Ledger

_SOURCE_SECONDS = 60.0
"""How long Alpaca is waited for in all."""


@grouped_command("doctor")
@account_options
def command(**values: Any) -> int:
    """Check what an unattended run needs, and say what to do about it.

    Looks at versions, keys, folders, disk, source, clock, ledger, backups, halts, locks and models, and at whether the next
    hour has its bars, its model and its money.  Sends no order.  The exit code is 0 unless a check failed, and that of the
    failures otherwise.
    """
    from crypto_refactor.trading.health.finding import exit_code

    now = datetime.now(UTC)
    account, simulated, findings = _examine(values, now)
    code = exit_code(findings)
    if values["as_json"]:
        from crypto_refactor.report.documents.health import health_json

        print_json(health_json(account, findings, code, simulated=simulated))
    else:
        from crypto_refactor.report.terminal.health import print_findings

        print_findings(account, findings, console(), simulated=simulated)
    return code


def _examine(values: Mapping[str, Any], now: datetime) -> tuple[str | None, bool, list[Finding]]:
    """Return the account that is meant, whether its bars are simulated, and what every check finds."""
    from crypto_refactor.config import settings
    from crypto_refactor.market.bars import SAMPLE
    from crypto_refactor.trading.account_names import is_at_broker, ledger_of
    from crypto_refactor.trading.health import ledger_health, machine
    from crypto_refactor.trading.health.finding import exit_code, findings_of, warning

    environment = settings()
    state = values["state_dir"] or environment.state_dir
    folders = {"state folder": state, "model folder": environment.model_dir}
    ledger = ledger_of(state)
    status: list[AccountStatus] = []
    found = findings_of("versions", machine.version_findings)
    about_ledger = findings_of("ledger", lambda: ledger_health.ledger_findings(ledger, now))
    if exit_code(about_ledger) == EXIT_OK:
        about_account = findings_of("account", lambda: _account(values, status, now))
    else:
        text = "Accounts were not checked: the ledger cannot be read."
        about_account = [warning("account", text, "mend the ledger, then run this again.")]
    account = status[0] if status else None
    name = None if account is None else account.row.name
    needed = name is not None and is_at_broker(name)
    found += findings_of("keys", lambda: machine.key_findings(environment, needed=needed))
    found += findings_of("folders", lambda: machine.folder_findings(folders))
    found += about_ledger
    found += findings_of("halt", lambda: ledger_health.halt_findings(state))
    found += about_account
    found += findings_of("source", lambda: _market(values, account, ledger, environment.model_dir))
    source = values["source"] or environment.source
    return name, source == SAMPLE if account is None else account.simulated, found


def _account(values: Mapping[str, Any], chosen: list[AccountStatus], now: datetime) -> Iterator[Finding]:
    """Look at the account that is meant, and leave its status in `chosen`."""
    from crypto_refactor.trading.account_status import account_status
    from crypto_refactor.trading.health.finding import fine
    from crypto_refactor.trading.health.ledger_health import account_findings

    state, ledger, rows = open_ledger(values)
    row = _row(values, rows)
    if row is None:
        yield fine("account", "No account was traded here yet: its models and its money are not checked.")
        return
    status = account_status(ledger, state, row, rows)
    chosen.append(status)
    yield fine("account", f"{row.name} was traded last at {row.traded_at[:16].replace('T', ' ')} UTC.")
    yield from account_findings(status, state, now)


def _row(values: Mapping[str, Any], rows: tuple[AccountRow, ...]) -> AccountRow | None:
    try:
        return selected_account(values, rows)
    except BrokerError:
        if values["account"] is not None or values["live"]:
            raise
        return None  # a source can be checked before anything was traded on it


def _market(
    values: Mapping[str, Any], account: AccountStatus | None, ledger: Ledger, model_dir: Path
) -> Iterator[Finding]:
    """Ask the source and the broker, then look at what the next hour needs of both."""
    from contextlib import nullcontext

    from crypto_refactor.market.sources.alpaca import AlpacaSource
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.account_names import REPLAY
    from crypto_refactor.trading.health.finding import State, findings_of, fine, warning
    from crypto_refactor.trading.health.readiness import Readiness
    from crypto_refactor.trading.health.source_health import clock_findings, source_findings

    source = _source(values, account)
    broker: list[Broker] = []
    tickers = [Ticker.parse("BTC/USD")] if account is None else [part.ticker for part in account.tickers]
    bounded = (
        source.budget.phase(total=_SOURCE_SECONDS) if isinstance(source, AlpacaSource) else nullcontext()
    )
    with bounded:
        answer = findings_of("source", lambda: source_findings(source, tickers[0]))
        yield from answer
        money = [] if account is None else findings_of("cash", lambda: _money(values, account, broker))
        skews = {f"the source {source.name}": getattr(source, "clock_skew_seconds", None)}
        if broker:
            skews["the account at Alpaca"] = broker[0].clock_skew_seconds
        if isinstance(source, AlpacaSource) or broker:
            yield from clock_findings(skews)
        else:
            yield fine("clock", f"The source {source.name} has no clock of its own to compare with.")
        if account is None:
            return
        if account.row.name.startswith(REPLAY):
            yield fine("next hour", f"{account.row.name} is a replay: it has no next hour.")
        elif any(finding.state is State.FAILED for finding in answer):
            text = "Bars and models of the next hour were not checked: the source did not answer."
            yield warning("next hour", text, "run this again where the source can be reached.")
        else:
            readiness = Readiness(status=account, ledger=ledger, source=source, model_dir=model_dir)
            yield from findings_of("next hour", readiness.findings)
        yield from money


def _source(values: Mapping[str, Any], account: AccountStatus | None) -> Source:
    """Return the source of the account's bars, or else the one that the options select."""
    from crypto_refactor.cli.options import open_selected_source
    from crypto_refactor.config import settings
    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.trading.account_names import DEMO

    if account is None:
        return open_selected_source(values)
    name = str(account.row.about.get("source") or settings().source)
    folder = account.row.name.removeprefix(f"{DEMO}files")
    known = name == "files" and folder != account.row.name
    return open_source(
        name, data_dir=Path(folder) if known else values["data_dir"], state_dir=values["state_dir"]
    )


def _money(values: Mapping[str, Any], account: AccountStatus, broker: list[Broker]) -> Iterator[Finding]:
    """Look at the money of an account, and leave the broker that was asked in `broker`."""
    from crypto_refactor.cli.trading.account_selection import broker_for
    from crypto_refactor.trading.account_names import LIVE, REPLAY, is_at_broker
    from crypto_refactor.trading.health.finding import warning
    from crypto_refactor.trading.health.readiness import cash_findings

    name = account.row.name
    if name.startswith(REPLAY):
        return
    if not is_at_broker(name):
        yield from cash_findings(account, None)
        return
    try:
        asked = broker_for(values, account.row)
    except UsageError:
        if not name.startswith(LIVE) or values["live"]:
            raise
        text = "The account at Alpaca was not asked: it trades real money, and --live was not given."
        yield warning("cash", text, "add --live, with ALPACA_PAPER=false.")
        return
    broker.append(asked)
    yield from cash_findings(account, asked)
