"""External targets from pandas."""

import warnings
from typing import Final, Literal

import numpy as np
import pandas as pd

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.external.target_file import MADE_AT, TARGET, ExternalTargets, Stamped, bad_row
from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.market.frames import OPENED, STAMP, hours_of
from crypto_refactor.market.hours import to_iso

_OPENS: Final = frozenset({OPENED, STAMP})
_CLOSES: Final = frozenset({MADE_AT, "closed", "decided_at"})
_CALLER: Final = 4  # of `evaluate`, from where the warning is given


def targets_of_frame(
    given: "pd.DataFrame | pd.Series[float]", stamped: Literal["open", "close"] | None
) -> ExternalTargets:
    """Return targets that came as a DataFrame or Series.

    Parameters
    ----------
    given : DataFrame or Series
        The targets -1, 0 or 1, in the column ``target`` of a DataFrame, indexed by full hours with a time zone, which
        may also stand in the column ``made_at``.
    stamped : {"open", "close"} or None
        What the hours are.  By default closes, unless they are named ``opened``, as those of `Bars.to_frame` are, or
        ``timestamp``, as those of a file of bars are.  Closes that are not named ``made_at``, ``closed`` or
        ``decided_at`` are warned of: an index without a name may hold either.

    Raises
    ------
    UsageError
        If hours named ``opened`` or ``timestamp`` are said to be closes.
    DataError
        If targets or hours are missing or out of order, or are none; the first bad row is shown.
    """
    frame = given.to_frame(TARGET) if isinstance(given, pd.Series) else given
    if list(frame.columns).count(TARGET) != 1:
        raise DataError(
            f"The targets have not one column {TARGET}, but {', '.join(map(str, frame.columns)) or 'none'}.",
            expected=f"a Series, or a DataFrame with the column {TARGET}: -1, 0 or 1.",
            remedy="rename the column, or give the one that holds the targets.",
        )
    stamps = pd.Index(frame[MADE_AT].array, name=MADE_AT) if MADE_AT in frame else frame.index
    end = _stamped(stamped, stamps.name)
    hours = hours_of(
        stamps, "The targets have", MADE_AT, f"the {end} of the bar that each target was made from"
    )
    if stamped is None and end is Stamped.CLOSE and stamps.name not in _CLOSES:
        named = "which has no name" if stamps.name is None else f"named {stamps.name!r}"
        warnings.warn(
            f"The index of the targets, {named}, is taken for the closes of bars. If it holds their opens, every target "
            "knows the bar it trades: say stamped='open', or stamped='close' to confirm.",
            stacklevel=_CALLER,
        )
    if len(hours) < 2:
        raise DataError(
            f"There are {len(hours)} targets.",
            expected="two or more: the window reaches from the first to the last.",
            remedy="give more of them.",
        )
    falling = np.flatnonzero(np.diff(hours) <= 0)
    if len(falling):
        row = int(falling[0]) + 1
        raise bad_row(
            row + 1,
            f"{to_iso(int(hours[row]))} after {to_iso(int(hours[row - 1]))}",
            "rising hours, each once",
        )
    return ExternalTargets(
        path=None,
        stamped=end,
        made_at=hours + end.hours_to_close,
        target=_sides(frame[TARGET]).astype(np.int8),
        lines=np.arange(1, len(hours) + 1),
        ignored=tuple(str(name) for name in frame.columns if name not in {MADE_AT, TARGET}),
    )


def _stamped(given: str | None, name: object) -> Stamped:
    opened = name in _OPENS
    if given is None:
        return Stamped.OPEN if opened else Stamped.CLOSE
    end = Stamped.of(given)
    if opened and end is Stamped.CLOSE:
        # An hour too early, every target would know the bar it trades.
        raise UsageError(
            f"Hours named {name} were said to be closes.",
            expected=f"another name for closes: {name} holds the opens of bars.",
            remedy="leave stamped out; or, if they are closes, rename the index.",
        )
    return end


def _sides(column: "pd.Series[float]") -> FloatArray:
    try:
        values = np.asarray(column.to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"The targets are no numbers but {column.dtype}.", expected="-1, 0 or 1.", remedy="convert them."
        ) from error
    wrong = ~np.isin(values, (-1.0, 0.0, 1.0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise bad_row(row + 1, f"the target is {values[row]:g}", "-1, 0 or 1")
    return values
