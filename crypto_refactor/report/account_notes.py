"""What stands against an account's trading, in sentences."""

import re
from collections.abc import Sequence

from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.formatting import UNDEFINED, money
from crypto_refactor.sides import Side
from crypto_refactor.trading.account_names import DEMO, LIVE, PAPER, REALTIME_DEMO, REPLAY, heeds_halt
from crypto_refactor.trading.account_status import AccountStatus, TickerStatus

_KINDS = (
    (REALTIME_DEMO, "demo account on Alpaca's bars, in real time"),
    (f"{DEMO}{SAMPLE}", "demo account on the bundled simulation"),
    (DEMO, "demo account on CSV files"),
    (PAPER, "paper account at Alpaca"),
    (LIVE, "account with real money at Alpaca"),
    (REPLAY, "replay of past hours"),
)
_DECISION_AT_END = re.compile(r"[:;] (?:enter|exit) [^:;]*$")


def account_kind(name: str) -> str:
    """Return in words what kind of account a name stands for."""
    return next((kind for prefix, kind in _KINDS if name.startswith(prefix)), "account")


def minute(iso: str) -> str:
    """Return an ISO-8601 time to the minute."""
    return iso[:16].replace("T", " ")


def ticker_alerts(part: TickerStatus) -> list[str]:
    """Return what a person has to know of a sub-account: unknown outcomes, halts, blocked sides."""
    account = part.account
    alerts = [
        f"order {order.client_order_id} is UNSETTLED since {minute(order.sent_at)} UTC; the next run checks it"
        for order in part.unsettled
    ]
    if account.halted:
        peak = money(account.peak_equity)
        alerts.append(f"HALTED by drawdown from a peak of {peak}: no entries until `crypto-refactor resume`")
    if account.ruined:
        alerts.append("a short position lost all equity: no further trades")
    if account.blocked_side:
        side = Side(account.blocked_side).label
        held = "once its position is closed, " if account.side == account.blocked_side else ""
        alerts.append(
            f"{held}will not re-enter {side} until the target changes (closed manually or stopped out)"
        )
    return alerts


def halt_lines(status: AccountStatus) -> list[str]:
    """Return the halt of entries, if there is one, and whether it concerns this account."""
    if status.halt is None:
        return []
    if not heeds_halt(status.row.name):
        return [
            f"{status.halt}. This account does not heed the halt: only those that trade as time passes do."
        ]
    return [f"{status.halt}. Run `crypto-refactor resume` to lift the halt."]


def account_alerts(status: AccountStatus) -> list[str]:
    """Return the alerts of an account and of each of its tickers."""
    return halt_lines(status) + [
        f"{part.ticker}: {alert}" for part in status.tickers for alert in ticker_alerts(part)
    ]


def reason_text(reason: str, pending: Sequence[str]) -> str:
    """Return the reason of a decision, and what it leaves for the next open."""
    if not pending:
        return reason
    # The reason ends with its decision, which is stated once, with its time, or was replaced by a manual close.
    return f"{_DECISION_AT_END.sub('', reason)}; at the next open: {' and '.join(pending)}"


def decision_text(part: TickerStatus) -> str:
    """Return the last decision: when, why, and what is left for the next open."""
    if part.decision is None:
        return reason_text(UNDEFINED, part.pending)
    reason = reason_text(part.decision.get("reason", UNDEFINED), part.pending)
    return f"{minute(to_iso(part.decision['bar']))} UTC: {reason}"
