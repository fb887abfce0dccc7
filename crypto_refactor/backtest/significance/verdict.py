"""The verdict on a run: evidence of an edge or not, and why; and what its forecasts and its trades show by themselves."""

import math
from dataclasses import dataclass

from crypto_refactor.backtest.metrics import Metrics
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
    hours; the second is exact if entries or sides are random, the third very nearly.  It applies to a single run.  For the
    best of many runs, use `sharpe.deflated_sharpe`.

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
    """
    code, text = _whole(metrics, hours, significance, audit_passed)
    scored = significance.forecasts
    return Verdict(
        code=code,
        text=text,
        forecasts=None if scored is None else forecast_verdict([scored], round_trip_cost),
        trades=trade_verdict(metrics, significance),
    )


def _whole(
    metrics: Metrics, hours: int, significance: Significance, audit_passed: bool | None
) -> tuple[str, str]:
    missing = _too_few(metrics.trades, hours)
    if missing:
        return TOO_FEW, f"Not enough data for a verdict: {missing}."
    failures = _failures(significance)
    if audit_passed is False:
        failures.insert(0, "the run failed its audit")
    if failures:
        return NO_EVIDENCE, f"No evidence of an edge: {'; '.join(failures)}."
    if audit_passed is None:
        return NO_EVIDENCE, "No evidence of an edge: the figures pass, but the run was not audited."
    return EVIDENCE, _evidence(significance)


def _too_few(trades: int, hours: int) -> str:
    parts = []
    if trades < MIN_TRADES:
        parts.append(f"{trades} of at least {MIN_TRADES} closed trades")
    if hours < MIN_HOURS:
        parts.append(f"{hours:,} of at least {MIN_HOURS:,} hours")
    return ", ".join(parts)


def _failures(significance: Significance) -> list[str]:
    """Return the tests that did not pass, each as a clause."""
    failures = []
    chance, entry = significance.probabilistic_sharpe, significance.random_entry
    if chance is None:
        failures.append("the Sharpe ratio is undefined")
    elif chance < 1 - FALSE_POSITIVE_RATE:
        failures.append(f"{_chance_text(chance)} (98 % is required)")
    if entry is None:
        failures.append("there are no trades to compare with random entries")
    elif entry.p > FALSE_POSITIVE_RATE:
        failures.append(f"{_entries_text(entry)} (2 % is allowed)")
    if significance.skill is not None:
        failures += _forecast_failures(significance.skill)
    return failures


def _forecast_failures(skill: Skill) -> list[str]:
    ic = skill.model.spearman
    if ic.value is None or ic.se is None:
        return ["the forecasts' rank correlation with the next return is undefined"]
    if ic.value - ERRORS * ic.se > 0:
        return []
    text = f"the forecasts' rank correlation with the next return, {ic.value:+.3f} ± {ic.se:.3f}"
    return [f"{text}, is not {ERRORS:.2f} errors above 0"]


def _evidence(significance: Significance) -> str:
    entry, chance = significance.random_entry, significance.probabilistic_sharpe
    assert entry is not None
    assert chance is not None
    parts = [_chance_text(chance), _entries_text(entry)]
    if significance.skill is not None:
        ic = significance.skill.model.spearman
        parts.append(f"the forecasts' rank correlation with the next return is {ic.value:+.3f} ± {ic.se:.3f}")
    return f"Evidence of an edge: {'; '.join(parts)}; up to one run in fifty without an edge looks like this."


def _chance_text(chance: float) -> str:
    percent = round(chance * 100, 1)
    if chance < 1 - FALSE_POSITIVE_RATE <= percent / 100:  # a figure that fails must not read as its limit
        percent = math.floor(chance * 1000) / 10
    return f"the probability that the true Sharpe ratio is above 0 is {percent:.1f} %"


def _entries_text(entry: RandomEntry) -> str:
    percent = round(entry.p * 100, 1)
    if percent / 100 <= FALSE_POSITIVE_RATE < entry.p:
        percent = math.ceil(entry.p * 1000) / 10
    return f"{percent:.1f} % of random entries do as well or better"
