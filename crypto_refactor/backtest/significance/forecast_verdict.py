"""The verdict on forecasts: whether there is skill, and whether it would pay, whatever was traded on them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.significance.forecast_skill import ScoredForecasts
from crypto_refactor.correlation import Correlation, Mean, hourly_mean, pooled_spearman

FALSE_POSITIVE_RATE = 0.02
"""The share of runs without skill that a test lets pass."""
ERRORS = NormalDist().inv_cdf(1 - FALSE_POSITIVE_RATE)
"""2.05: a normal figure exceeds 0 by this many errors by chance in 2 % of cases."""
POWER = 0.8
DETECTABLE_ERRORS = ERRORS + NormalDist().inv_cdf(POWER)
"""2.90: an effect of this many errors is shown with 80 %."""
MIN_DAYS = 30
STRONGEST = 0.2
"""The share of forecasts that a paying edge is looked for in."""

EVIDENCE, BELOW_COST, RULED_OUT, UNDECIDED = "evidence", "skill_below_cost", "ruled_out", "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartVerdict:
    """One of four answers, and the same in words.

    ``evidence`` of skill that pays, ``skill_below_cost``, ``ruled_out``: an edge that pays is, or ``undecided``;
    `detectable` is the smallest effect that these hours would have shown with 80 %: a rank correlation for forecasts, a
    Sharpe ratio for trades; None if unknown.
    """

    code: str
    text: str
    detectable: float | None


def forecast_verdict(tickers: Sequence[ScoredForecasts], cost: float) -> PartVerdict:
    """Judge the forecasts of one ticker, or of several together.

    Skill is a rank correlation with the next return, averaged over tickers, that lies 2.05 of its errors above 0.  It
    pays if what the strongest fifth of the forecasts of each ticker gain, an hour each in their direction, lies as far
    above the `cost` of a round trip, and a paying edge is ruled out if it lies as far below.  All errors are clustered
    by day, over all tickers together: coins move as one.  Where nothing is known, 2 % of runs are called skill.

    Parameters
    ----------
    tickers : sequence of ScoredForecasts
        One for each ticker.
    cost : float
        Of entering and leaving, a fraction of the price.
    """
    days = len(np.unique(np.concatenate([scored.hours for scored in tickers]) // 24))
    if days < MIN_DAYS:
        return PartVerdict(
            code=UNDECIDED,
            text=f"undecided: {days} of at least {MIN_DAYS} days of forecasts",
            detectable=None,
        )
    ic = pooled_spearman([(scored.forecast, scored.outcome, scored.hours) for scored in tickers])
    gain = strongest_gain(tickers)
    if ic.value is None or not ic.se or gain is None or not gain.se:
        return PartVerdict(code=UNDECIDED, text="undecided: the forecasts do not vary", detectable=None)
    return _answer(ic, gain, cost)


def strongest_gain(tickers: Sequence[ScoredForecasts]) -> Mean | None:
    """Return what an hour in the direction of the strongest fifth of forecasts gained, log return, before costs."""
    gains: list[FloatArray] = []
    hours = []
    for scored in tickers:
        directed = scored.forecast != 0
        if directed.any():
            strong = directed & (scored.strength >= np.quantile(scored.strength[directed], 1 - STRONGEST))
            gains.append((np.sign(scored.forecast) * scored.outcome)[strong])
            hours.append(scored.hours[strong])
    return hourly_mean(np.concatenate(gains), np.concatenate(hours)) if gains else None


def _answer(ic: Correlation, gain: Mean, cost: float) -> PartVerdict:
    assert ic.value is not None
    assert ic.se is not None
    assert gain.se is not None
    detectable = DETECTABLE_ERRORS * ic.se
    skill = ic.value - ERRORS * ic.se > 0
    low, high = gain.value - ERRORS * gain.se, gain.value + ERRORS * gain.se
    measured = f"rank correlation with the next return {ic.value:+.3f} ± {ic.se:.3f}"
    paid = (
        f"the strongest fifth gain {_points(gain.value, unit='')} ± {_points(gain.se, signed=False)} an hour before costs, "
        f"a round trip costs {_points(cost, signed=False)}"
    )
    if skill and low > cost:
        return PartVerdict(
            code=EVIDENCE, text=f"evidence of skill that pays: {measured}; {paid}", detectable=detectable
        )
    if skill:
        relation = "below its cost" if high < cost else "not shown to exceed its cost"
        return PartVerdict(
            code=BELOW_COST, text=f"skill, {relation}: {measured}; {paid}", detectable=detectable
        )
    if high < cost:
        bound = f"at most {_points(high)} an hour (98 %), a round trip costs {_points(cost, signed=False)}"
        text = f"no skill shown, and an edge that pays is ruled out: the strongest fifth gain {bound}; {measured}"
        return PartVerdict(code=RULED_OUT, text=text, detectable=detectable)
    text = f"undecided: {measured}; {paid}; one of {math.ceil(detectable * 1000) / 1000:.3f} would have been shown with 80 %"
    return PartVerdict(code=UNDECIDED, text=text, detectable=detectable)


def _points(fraction: float, *, signed: bool = True, unit: str = " bp") -> str:
    """Return a fraction in basis points."""
    # Added to 0, a rounded -0.0 has no sign left.
    points = round(fraction * 10_000, 1) + 0.0
    return f"{points:+.1f}{unit}" if signed else f"{points:.1f}{unit}"
