"""The verdict on a run: evidence of an edge or not, and why; and what its forecasts and its trades show by themselves."""

import math
from dataclasses import dataclass
from typing import NamedTuple

from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.significance.earlier_trials import EarlierTrials
from crypto_refactor.backtest.significance.forecast_skill import Skill
from crypto_refactor.backtest.significance.forecast_verdict import (
    ERRORS,
    FALSE_POSITIVE_RATE,
    PartVerdict,
    forecast_verdict,
)
from crypto_refactor.backtest.significance.random_entry import RandomEntry
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.backtest.significance.trade_verdict import MIN_TRADES, trade_verdict

MIN_HOURS = 90 * 24

TOO_FEW, EVIDENCE, NO_EVIDENCE = "too_few", "evidence", "no_evidence"
VERDICT_WORDS = {TOO_FEW: "not enough data", EVIDENCE: "evidence", NO_EVIDENCE: "no evidence"}
"""What a verdict begins with, by its code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """``too_few``, ``evidence`` or ``no_evidence``, the same in one sentence with its reasons, and the verdicts of its parts.

    Forecasts need no trades to be judged; external targets have none.
    """

    code: str
    text: str
    forecasts: PartVerdict | None
    trades: PartVerdict


def verdict(
    metrics: Metrics,
    hours: int,
    significance: Significance,
    audit_passed: bool | None,
    *,
    round_trip_cost: float,
    earlier: EarlierTrials | None = None,
) -> Verdict:
    """Judge a run.

    ``too_few`` below 30 closed trades or 2,160 hours (90 days): no figure means much there.
    ``evidence`` if the audit passed and every test rejects its own null hypothesis at 2 %:

    - the probabilistic Sharpe ratio is 0.98 or more (null: the true Sharpe ratio is 0 or less),
    - the p-value of the random-entry test is 0.02 or less (null: entries are random
      among hours of like volatility and time of day),
    - the rank IC of the forecasts minus 2.05 of its standard errors is above 0 (null: no rank correlation);
      this test needs forecasts, and external targets have none.

    ``no_evidence`` otherwise.  A run without an edge, for which one of these null hypotheses holds, passes that
    test in 2 % of cases, and therefore all tests in at most 2 %, however they depend on each other:
    P(all reject) <= min P(one rejects).  Fees make it far less, because luck has to earn them first.  The rate is
    nominal: the first test uses a normal approximation, which lets 2 to 3 % pass on fat-tailed returns of 2,160
    hours; the second is exact if entries or sides are random, the third very nearly.  It applies to a single run.  Where
    others came before it on the same hours, the first test asks for more: the deflated Sharpe ratio, the probability that
    the true one is above what the best of all these trials would be expected to reach without skill.

    Parameters
    ----------
    metrics : Metrics
        Metrics of the run.
    hours : int
        Length of the window.
    significance : Significance
        Tests of the run.
    audit_passed : bool or None
        None without an audit; it is never evidence then.
    round_trip_cost : float
        Cost of entering and leaving, a fraction of the price.
    earlier : EarlierTrials, optional
        What was tried on the same hours before; by default it is not known, and nothing of it counts.
    """
    chance = _Chance.of(metrics, significance, earlier)
    code, text = _whole(metrics, hours, significance, audit_passed, chance)
    scored = significance.forecasts
    return Verdict(
        code=code,
        text=with_place(text, earlier),
        forecasts=None if scored is None else forecast_verdict([scored], round_trip_cost),
        trades=trade_verdict(metrics, significance, earlier),
    )


def with_place(text: str, earlier: EarlierTrials | None) -> str:
    """Return the text of a verdict behind the place of the run among all trials; as it is for the first one."""
    if earlier is None or not earlier.count:
        return text
    return f"{ordinal(earlier.count + 1)} trial on these hours: {text[0].lower()}{text[1:]}"


def ordinal(count: int) -> str:
    """Return a number as people count: 1st, 2nd, 3rd, 11th, 1,001st."""
    ending = "th" if count % 100 in {11, 12, 13} else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count:,}{ending}"


class _Chance(NamedTuple):
    """The probability that the true Sharpe ratio is above `above`, which is what the best of `trials` reach by chance."""

    probability: float | None
    above: float = 0.0
    trials: int = 1

    @classmethod
    def of(cls, metrics: Metrics, significance: Significance, earlier: EarlierTrials | None) -> "_Chance":
        above = None if earlier is None else earlier.best_by_chance(metrics)
        if earlier is None or above is None:
            return cls(significance.probabilistic_sharpe)
        return cls(earlier.deflated(metrics), above, len(earlier.sharpes) + 1)

    def text(self, probability: str) -> str:
        """Return what has the `probability`."""
        if self.trials == 1:
            return f"the true Sharpe ratio is above 0 with a probability of {probability}"
        return (
            f"luck alone lifts the best of {self.trials:,} trials that traded to a Sharpe ratio of {self.above:.1f}; "
            f"that this one is truly above it has a probability of {probability}"
        )


def _whole(
    metrics: Metrics, hours: int, significance: Significance, audit_passed: bool | None, chance: _Chance
) -> tuple[str, str]:
    missing = _too_few(metrics.trades, hours)
    if missing:
        return TOO_FEW, f"Not enough data: {missing}."
    failures = _failures(significance, chance)
    if audit_passed is False:
        failures.insert(0, "the run failed its audit")
    if failures:
        return NO_EVIDENCE, f"No evidence of an edge: {'; '.join(failures)}."
    if audit_passed is None:
        return NO_EVIDENCE, "No evidence of an edge: the figures pass, but the run was not audited."
    return EVIDENCE, _evidence(significance, chance)


def _too_few(trades: int, hours: int) -> str:
    parts = []
    if trades < MIN_TRADES:
        parts.append(f"{trades:,} trade{'s' * (trades != 1)} ({MIN_TRADES} needed)")
    if hours < MIN_HOURS:
        days = math.floor(hours / 2.4) / 10  # rounded down: 89.96 days are not 90
        parts.append(f"{days:,g} days ({MIN_HOURS // 24} needed)")
    return ", ".join(parts)


def _failures(significance: Significance, chance: _Chance) -> list[str]:
    """Return the tests that did not pass, each as a clause."""
    failures = []
    entry = significance.random_entry
    if chance.probability is None:
        failures.append("the Sharpe ratio is undefined")
    elif chance.probability < 1 - FALSE_POSITIVE_RATE:
        failures.append(f"{_chance_text(chance)} (98 % needed)")
    if entry is None:
        failures.append("there are no trades to compare with random entries")
    elif entry.p > FALSE_POSITIVE_RATE:
        failures.append(f"{_entries_text(entry)} (2 % allowed)")
    if significance.skill is not None:
        failures += _forecast_failures(significance.skill)
    return failures


def _forecast_failures(skill: Skill) -> list[str]:
    ic = skill.model.spearman
    if ic.value is None or ic.se is None:
        return ["the forecasts' rank correlation is undefined"]
    if ic.value - ERRORS * ic.se > 0:
        return []
    text = f"the forecasts' rank correlation, {ic.value:+.3f} ± {ic.se:.3f}"
    return [f"{text}, is not {ERRORS:.2f} errors above 0"]


def _evidence(significance: Significance, chance: _Chance) -> str:
    entry = significance.random_entry
    assert entry is not None
    parts = [_chance_text(chance), _entries_text(entry)]
    if significance.skill is not None:
        ic = significance.skill.model.spearman
        parts.append(f"the forecasts' rank correlation is {ic.value:+.3f} ± {ic.se:.3f}")
    return f"Evidence of an edge: {'; '.join(parts)}; up to one run in fifty without an edge looks like this."


def _chance_text(chance: _Chance) -> str:
    probability = chance.probability
    assert probability is not None
    percent = round(probability * 100, 1)
    if (
        probability < 1 - FALSE_POSITIVE_RATE <= percent / 100
    ):  # a figure that fails must not read as its limit
        percent = math.floor(probability * 1000) / 10
    return chance.text(f"{percent:.1f} %")


def _entries_text(entry: RandomEntry) -> str:
    percent = round(entry.p * 100, 1)
    if percent / 100 <= FALSE_POSITIVE_RATE < entry.p:
        percent = math.ceil(entry.p * 1000) / 10
    return f"{percent:.1f} % of random entries do as well or better"
