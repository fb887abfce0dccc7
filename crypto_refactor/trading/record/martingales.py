"""Evidence that may be looked at every hour: two products of bets on what forecasts state.

A bet is a factor whose mean is at most 1 while its null hypothesis holds, whatever happened before.  A product of such
factors is a test martingale: it reaches c with a probability of at most 1/c, however often one looks (J. Ville, "Étude
critique de la notion de collectif", 1939; A. Ramdas, P. Grünwald, V. Vovk and G. Shafer, "Game-theoretic statistics and
safe anytime-valid inference", Statistical Science 38 (2023)).

The forecasts of one hour share what moves the market, so their product would be no martingale.  Their mean is one bet of
that hour under any dependence; forecasts of different hours follow one another, as each is resolved before the next is made.
"""

from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import BoolArray, FloatArray, HourArray

EVIDENCE = 50.0
"""Where the product says that directions are no coin toss; chance takes it there in at most 2 of 100 records."""
ALARM = 43_800.0
"""Where the detector says that stated confidence does not come true.  On average it takes at least as many hours, five years
of forecasts at every hour, until it does so falsely; see `benchmarks/record_alarm.py`."""
MOST_CONFIDENT = 0.99
"""A bet on more would lose everything, for good, with one wrong forecast."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HourlyBets:
    """One bet for each hour; `hours` ascend, both have shape (h,)."""

    hours: HourArray
    bets: FloatArray


def coin_toss_bets(confidence: FloatArray, right: BoolArray) -> FloatArray:
    """Return the bets against "right or wrong is a coin toss": 2p where right, 2 (1 - p) where wrong.

    Parameters
    ----------
    confidence : ndarray, shape (n,)
        Stated probability p of the direction, 0.5 to 1.
    right : ndarray, shape (n,)
        Whether the direction was right.
    """
    p = np.minimum(confidence, MOST_CONFIDENT)
    return np.asarray(np.where(right, 2 * p, 2 * (1 - p)), dtype=np.float64)


def overstatement_bets(confidence: FloatArray, right: BoolArray) -> FloatArray:
    """Return the bets against "stated confidence comes true", for a coin toss: 1 / 2p where right, 1 / 2 (1 - p) where wrong.

    Their mean is 1 where directions are right with probability p, and lower where they are right more often.  Arguments are
    those of `coin_toss_bets`, whose inverse they are.
    """
    return 1 / coin_toss_bets(confidence, right)


def by_hour(bets: FloatArray, hours: HourArray) -> HourlyBets:
    """Return the mean bet of each hour that has one."""
    distinct, place = np.unique(hours, return_inverse=True)
    counts = np.bincount(place, minlength=len(distinct))
    return HourlyBets(hours=distinct, bets=np.bincount(place, weights=bets, minlength=len(distinct)) / counts)


def product(bets: FloatArray) -> FloatArray:
    """Return the test martingale, shape (h,): the product of the bets up to each hour."""
    with np.errstate(over="ignore"):
        path = np.exp(np.cumsum(np.log(bets)))
    return np.asarray(np.minimum(path, np.finfo(np.float64).max), dtype=np.float64)


def first_reach(path: FloatArray, hours: HourArray, level: float) -> int | None:
    """Return the first hour at which a path of shape (h,) reaches `level`; None where it never does."""
    reached = np.flatnonzero(path >= level)
    return int(hours[reached[0]]) if len(reached) else None


def detect_change(bets: FloatArray, level: float = ALARM) -> tuple[FloatArray, list[int]]:
    """Return the Shiryaev-Roberts detector at each bet, shape (h,), and the positions at which it raises an alarm.

    It adds up a product of bets begun at every hour, as the change may have come at any::

        R_t = (1 + R_(t-1)) e_t

    and begins again at 0 after an alarm, R_t >= `level`.  While the null hypothesis holds, R_t - t is a supermartingale.  So an
    alarm comes after at least `level` hours on average, and with a probability of at most H / `level` within H hours
    (J. Shin, A. Ramdas and A. Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New England
    Journal of Statistics in Data Science 2 (2024)).
    """
    path = np.empty(len(bets))
    alarms = []
    value = 0.0
    for position, bet in enumerate(bets.tolist()):
        value = path[position] = (1 + value) * bet
        if value >= level:
            alarms.append(position)
            value = 0.0
    return path, alarms
