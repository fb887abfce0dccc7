"""Traces that local time without an offset leaves in a series of hours: what clocks skip or repeat, and half hours."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

import numpy as np

from crypto_refactor.arrays import HourArray
from crypto_refactor.market.hours import MAX_HOUR, to_datetime

_WELL_KNOWN: Final = (
    *("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"),
    *("Europe/London", "Europe/Berlin", "Europe/Athens", "Australia/Sydney", "Asia/Kolkata"),
    *("Pacific/Auckland", "America/Santiago", "America/Sao_Paulo", "Asia/Jerusalem", "Australia/Adelaide"),
)
"""Named before others: where most people who trade live."""
_AREAS: Final = frozenset(
    {"Africa", "America", "Antarctica", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific"}
)
_NAMED: Final = 3
_MAX_YEARS: Final = 60
"""A series that spans more is not one of an exchange, and its clocks are too many to look at."""
_HOUR: Final = timedelta(hours=1)


def zones_that_repeat(hour: int) -> tuple[str, ...]:
    """Return the zones whose clocks show `hour`, read as local time, twice."""
    return _zones_that_turn(hour, -_HOUR)


def zones_that_skip(hour: int) -> tuple[str, ...]:
    """Return the zones whose clocks never show `hour`, read as local time."""
    return _zones_that_turn(hour, _HOUR)


def zones_at_minute(minute: int, hour: int) -> tuple[str, ...]:
    """Return the zones in which full hours UTC stand at `minute` of the hour around `hour`."""
    if not 0 <= hour <= MAX_HOUR:
        return ()
    moment = to_datetime(hour)
    return tuple(
        name for name in _zones() if _offset(moment.astimezone(ZoneInfo(name))) % _HOUR == minute * _HOUR / 60
    )


def skipped_hours(opened: HourArray) -> tuple[tuple[int, ...], tuple[str, ...]] | None:
    """Return the gaps that clocks going forward would leave, and the zones that fit; None where none does.

    A zone fits if every hour that its clocks skip within the series is a gap of that one hour, and such gaps are
    at least half of all: an exchange that stood still now and then is no clock.
    """
    before = np.flatnonzero(np.diff(opened) > 1)
    single = (opened[before[np.diff(opened)[before] == 2]] + 1).tolist()
    years = 1 + int(opened[-1] - opened[0]) // 8766 if len(opened) else 0
    if not single or years > _MAX_YEARS or len(before) > 2 * (years + 1):
        return None
    fitting: dict[tuple[int, ...], list[str]] = {}
    for name in dict.fromkeys(zone for hour in single for zone in zones_that_skip(hour)):
        skipped = _skipped_within(name, int(opened[0]), int(opened[-1]))
        if set(skipped) <= set(single) and 2 * len(skipped) >= len(before):
            fitting.setdefault(skipped, []).append(name)
    best = max(fitting, key=len, default=None)
    return None if best is None else (best, tuple(fitting[best]))


def some(zones: Sequence[str]) -> str:
    """Return the first few names, and how many there are beside them."""
    more = len(zones) - _NAMED
    return ", ".join(zones[:_NAMED]) + (f" and {more} more zones" if more > 0 else "")


def local_text(hour: int) -> str:
    """Return `hour` as a clock on the wall would show it."""
    return to_datetime(hour).strftime("%Y-%m-%d %H:%M")


@cache
def _zones() -> tuple[str, ...]:
    others = sorted(name for name in available_timezones() if name.partition("/")[0] in _AREAS)
    return tuple(dict.fromkeys([*(name for name in _WELL_KNOWN if name in others), *others]))


def _zones_that_turn(hour: int, change: timedelta) -> tuple[str, ...]:
    local = to_datetime(hour).replace(tzinfo=None)
    return tuple(name for name in _zones() if _turn(local, ZoneInfo(name)) == change)


def _turn(local: datetime, zone: ZoneInfo) -> timedelta:
    """Return by how much clocks are moved around `local`; zero at any other time."""
    first, second = (_offset(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    return second - first


def _offset(moment: datetime) -> timedelta:
    return moment.utcoffset() or timedelta()


def _skipped_within(name: str, first: int, last: int) -> tuple[int, ...]:
    """Return the hours of local time between `first` and `last` that the clocks of a zone skip."""
    zone = ZoneInfo(name)
    days = (to_datetime(hour).replace(tzinfo=zone) for hour in range(first - first % 24, last + 25, 24))
    return tuple(hour for hour in _skipped_on(days, zone) if first < hour < last)


def _skipped_on(days: Iterable[datetime], zone: ZoneInfo) -> Iterable[int]:
    before = None
    for day in days:
        offset = _offset(day)
        if before is not None and offset > before[1]:
            for hour in range(25):
                local = before[0].replace(tzinfo=None) + hour * _HOUR
                if _turn(local, zone) == _HOUR:
                    yield int((local.replace(tzinfo=UTC) - to_datetime(0)) // _HOUR)
        before = day, offset
