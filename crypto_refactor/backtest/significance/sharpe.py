"""How likely the true Sharpe ratio is above 0, or above what the best of many tries shows by luck.

Every figure here may be per hour or annualised, as long as all of them are: the ratios do not change.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, variance

_EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()


def probabilistic_sharpe(
    sharpe: float | None, sharpe_se: float | None, benchmark: float = 0.0
) -> float | None:
    """Return the probability that the true Sharpe ratio exceeds `benchmark`.

    D. H. Bailey and M. Lopez de Prado, "The Sharpe ratio efficient frontier", Journal of Risk 15 (2012),
    section 3, with N the standard normal distribution, g3 the skewness and g4 the kurtosis of the n returns::

        PSR(b) = N((SR - b) / se),   se^2 = (1 - g3 SR + (g4 - 1) / 4 SR^2) / (n - 1)

    Parameters
    ----------
    sharpe, sharpe_se : float or None
        As `metrics.sharpe_ratio` gives them.
    benchmark : float
        In the unit of `sharpe`.

    Returns
    -------
    float or None
        0 to 1; None where either is undefined or the error is 0.
    """
    if sharpe is None or not sharpe_se:
        return None
    return _NORMAL.cdf((sharpe - benchmark) / sharpe_se)


def expected_best_sharpe(trials: Sequence[float]) -> float:
    """Return the Sharpe ratio that the best of so many trials is expected to show without any skill.

    D. H. Bailey and M. Lopez de Prado, "The deflated Sharpe ratio: correcting for selection bias, backtest
    overfitting, and non-normality", Journal of Portfolio Management 40 (2014), eq. 1: for N independent
    trials whose Sharpe ratios have the variance V, with g = 0.5772… and Z the normal quantile function::

        E[max] = sqrt(V) ((1 - g) Z(1 - 1 / N) + g Z(1 - 1 / (N e)))

    Trials that resemble each other count as if they were independent, which is too strict, not too lenient.

    Parameters
    ----------
    trials : sequence of float
        The Sharpe ratio of everything that was tried, the best one included; 0 for one trial or none.
    """
    count = len(trials)
    if count < 2:
        return 0.0
    expected = (1 - _EULER_MASCHERONI) * _NORMAL.inv_cdf(1 - 1 / count)
    expected += _EULER_MASCHERONI * _NORMAL.inv_cdf(1 - 1 / (count * math.e))
    return math.sqrt(variance(trials)) * expected


def deflated_sharpe(sharpe: float | None, sharpe_se: float | None, trials: Sequence[float]) -> float | None:
    """Return the probability that the true Sharpe ratio exceeds what luck gives the best of `trials`.

    DSR = PSR(E[max]); see `probabilistic_sharpe` and `expected_best_sharpe`.

    Parameters
    ----------
    sharpe, sharpe_se : float or None
        Of the trial looked at.
    trials : sequence of float
        The Sharpe ratio of every trial, in the unit of `sharpe`.
    """
    return probabilistic_sharpe(sharpe, sharpe_se, expected_best_sharpe(trials))
