"""The probability that a true Sharpe ratio is above 0, or above the best of many trials without skill.

All figures may be per hour or annualised, as long as they agree.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist, variance

from crypto_refactor.backtest.metrics import Metrics

_EULER_MASCHERONI = 0.5772156649015329
_NORMAL = NormalDist()


def probabilistic_sharpe(
    sharpe: float | None, sharpe_se: float | None, benchmark: float = 0.0
) -> float | None:
    """Return the probability that the true Sharpe ratio exceeds `benchmark`.

    D. H. Bailey and M. Lopez de Prado, "The Sharpe ratio efficient frontier", Journal of Risk 15 (2012),
    section 3, with N the standard normal distribution, g3 the skewness and g4 the kurtosis of the n returns::

        PSR(b) = N((SR - b) / se),   se^2 = (1 - g3 SR + (g4 - 1) / 4 SR^2) / (n - 1)

    Returns
    -------
    float or None
        0 to 1; None if the ratio or its error is undefined, or the error is 0.
    """
    if sharpe is None or not sharpe_se:
        return None
    return _NORMAL.cdf((sharpe - benchmark) / sharpe_se)


def expected_best_sharpe(trials: Sequence[float]) -> float:
    """Return the expected Sharpe ratio of the best of `trials` if none has any skill; 0 for one trial or none.

    D. H. Bailey and M. Lopez de Prado, "The deflated Sharpe ratio: correcting for selection bias, backtest
    overfitting, and non-normality", Journal of Portfolio Management 40 (2014), eq. 1: for N independent
    trials whose Sharpe ratios have the variance V, with g = 0.5772… and Z the normal quantile function::

        E[max] = sqrt(V) ((1 - g) Z(1 - 1 / N) + g Z(1 - 1 / (N e)))

    Similar trials count as independent, which is too strict, not too lenient.
    """
    count = len(trials)
    if count < 2:
        return 0.0
    expected = (1 - _EULER_MASCHERONI) * _NORMAL.inv_cdf(1 - 1 / count)
    expected += _EULER_MASCHERONI * _NORMAL.inv_cdf(1 - 1 / (count * math.e))
    return math.sqrt(variance(trials)) * expected


def deflated_sharpe(sharpe: float | None, sharpe_se: float | None, trials: Sequence[float]) -> float | None:
    """Return the probability that a true Sharpe ratio exceeds the `expected_best_sharpe` of all `trials`."""
    return probabilistic_sharpe(sharpe, sharpe_se, expected_best_sharpe(trials))


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionBias:
    """The best of several trials, compared with the best expected by chance.

    Attributes
    ----------
    trials, trials_with_sharpe : int
        Number of trials, and of those that ever traded: the others had no chance at luck.
    earlier, earlier_with_sharpe : int or None
        The same of the trials that came before; None where these are not counted.
    best_sharpe : float
        The highest Sharpe ratio, annualised.
    expected_best_sharpe : float
        The highest one expected if none of these and of the earlier trials had any skill, annualised.
    deflated_sharpe : float or None
        Probability that the true Sharpe ratio of the best trial exceeds that; None if its error is 0.
    """

    trials: int
    trials_with_sharpe: int
    earlier: int | None
    earlier_with_sharpe: int | None
    best_sharpe: float
    expected_best_sharpe: float
    deflated_sharpe: float | None

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        names = {
            "trials": "tried",
            "trials_with_sharpe": "counted",
            "earlier_with_sharpe": "earlier_counted",
        }
        return {names.get(name, name): value for name, value in asdict(self).items()}


def selection_bias(
    trials: Sequence[Metrics], *, earlier: int | None = None, earlier_sharpes: Sequence[float] = ()
) -> SelectionBias | None:
    """Return how far chance explains the best of `trials`; None if no trial has a Sharpe ratio.

    `earlier` trials came before, on the same hours, and had `earlier_sharpes` where they traded; None if unknown.
    """
    sharpes = [(trial.sharpe, trial.sharpe_se) for trial in trials if trial.sharpe is not None]
    if not sharpes:
        return None
    best, error = max(sharpes, key=lambda pair: pair[0])
    ratios = [*(ratio for ratio, _ in sharpes), *earlier_sharpes]
    return SelectionBias(
        trials=len(trials),
        trials_with_sharpe=len(sharpes),
        earlier=earlier,
        earlier_with_sharpe=None if earlier is None else len(earlier_sharpes),
        best_sharpe=best,
        expected_best_sharpe=expected_best_sharpe(ratios),
        deflated_sharpe=deflated_sharpe(best, error, ratios),
    )
