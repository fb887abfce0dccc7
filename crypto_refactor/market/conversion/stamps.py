"""Time stamps as people write them, as seconds since 1970 UTC; what can be read in two ways is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.market.conversion.local_stamps import to_utc
from crypto_refactor.market.hours import MAX_HOUR

if TYPE_CHECKING:
    import pandas as pd

Seconds = npt.NDArray[np.int64]
DAY_FIRST, MONTH_FIRST = "day-first", "month-first"
HOUR: Final = 3600
_LAST: Final = MAX_HOUR * HOUR
_UNITS: Final = (
    (10**8, "seconds"),
    (10**11, "milliseconds"),
    (10**14, "microseconds"),
    (10**17, "nanoseconds"),
)
"""From where on a number counts which unit: each range begins in 1973 and ends, in the next unit's 1973, in 5138."""
_EPOCH: Final = r"[0-9]{9,19}(?:\.[0-9]*)?|[0-9](?:\.[0-9]+)?[eE]\+?[0-9]{1,2}"
_TEXT: Final = (
    r"(?P<one>[0-9]{1,4})(?P<mark>[-/.])(?P<two>[0-9]{1,2})[-/.](?P<three>[0-9]{1,4})"
    r"(?:(?:T|\s+)(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9][0-9])(?::(?P<second>[0-9][0-9])(?:[.,](?P<fraction>[0-9]{1,9}))?)?)?"
    r"(?:[ -]?(?P<half>AM|PM|am|pm))?)?"
    r"\s*(?P<offset>Z|UTC|GMT|(?:UTC|GMT)?[+-][0-9][0-9]:?[0-9][0-9](?::?00)?|(?:UTC|GMT)?[+-][0-9][0-9])?"
)
_COMPACT: Final = r"([0-9]{4})([0-9][0-9])([0-9][0-9])[T ]?([0-9][0-9]):?([0-9][0-9])?:?([0-9][0-9])?(Z)?"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stamps:
    """Instants in seconds since 1970 UTC, in words how they are written, and whether they name no offset."""

    seconds: Seconds
    kind: str
    naive: bool


def parse_stamps(path: Path, texts: pd.Series[str], *, dates: str | None, tz: ZoneInfo | None) -> Stamps:
    """Parse time stamps.

    Parameters
    ----------
    dates : str or None
        ``day-first`` or ``month-first``, for dates such as 01/02/2024; None where the stamps themselves must tell.
    tz : ZoneInfo or None
        The zone of stamps without an offset; by default UTC.

    Raises
    ------
    DataError
        If a stamp is none, or can be read in several ways.
    UsageError
        If `tz` is given for stamps that are UTC by themselves.
    """
    texts = texts.str.strip()
    if texts.str.fullmatch(_EPOCH).all():
        _refuse_zone(path, tz, "counts from 1970 UTC")
        return _epochs(path, texts)
    parts = texts.str.replace(_COMPACT, _spelled_out, regex=True).str.extract(f"^{_TEXT}$")
    _require(path, texts, parts["one"].notna().to_numpy(dtype=bool), "a time stamp")
    offsets = parts["offset"].notna().to_numpy(dtype=bool)
    if offsets.any() and not offsets.all():
        _require(path, texts, offsets, "a time stamp with an offset, as others have one")
    order = _order(path, texts, parts, dates)
    local = _moments(path, texts, parts, order)
    kind = "dates" if order is None else f"dates {order}"
    if offsets.all():
        _refuse_zone(path, tz, "names its offset")
        return Stamps(seconds=local - _offsets(parts["offset"]), kind=kind, naive=False)
    if tz is None:
        return Stamps(seconds=local, kind=f"{kind} without an offset, read as UTC", naive=True)
    return Stamps(seconds=to_utc(path, local, tz), kind=f"{kind} in {tz.key}", naive=False)


def _spelled_out(match: object) -> str:
    year, month, day, hour, minute, second, utc = match.groups()  # type: ignore[attr-defined]
    return f"{year}-{month}-{day}T{hour}:{minute or '00'}:{second or '00'}{utc or ''}"


def _refuse_zone(path: Path, tz: ZoneInfo | None, why: str) -> None:
    if tz is not None and tz.key != "UTC":
        raise UsageError(
            f"--tz is {tz.key}, and each stamp of {path} {why}.",
            expected="--tz for stamps of local time without an offset.",
            remedy="leave out --tz.",
        )


def _require(path: Path, texts: pd.Series[str], good: npt.NDArray[np.bool_], expected: str) -> None:
    if not good.all():
        row = int(good.argmin())
        raise DataError(
            f"{path}, row {row + 1}: the stamp is {texts.iloc[row]!r}.",
            expected=f"{expected}: 2024-06-01T13:00Z, 2024-06-01 13:00:00+00:00, or a count from 1970.",
            remedy="correct or remove that row, or export the file with such stamps.",
        )


