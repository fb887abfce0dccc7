"""Time on the hourly grid: inside the tool an instant is an `Hour`, and zones exist only where people read one."""

from datetime import UTC, datetime, timedelta
from operator import index
from typing import TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from crypto_refactor.errors import UsageError

Hour: TypeAlias = int
"""Whole hours since 1970-01-01T00:00Z, so that an instant between two hours or without a zone cannot be written down."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR = timedelta(hours=1)


MAX_HOUR = 8_000_000
"""In the year 2882.  Later ones end beyond the calendar of Python."""


def to_datetime(hour: Hour) -> datetime:
    """Return the aware UTC instant of `hour`."""
    return _EPOCH + int(hour) * _HOUR


def to_iso(hour: Hour) -> str:
    """Return `hour` as ISO-8601 UTC, for example ``2024-05-01T13:00:00Z``."""
    return to_datetime(hour).strftime("%Y-%m-%dT%H:%M:%SZ")


def floor_hour(instant: datetime) -> Hour:
    """Return the last full hour at or before the aware `instant`."""
    return int((instant - _EPOCH) // _HOUR)


def parse_instant(text: str) -> datetime:
    """Parse an ISO-8601 instant; without an offset it is UTC.

    Raises
    ------
    ValueError
        If `text` is not an ISO-8601 date, or date and time.
    """
    try:
        instant = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is no time, such as 2024-06-01T00:00Z") from error
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC)
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        raise ValueError(f"{text!r} lies outside the calendar") from error


def parse_hour(text: str) -> Hour:
    """Parse an ISO-8601 instant on the full hour.

    Raises
    ------
    ValueError
        If `text` is not an instant, or lies between two hours.
    """
    instant = parse_instant(text)
    hour = floor_hour(instant)
    if to_datetime(hour) != instant:
        raise ValueError(f"{text!r} lies between two hours")
    return hour


def as_hour(stamp: datetime | str | Hour) -> Hour:
    """Return the hour that a person means: an aware datetime, an ISO-8601 text (UTC without an offset), or an hour since 1970.

    Raises
    ------
    UsageError
        If it is none of these, has no time zone, lies between two hours, before 1970 or after 2882.
    """
    try:
        if isinstance(stamp, str):
            return _on_the_grid(parse_hour(stamp))
        if isinstance(stamp, datetime):
            return _on_the_grid(parse_hour(_with_zone(stamp).isoformat()))
        return _on_the_grid(index(stamp))
    except (ValueError, TypeError) as error:
        raise UsageError(
            f"{stamp!r} is not a full hour: {error}.",
            expected="an aware datetime, an ISO-8601 text such as 2024-05-01T13:00Z, or whole hours since 1970.",
            remedy="correct the time.",
        ) from error


def _on_the_grid(hour: Hour) -> Hour:
    if not 0 <= hour <= MAX_HOUR:
        raise ValueError("it lies before 1970 or after 2882")
    return hour


def _with_zone(stamp: datetime) -> datetime:
    if stamp.utcoffset() is None:  # neither the machine's zone nor UTC is right on every machine
        raise ValueError("it has no time zone; add one, for example stamp.replace(tzinfo=datetime.UTC)")
    return stamp


def zone(name: str) -> ZoneInfo:
    """Return the time zone `name`, for example ``America/Denver``.

    Raises
    ------
    UsageError
        If the zone is unknown.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"{name!r} is not a known time zone.",
            expected="an IANA name such as UTC, America/Denver or Europe/Berlin.",
            remedy="correct --tz, or omit it to read times in UTC.",
        ) from error


def to_local_text(hour: Hour, tz: ZoneInfo) -> str:
    """Return `hour` in local time of `tz`, with the abbreviation of the zone."""
    return to_datetime(hour).astimezone(tz).strftime("%Y-%m-%d %H:%M %Z")
