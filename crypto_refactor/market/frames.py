"""Bars and hours as pandas has them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from crypto_refactor.arrays import HourArray
from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.market.ticker import Ticker

STAMP = "timestamp"
OPENED = "opened"
"""The name of an index of bars."""
_SIMULATED, _SYNTHETIC = "simulated", "synthetic"
_NUMBERS = ("open", "high", "low", "close", "volume")
_HOUR = pd.Timedelta(hours=1)


def frame_of(hours: HourArray, columns: Mapping[str, Any], name: str) -> pd.DataFrame:
    """Return columns of equal length, indexed by UTC times, which are given in hours since 1970."""
    return pd.DataFrame(columns, index=hour_index(hours, name))


def hour_index(hours: HourArray, name: str) -> pd.DatetimeIndex:
    """Return hours since 1970 as an index of UTC times."""
    return pd.DatetimeIndex(pd.to_datetime(hours * 3600, unit="s", utc=True), name=name)


def mark_simulated(frame: pd.DataFrame) -> pd.DataFrame:
    """Mark bars of the simulation, so that a way through pandas does not make a market of them."""
    frame.attrs[_SIMULATED] = True
    return frame


def is_simulated(frame: pd.DataFrame) -> bool:
    """Whether a DataFrame carries that mark; pandas keeps it when rows or columns are selected or added."""
    return frame.attrs.get(_SIMULATED) is True


def columns_of_frame(frame: pd.DataFrame, ticker: Ticker) -> dict[str, Any]:
    """Return the columns of bars; see `Bars.from_frame`.

    Raises
    ------
    UsageError
        If it is no DataFrame.
    DataError
        If a column is missing or holds no numbers, or a time stamp is not a full hour with a zone.
    """
    if not isinstance(frame, pd.DataFrame):
        raise UsageError(
            f"The bars of {ticker} came as {type(frame).__name__}.",
            expected="a DataFrame.",
            remedy="convert them to one, or write them to a CSV file.",
        )
    named = {str(name).lower(): frame[name] for name in frame.columns}
    missing = [name for name in _NUMBERS if name not in named]
    if missing:
        raise _wrong(
            ticker,
            f"has no column {' or '.join(missing)}",
            "open, high, low, close and volume",
            "rename its columns",
        )
    numbers: dict[str, Any] = {}
    for name in _NUMBERS:
        try:
            numbers[name] = named[name].to_numpy(dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise _wrong(
                ticker,
                f"has more than numbers in its column {name}",
                "prices and volumes",
                "convert it, with pd.to_numeric for one",
            ) from error
    stamps = named[STAMP].array if STAMP in named else frame.index
    opened = hours_of(
        pd.Index(stamps), f"The DataFrame of {ticker} has", STAMP, "the hour in which each bar opened"
    )
    if _SYNTHETIC in named and named[_SYNTHETIC].dtype == np.bool_:
        numbers[_SYNTHETIC] = named[_SYNTHETIC].to_numpy()
    return {"opened": opened, **numbers}


def hours_of(stamps: pd.Index, what: str, column: str, meaning: str) -> HourArray:
    """Return time stamps in hours since 1970.

    Parameters
    ----------
    stamps : Index
        Times with a zone, each a full hour.
    what : str
        What has them, at the beginning of a sentence.
    column : str
        The column that may hold them.
    meaning : str
        What each of them says.

    Raises
    ------
    DataError
        If they have no zone, or one lies between two hours or is missing.
    """
    if not isinstance(stamps, pd.DatetimeIndex) or stamps.tz is None:
        raise DataError(
            f"{what} no time stamps with a time zone.",
            expected=f"an index, or a column `{column}`, of times with a zone: {meaning}.",
            remedy="set one, for example frame.index = pd.to_datetime(frame.index, utc=True).",
        )
    since = stamps.tz_convert("UTC") - pd.Timestamp(0, tz="UTC")
    odd = np.asarray(stamps.isna() | (since % _HOUR != pd.Timedelta(0)))
    if odd.any():
        row = int(np.argmax(odd))
        raise DataError(
            f"{what} a time stamp that is not a full hour: {stamps[row]}, in row {row + 1}.",
            expected=f"{meaning}.",
            remedy="correct it.",
        )
    return np.asarray(since // _HOUR, dtype=np.int64)


def _wrong(ticker: Ticker, what: str, expected: str, remedy: str) -> DataError:
    return DataError(f"The DataFrame of {ticker} {what}.", expected=f"{expected}.", remedy=f"{remedy}.")
