"""How long ago an account decided last."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from crypto_refactor.errors import UsageError
from crypto_refactor.market.hours import parse_instant, to_datetime
from crypto_refactor.trading.account_names import REALTIME_DEMO, is_at_broker
from crypto_refactor.trading.account_status import AccountStatus

_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_AHEAD = timedelta(minutes=2)
"""How far two clocks may differ before a decision counts as made in the future."""


def parse_length(option: str, text: str) -> timedelta:
    """Return a length of time: ``90m``, ``2h``, ``1.5d``.

    Raises
    ------
    UsageError
        If it is none, or not above zero.
    """
    match = _LENGTH.fullmatch(text.strip().lower())
    try:
        length = timedelta() if match is None else timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    except OverflowError:
        length = timedelta()
    if length <= timedelta():
        raise UsageError.invalid(
            option, text, "a number and s, m, h or d, such as 90m, 2h or 1d", example="2h"
        )
    return length


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionAge:
    """When an account decided last, how long ago that is, and how long ago it may be; None where it never did."""

    at: datetime | None
    age: timedelta | None
    allowed: timedelta

    @property
    def is_recent(self) -> bool:
        """Whether a decision was recorded in the time allowed; one of the future proves nothing."""
        return self.age is not None and -_MAX_AHEAD <= self.age <= self.allowed


def decision_age(status: AccountStatus | None, now: datetime, allowed: timedelta) -> DecisionAge:
    """Return how old the last decision of an account is.

    An account that trades as time passes decides on the bar that has just closed, so its decision is as old as that
    close.  One that trades past bars decided when it was traded last.
    """
    at = None if status is None else _decided_at(status)
    return DecisionAge(at=at, age=None if at is None else now - at, allowed=allowed)


def _decided_at(status: AccountStatus) -> datetime | None:
    decisions = [part.decision for part in status.tickers if part.decision is not None]
    if not decisions:
        return None
    if status.row.name == REALTIME_DEMO or is_at_broker(status.row.name):
        return to_datetime(max(decision["bar"] for decision in decisions))
    return parse_instant(status.row.traded_at)


def length_text(length: timedelta) -> str:
    """Return a length of time in its two largest units."""
    minutes, seconds = divmod(int(abs(length).total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s")]
    first = next((index for index, (count, _) in enumerate(parts) if count), len(parts) - 1)
    shown = [f"{count} {unit}" for count, unit in parts[first : first + 2] if count]
    return " ".join(shown) or "0 s"
