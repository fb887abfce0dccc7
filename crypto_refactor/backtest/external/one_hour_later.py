"""The same targets one hour later, and whether the result hangs on the hour that follows their stamps.

A target that was made from the bar it trades, because a stamp is that bar's open or because a feature looks ahead,
earns everything in the first hour after each change of side.  An hour later nothing of it is left, while a target that
knows only the past loses little.  Two questions are asked, and both must be answered with yes before a warning:

- Is it more than noise?  In the hours in which only one of the two runs holds a position, the earlier one earns
  ``d = (side - later side) x return``.  If the hour is like any other, each d is as likely a gain as a loss, so that
  ``sum(d) / sqrt(sum(d^2))`` is about normal, whatever the volatility of each hour; it is at most the square root of
  their number, so that few changes of side never suffice.
- Does it matter?  The sign of the total return, or more than half of it, or more than half of its advantage over buy and
  hold is gone an hour later.  A loss that grows is no reason to warn.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from crypto_refactor.arrays import SideArray
from crypto_refactor.backtest.engine import simulate
from crypto_refactor.backtest.external.target_file import ExternalTargets
from crypto_refactor.backtest.result import AccountRun, plan_of_sides
from crypto_refactor.backtest.scenarios import account_run
from crypto_refactor.market.bars import Bars

MIN_ERRORS = 3.0
"""The first hour must earn this many of its standard errors: by chance it does in one of 700 runs."""


class Dependence(StrEnum):
    """What is gone one hour later."""

    SIGN = "sign"
    MOST = "most"
    ADVANTAGE = "advantage"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneHourLater:
    """The run of the same targets, each known an hour later than its stamp says.

    Attributes
    ----------
    run : AccountRun
        Over the same window, by the same rules.
    first_hour : float
        What the hour between the two runs earned before fees: the sum of hourly returns, a fraction.
    error : float
        Its standard error if that hour is like any other.
    dependence : Dependence or None
        What of the result hangs on the hour; None where nothing does, or no more than chance explains.
    """

    run: AccountRun
    first_hour: float
    error: float
    dependence: Dependence | None


def trade_one_hour_later(
    targets: ExternalTargets, window: Bars, requested: AccountRun, buy_and_hold: AccountRun, *, hours: int
) -> OneHourLater:
    """Trade `targets` an hour later than `requested` has, and compare the two."""
    plan = plan_of_sides(targets.at_or_flat(window.closed - 1))
    balance, rules = requested.metrics.initial_balance, requested.rules
    later = account_run(simulate(window, plan, rules, initial_balance=balance), window, rules, hours=hours)
    first_hour, error = first_hour_return(requested.simulation.sides, later.simulation.sides, window)
    dependence = None
    if error > 0 and first_hour >= MIN_ERRORS * error:
        totals = (run.metrics.total_return for run in (requested, later, buy_and_hold))
        dependence = dependence_of(*totals)
    return OneHourLater(run=later, first_hour=first_hour, error=error, dependence=dependence)


def first_hour_return(sides: SideArray, later: SideArray, window: Bars) -> tuple[float, float]:
    """Return what positions `sides` earned more than `later`, and the standard error of that if both guess.

    Both hold the side at each close, shape (n + 1,).  A position that is held at a close was held since the open of that
    bar, because fills happen at opens; it earns until the next open, or until the last close.
    """
    ends = np.append(window.open[2:], window.close[-1])
    returns = ends / window.open[1:] - 1
    earned = (sides[1:].astype(np.float64) - later[1:]) * returns
    return float(earned.sum()), math.sqrt(float(earned @ earned))


def dependence_of(total: float, later: float, hold: float) -> Dependence | None:
    """Return what of the total return of a run is gone an hour later, if it is a gain."""
    if total > 0 and later <= 0:
        return Dependence.SIGN
    if total > 0 and later < total / 2:
        return Dependence.MOST
    if total > max(hold, 0) and later - hold < (total - hold) / 2:
        return Dependence.ADVANTAGE
    return None
