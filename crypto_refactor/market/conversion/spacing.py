"""Whether stamps are those of hourly bars, and of which zone or length of bars if they are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crypto_refactor.errors import DataError
from crypto_refactor.market.conversion.stamps import HOUR, Seconds
from crypto_refactor.market.local_time import some, zones_at_minute
from crypto_refactor.market.sources.csv_files import other_length


def require_hourly(path: Path, seconds: Seconds, *, naive: bool) -> None:
    """Refuse stamps that are not those of hourly bars on the full hour UTC.

    Raises
    ------
    DataError
        If the usual step is another, or a stamp lies between two hours.
    """
    steps = np.abs(np.diff(seconds))
    steps = steps[steps > 0]
    if not len(steps):
        raise DataError(
            f"{path} holds one bar, which does not say how long it is.",
            expected="two hours or more.",
            remedy="put it into one file with the hours beside it.",
        )
    lengths, counts = np.unique(steps, return_counts=True)
    usual = int(lengths[counts.argmax()])
    if usual != HOUR:
        raise other_length(path, usual)
    off = seconds % HOUR != 0
    if not off.any():
        return
    minutes = {int(second) // 60 for second in np.unique(seconds % HOUR)}
    zones = zones_at_minute(min(minutes), int(seconds[0]) // HOUR) if len(minutes) == 1 and naive else ()
    row = int(off.argmax())
    if zones:
        raise DataError(
            f"{path}: every stamp stands at minute {min(minutes)}, as full hours UTC do in {some(zones)}: local time "
            "without an offset?",
            expected="stamps in UTC, with an offset, or of a zone that is named.",
            remedy=f"add --tz {zones[0]}, or the zone that the stamps are in.",
        )
    raise DataError(
        f"{path}, row {row + 1}: the stamp lies between two hours, {int(seconds[row]) % HOUR} seconds after one.",
        expected="bars that open on the full hour UTC.",
        remedy="correct or remove that row, or export hourly bars.",
    )
