"""Strata of entries: hours of a like volatility in the same part of the day."""

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray, RowArray

DAY_PARTS = 4
"""Six hours each: prices move most while both Europe and America trade."""
MAX_VOLATILITY_BANDS = 10
_ROWS_PER_STRATUM = 50
"""With fewer hours to choose from, draws would hardly differ from the run."""
_HALF_LIFE = 8.0
"""Hours after which a move counts half: between the last hours and the last day."""


def entry_strata(prices: FloatArray, hours: HourArray) -> RowArray:
    """Return the stratum of each open but the last one, shape (m,).

    Within each part of the day, opens are divided by the volatility before them into bands of equal size: ten of them where
    the window is long enough for about 50 opens in each.  A window too short even for parts of the day is one stratum.

    Parameters
    ----------
    prices, hours : ndarray, shape (m + 1,)
        The opens of real bars, the last close, and their hours.
    """
    count = len(prices) - 1
    bands = min(count // (DAY_PARTS * _ROWS_PER_STRATUM), MAX_VOLATILITY_BANDS)
    if not bands:
        return np.zeros(count, dtype=np.int64)
    volatility = _volatility(prices)
    strata = np.zeros(count, dtype=np.int64)
    part = hours[:-1] % 24 * DAY_PARTS // 24
    for number in range(DAY_PARTS):
        rows = np.flatnonzero(part == number)
        # By rank, so that the bands have equal size.
        ranked = rows[np.argsort(volatility[rows], kind="stable")]
        strata[ranked] = number * bands + np.arange(len(rows)) * bands // max(len(rows), 1)
    return strata


def _volatility(prices: FloatArray) -> FloatArray:
    """Return an exponential average of the absolute log returns before each open but the last one, shape (m,)."""
    import pandas as pd

    moves = np.abs(np.diff(np.log(prices)))
    known = pd.Series(np.append(moves[:1], moves[:-1]))
    return np.asarray(known.ewm(halflife=_HALF_LIFE).mean(), dtype=np.float64)
