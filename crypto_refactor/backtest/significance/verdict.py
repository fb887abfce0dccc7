"""The verdict: is there evidence of an edge?  One word and one sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.significance.forecast_skill import Skill
from crypto_refactor.backtest.significance.random_entry import RandomEntry
from crypto_refactor.backtest.significance.summary import Significance

MIN_TRADES = 30
MIN_HOURS = 90 * 24
FALSE_ALARMS = 0.02
"""How often a run without an edge may be called evidence, at most."""
IC_ERRORS = NormalDist().inv_cdf(1 - FALSE_ALARMS)
"""2.05: a normal figure lies this many errors above 0 by luck in 2 % of cases."""

TOO_FEW, EVIDENCE, NO_EVIDENCE = "too_few", "evidence", "no_evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run amounts to.

    Attributes
    ----------
    code : str
        ``too_few``, ``evidence`` or ``no_evidence``.
    text : str
        The same in one sentence, with its reasons.
    """

    code: str
    text: str


def verdict(metrics: Metrics, hours: int, significance: Significance, audit_passed: bool | None) -> Verdict:
    """Judge a run.

    ``too_few`` under 30 closed trades or 2,160 hours (90 days): no figure below means much there.
    ``evidence`` where the audit passed and every test rejects its own null hypothesis at 2 %:

    - the probabilistic Sharpe ratio is 0.98 or more (null: the true Sharpe ratio is 0 or less),
    - the p-value of the random-entry null is 0.02 or less (null: entries are random),
    - the rank IC of the forecasts less 2.05 of its day-block errors is above 0 (null: no rank correlation).
      Where there were no forecasts, as for somebody else's targets, it is not asked.

    ``no_evidence`` otherwise.  A run without an edge, for which one of these null hypotheses holds, passes
    that test in 2 % of cases, and so passes all of them in 2 % of cases at most, however the tests hang
    together: P(all reject) <= min P(one rejects).  Fees make it far less, because luck has to earn them first.
    Nominal, because the first test rests on a normal approximation, which lets 2 to 3 % pass on fat-tailed
    returns of 2,160 hours; the second has its 2 % exactly where entries are random, the third very nearly.
    The rate belongs to one run looked at once.  Whoever tries many and keeps the best must deflate
    (`sharpe_tests.deflated_sharpe`).

    Parameters
    ----------
    metrics : Metrics
        Of the run.
    hours : int
        Length of the window.
    significance : Significance
        Of the run.
    audit_passed : bool or None
        None where the run was not audited; it is never evidence then.
    """
    missing = _too_few(metrics.trades, hours)
    if missing:
        return Verdict(code=TOO_FEW, text=f"Too few to judge: {missing}.")
    failures = _failures(significance)
    if audit_passed is False:
        failures.insert(0, "the run failed its audit")
    if failures:
        return Verdict(code=NO_EVIDENCE, text=f"No evidence of an edge: {'; '.join(failures)}.")
    if audit_passed is None:
        return Verdict(
            code=NO_EVIDENCE, text="No evidence of an edge: the figures pass, but the run was not audited."
        )
    return Verdict(code=EVIDENCE, text=_evidence(significance))


def _too_few(trades: int, hours: int) -> str:
    parts = []
    if trades < MIN_TRADES:
        closed = "1 closed trade" if trades == 1 else f"{trades} closed trades"
        parts.append(f"{closed} of the {MIN_TRADES} one should ask for")
    if hours < MIN_HOURS:
        parts.append(f"{hours:,} of {MIN_HOURS:,} hours")
    return " and ".join(parts)


def _failures(found: Significance) -> list[str]:
    """Return what did not pass, each as a clause."""
    failures = []
    chance, entry = found.probabilistic_sharpe, found.random_entry
    if chance is None:
        failures.append("the Sharpe ratio is undefined")
    elif chance < 1 - FALSE_ALARMS:
        failures.append(f"{_chance_text(chance)} (98 % is asked)")
    if entry is None:
        failures.append("there are no trades to compare with random entries")
    elif entry.p > FALSE_ALARMS:
        failures.append(f"{_entries_text(entry)} (2 % is allowed)")
    if found.skill is not None:
        failures += _forecast_failures(found.skill)
    return failures


def _forecast_failures(skill: Skill) -> list[str]:
    found = skill.model.spearman
    if found.value is None or found.se is None:
        return ["the forecasts' rank correlation with the next return is undefined"]
    if found.value - IC_ERRORS * found.se > 0:
        return []
    text = f"the forecasts' rank correlation with the next return, {found.value:+.3f} ± {found.se:.3f}"
    return [f"{text}, is not {IC_ERRORS:.2f} errors above 0"]


def _evidence(found: Significance) -> str:
    entry, chance = found.random_entry, found.probabilistic_sharpe
    assert entry is not None
    assert chance is not None
    parts = [_chance_text(chance), _entries_text(entry)]
    if found.skill is not None:
        ic = found.skill.model.spearman
        parts.append(f"the forecasts' rank correlation with the next return is {ic.value:+.3f} ± {ic.se:.3f}")
    return f"Evidence of an edge: {'; '.join(parts)}; up to one run in fifty without an edge would look like this."


def _chance_text(chance: float) -> str:
    shown = round(chance * 100, 1)
    if chance < 1 - FALSE_ALARMS <= shown / 100:  # no figure may read as its limit and fail
        shown = math.floor(chance * 1000) / 10
    return f"the probability that the true Sharpe ratio is above 0 is {shown:.1f} %"


def _entries_text(entry: RandomEntry) -> str:
    shown = round(entry.p * 100, 1)
    if shown / 100 <= FALSE_ALARMS < entry.p:
        shown = math.ceil(entry.p * 1000) / 10
    return f"{shown:.1f} % of random entries do as well or better"
