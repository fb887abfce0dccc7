"""Whether the ledger is whole, has copies, and lets an account trade."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from crypto_refactor.trading.account_names import REALTIME_DEMO, is_at_broker
from crypto_refactor.trading.account_status import AccountStatus
from crypto_refactor.trading.health.decision_age import decision_age, length_text
from crypto_refactor.trading.health.finding import Finding, fine, warning
from crypto_refactor.trading.kill_switch import halt_reason
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.locks import is_locked

USUAL_AGE = timedelta(hours=2)
"""A continuous run decides each hour; two without a decision are worth a look."""
_BACKUP_AGE = timedelta(days=2)


def trades_in_real_time(account: str) -> bool:
    """Whether an account trades as time passes."""
    return account == REALTIME_DEMO or is_at_broker(account)


def ledger_findings(ledger: Ledger, now: datetime) -> Iterator[Finding]:
    """Say whether the ledger is intact, and how old its newest good copy is."""
    if not ledger.path.exists():
        yield fine("ledger", f"There is no ledger at {ledger.path} yet; the first run creates it.")
        return
    ledger.check()
    size = ledger.path.stat().st_size
    yield fine("ledger", f"{ledger.path} is intact ({size / 1e6:,.1f} MB).")
    copy = ledger.newest_backup()
    if copy is None:
        yield warning(
            "backup",
            f"There is no good copy of the ledger in {ledger.path.parent / 'backups'} yet.",
            "none: the first run of another day makes one. Copy the state folder elsewhere, too.",
        )
        return
    changed = [datetime.fromtimestamp(path.stat().st_mtime, UTC) for path in (copy, ledger.path)]
    behind = changed[1] - changed[0]
    text = f"The newest good copy is {copy.name}, {length_text(now - changed[0])} old."
    if behind > _BACKUP_AGE:
        yield warning("backup", text, f"look whether {copy.parent} can be written and has space.")
    else:
        yield fine("backup", text)


def halt_findings(state: Path) -> Iterator[Finding]:
    """Say whether entries are halted."""
    reason = halt_reason(state)
    if reason is None:
        yield fine("halt", "Entries are not halted.")
    else:
        yield warning("halt", f"{reason}.", "`crypto-refactor resume` allows entries again.")


def account_findings(status: AccountStatus, state: Path, now: datetime) -> Iterator[Finding]:
    """Say whether an account decides, which orders are open, and who acts on it."""
    name = status.row.name
    if trades_in_real_time(name):
        yield from _decisions(status, now)
    unsettled = [order.client_order_id for part in status.tickers for order in part.unsettled]
    if unsettled:
        yield warning(
            "orders",
            f"The outcome of {', '.join(unsettled)} is not known.",
            "run the trading command again: it looks each up at Alpaca before anything else.",
        )
    else:
        yield fine("orders", "Every order is settled.")
    halted = [str(part.ticker) for part in status.tickers if part.account.halted]
    if halted:
        yield warning(
            "drawdown",
            f"Entries are halted by the drawdown of {', '.join(halted)}.",
            f"`crypto-refactor resume --drawdown --ticker {halted[0]}` lifts that.",
        )
    held = [str(part.ticker) for part in status.tickers if is_locked(state, name, part.ticker)]
    if held:
        yield warning(
            "lock",
            f"A process acts on {', '.join(held)} now.",
            "none, if that lasts for seconds; otherwise end the process that hangs.",
        )
    else:
        yield fine("lock", "No process holds a lock of the account.")


def _decisions(status: AccountStatus, now: datetime) -> Iterator[Finding]:
    age = decision_age(status, now, USUAL_AGE)
    if age.age is None:
        yield warning("decision", "No decision was ever recorded.", "start the trading command.")
    elif not age.is_recent:
        yield warning(
            "decision",
            f"The last decision is {length_text(age.age)} {'old' if age.age > timedelta() else 'ahead of the clock'}.",
            "start the trading command, or read its log to find out why it does not decide.",
        )
    else:
        yield fine("decision", f"The last decision is {length_text(age.age)} old.")
