"""Local time to UTC, through the hours that clocks repeat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

from crypto_refactor.errors import DataError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_utc(path: Path, local: npt.NDArray[np.int64], tz: ZoneInfo) -> npt.NDArray[np.int64]:
    """Return seconds since 1970 UTC for local times in seconds; of an hour that comes twice, the earlier first.

    Raises
    ------
    DataError
        If the clocks of the zone never showed a time, or showed it twice and the file has it once.
    """
    falling = len(local) > 1 and bool((np.diff(local) <= 0).all())
    ordered = local[::-1] if falling else local
    before, after = (_offsets(ordered, tz, fold) for fold in (0, 1))
    _require(path, ordered, after <= before, tz, "never showed")
    repeated = after < before
    second = repeated & (np.diff(ordered, prepend=ordered[:1] - 1) == 0)
    first = repeated & (np.diff(ordered, append=ordered[-1:] + 1) == 0) & ~second
    _require(path, ordered, ~repeated | first | second, tz, "showed twice, and the file has it once:")
    utc = ordered - np.where(second, after, before)
    return utc[::-1] if falling else utc


def _offsets(local: npt.NDArray[np.int64], tz: ZoneInfo, fold: int) -> npt.NDArray[np.int64]:
    moments = (_EPOCH + timedelta(seconds=seconds) for seconds in local.tolist())
    offsets = (moment.replace(tzinfo=tz, fold=fold).utcoffset() or timedelta() for moment in moments)
    return np.array([offset // timedelta(seconds=1) for offset in offsets], dtype=np.int64)


def _require(
    path: Path, local: npt.NDArray[np.int64], good: npt.NDArray[np.bool_], tz: ZoneInfo, what: str
) -> None:
    if good.all():
        return
    moment = _EPOCH + timedelta(seconds=int(local[int(good.argmin())]))
    raise DataError(
        f"{path}: clocks in {tz.key} {what} {moment:%Y-%m-%d %H:%M}.",
        expected=f"local times of {tz.key}, with every hour of a day when clocks go back.",
        remedy="correct --tz, or remove that row.",
    )