def _epochs(path: Path, texts: pd.Series[str]) -> Stamps:
    counts = np.array([_count(text) for text in texts.tolist()], dtype=np.int64)
    unit = np.searchsorted([low for low, _ in _UNITS], counts, side="right") - 1
    _require(path, texts, unit >= 0, "a time stamp after 1973")
    per_second = 1000 ** unit.astype(np.int64)
    seconds = _whole(counts // per_second, counts % per_second > 0)
    names = [name for place, (_, name) in enumerate(_UNITS) if (unit == place).any()]
    return Stamps(seconds=seconds, kind=" and ".join(names), naive=False)


def _whole(seconds: Seconds, fraction: npt.NDArray[np.bool_]) -> Seconds:
    """Return whole seconds: the last moment of an hour belongs to its last second, others between two are no hour."""
    between = fraction & (seconds % HOUR != HOUR - 1)
    return np.asarray(seconds + between, dtype=np.int64)


def _count(text: str) -> int:
    whole, _, fraction = text.partition(".")
    count = int(whole) if not fraction.strip("0") and whole.isdigit() else int(float(text))
    return min(count, np.iinfo(np.int64).max)


def _order(path: Path, texts: pd.Series[str], parts: pd.DataFrame, dates: str | None) -> str | None:
    """Return whether day or month comes first; None where the year does."""
    one, two = (parts[name].astype(int).to_numpy() for name in ("one", "two"))
    year_first = parts["one"].str.len().to_numpy() == 4
    year_last = parts["three"].str.len().to_numpy() == 4
    if year_first.all() and (parts["three"].str.len().to_numpy() <= 2).all():
        return None
    _require(
        path, texts, ~year_first & year_last, "a date with a year of four digits, first or last in every row"
    )
    day_first, month_first = bool((two <= 12).all()), bool((one <= 12).all())
    if day_first and month_first and dates is None:
        raise DataError(
            f"{path}: dates such as {texts.iloc[0]!r} may begin with the day or with the month.",
            expected="dates that can be read in one way, such as 2024-06-01.",
            remedy="say which with --dates day-first or --dates month-first.",
        )
    if dates is not None:
        possible = day_first if dates == DAY_FIRST else month_first
        place = int((two > 12).argmax() if dates == DAY_FIRST else (one > 12).argmax())
        if not possible:
            _require(path, texts, np.arange(len(texts)) != place, f"a date {dates}")
        return dates
    return DAY_FIRST if day_first else MONTH_FIRST


def _moments(path: Path, texts: pd.Series[str], parts: pd.DataFrame, order: str | None) -> Seconds:
    """Return the local times as seconds since a local 1970."""
    import pandas as pd

    names = {
        None: ("one", "two", "three"),
        DAY_FIRST: ("three", "two", "one"),
        MONTH_FIRST: ("three", "one", "two"),
    }
    year, month, day = (parts[name].str.zfill(2) for name in names[order])
    days = pd.to_datetime(year + "-" + month + "-" + day, format="%Y-%m-%d", errors="coerce")
    start = days.to_numpy().astype("datetime64[s]").astype(np.int64)  # far below 0 where there is no such day
    _require(path, texts, (start >= 0) & (start <= _LAST), "a date of the calendar, from 1970 on")
    hour, minute, second = (
        parts[name].fillna("0").astype(int).to_numpy() for name in ("hour", "minute", "second")
    )
    half = parts["half"].fillna("").str.upper().to_numpy()
    twelve = half != ""
    possible = np.where(twelve, (hour >= 1) & (hour <= 12), hour <= 23) & (minute <= 59) & (second <= 59)
    _require(path, texts, possible, "a time of the day")
    hour = np.where(twelve, hour % 12 + 12 * (half == "PM"), hour)
    fraction = parts["fraction"].fillna("").str.strip("0").ne("").to_numpy()
    return _whole(start + hour * HOUR + minute * 60 + second, fraction)


def _offsets(offsets: pd.Series[str]) -> Seconds:
    known = {text: _offset(text) for text in offsets.unique().tolist()}
    return offsets.map(known).to_numpy(dtype=np.int64)


def _offset(text: str) -> int:
    if text in {"Z", "UTC", "GMT"}:
        return 0
    sign, digits = text.removeprefix("UTC").removeprefix("GMT")[0], "".join(filter(str.isdigit, text))
    return (-1 if sign == "-" else 1) * (int(digits[:2]) * HOUR + int(digits[2:4] or 0) * 60)


def to_opens(path: Path, seconds: Seconds, *, stamped: str | None, named_close: bool) -> Seconds:
    """Return when each bar opened, where `stamped` says what its stamp is: its ``open`` or its ``close``.

    Raises
    ------
    DataError
        If the stamps look like closes, and nothing says that they are.
    """
    last_second = bool(len(seconds)) and bool(((seconds % HOUR) == HOUR - 1).all())
    if stamped is None and (named_close or last_second):
        raise DataError(
            f"{path}: the stamps look like the closes of their bars"
            + (", by the name of their column." if named_close else ", a second before the hour."),
            expected="stamps that say when a bar opened, or the option that says what they are.",
            remedy="add --stamped close if they are closes, --stamped open if not.",
        )
    if stamped == "close":
        return seconds + int(last_second) - HOUR
    return seconds
