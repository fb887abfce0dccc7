from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crypto_refactor.backtest.metrics import compute_metrics
from crypto_refactor.backtest.significance.bootstrap import Intervals
from crypto_refactor.backtest.significance.calibration import Calibration, coverage
from crypto_refactor.backtest.significance.earlier_trials import EarlierTrials
from crypto_refactor.backtest.significance.fee_sensitivity import BreakEven
from crypto_refactor.backtest.significance.forecast_skill import ForecastFigures, ScoredForecasts, Skill
from crypto_refactor.backtest.significance.random_entry import RandomEntry
from crypto_refactor.backtest.significance.sharpe import deflated_sharpe, expected_best_sharpe
from crypto_refactor.backtest.significance.summary import Significance
from crypto_refactor.backtest.significance.trade_verdict import trade_verdict
from crypto_refactor.backtest.significance.verdict import (
    ERRORS,
    EVIDENCE,
    NO_EVIDENCE,
    TOO_FEW,
    ordinal,
    verdict,
)
from crypto_refactor.correlation import Correlation

METRICS = compute_metrics(
    np.array([1.0, 1.1]), np.ones(1, dtype=bool), (), (), closed=np.array([0, 2160]), hours=2160
)


def skill_of(value, error):
    figures = ForecastFigures(
        rmse_ratio=0.99,
        mae_ratio=0.99,
        hit_rate=None,
        pearson=Correlation(value=None, se=None),
        spearman=Correlation(value=value, se=error),
    )
    empty = Calibration(bins=(), brier=None)
    return Skill(
        n=2160,
        model=figures,
        baselines={},
        confidence=empty,
        raw_confidence=empty,
        coverage=coverage(np.zeros(0, dtype=bool), np.zeros(0)),
        long=1000,
        short=1160,
        beyond_threshold=0.2,
    )


def entry_of(p):
    return RandomEntry(
        p_hours=p, p_sides=min(p, 0.01), draws=1000, earned=0.1, low=-0.1, median=0.0, high=0.05
    )


PASSING = Significance(
    intervals=Intervals(total_return=(0.01, 0.3), sharpe=(0.5, 3.0)),
    probabilistic_sharpe=0.991,
    random_entry=entry_of(0.004),
    break_even=BreakEven(fee=0.002),
    cost_sweep=(),
    skill=skill_of(0.06, 0.02),
    forecasts=None,
)


def judged(found=PASSING, *, trades=30, hours=2160, audit=True, **changed):
    return verdict(
        replace(METRICS, trades=trades), hours, replace(found, **changed), audit, round_trip_cost=0.002
    )


def test_all_passed_is_evidence_and_says_how_often_it_is_wrong():
    found = judged()
    assert found.code == EVIDENCE == "evidence"
    assert found.text == (
        "Evidence of an edge: the true Sharpe ratio is above 0 with a probability of 99.1 %; 0.4 % of random "
        "entries do as well or better; the forecasts' rank correlation is +0.060 ± 0.020; "
        "up to one run in fifty without an edge looks like this."
    )


@pytest.mark.parametrize(
    ("trades", "hours", "text"),
    [
        (29, 2160, "Not enough data: 29 trades (30 needed)."),
        (1, 9000, "Not enough data: 1 trade (30 needed)."),
        (400, 2159, "Not enough data: 89.9 days (90 needed)."),
        (
            0,
            720,
            "Not enough data: 0 trades (30 needed), 30 days (90 needed).",
        ),
    ],
)
def test_too_few_whatever_the_figures(trades, hours, text):
    for audit in (True, False, None):
        found = judged(trades=trades, hours=hours, audit=audit)
        assert (found.code, found.text) == (TOO_FEW, text)
    assert TOO_FEW == "too_few"


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (
            {"probabilistic_sharpe": 0.9799},
            "Sharpe ratio is above 0 with a probability of 97.9 % (98 % needed)",
        ),
        ({"probabilistic_sharpe": None}, "the Sharpe ratio is undefined"),
        (
            {"random_entry": entry_of(21 / 1001)},
            "2.1 % of random entries do as well or better (2 % allowed)",
        ),
        ({"random_entry": None}, "no trades to compare"),
        ({"skill": skill_of(0.05, 0.03)}, "+0.050 ± 0.030, is not 2.05 errors above 0"),
        ({"skill": skill_of(-0.2, 0.03)}, "-0.200 ± 0.030, is not 2.05 errors above 0"),
        ({"skill": skill_of(0.05, None)}, "is undefined"),
        ({"skill": skill_of(None, None)}, "is undefined"),
        ({"audit": False}, "the run failed its audit"),
        ({"audit": None}, "the figures pass, but the run was not audited"),
    ],
)
def test_whatever_does_not_pass_is_named_and_nothing_else(changed, named):
    found = judged(**changed)
    assert found.code == NO_EVIDENCE == "no_evidence"
    assert found.text.startswith("No evidence of an edge: ")
    assert named in found.text
    assert ";" not in found.text


def test_several_failures_are_all_named_the_audit_first():
    text = judged(
        probabilistic_sharpe=0.5, random_entry=entry_of(0.4), skill=skill_of(0.0, 0.02), audit=False
    ).text
    parts = text.removeprefix("No evidence of an edge: ").split("; ")
    assert len(parts) == 4
    assert parts[0] == "the run failed its audit"


def test_not_audited_is_not_named_where_something_else_failed():
    assert "audited" not in judged(probabilistic_sharpe=0.5, audit=None).text


@pytest.mark.parametrize(
    "changed",
    [
        {"probabilistic_sharpe": 0.98},
        {"random_entry": entry_of(20 / 1001)},
        {"skill": skill_of(0.02 * ERRORS + 1e-9, 0.02)},
        {"skill": None},
    ],
)
def test_at_its_limit_it_passes(changed):
    assert judged(**changed).code == EVIDENCE


def test_without_forecasts_the_correlation_is_neither_asked_nor_named():
    assert "correlation" not in judged(skill=None).text
    assert "correlation" not in judged(skill=None, probabilistic_sharpe=0.1).text


def test_the_limits_are_one_sided_normal_two_percent():
    assert pytest.approx(2.0537, abs=1e-4) == ERRORS


class TestTrades:
    """The verdict on trades alone."""

    RUN = replace(METRICS, trades=30, sharpe=2.0, sharpe_se=0.8)

    @pytest.mark.parametrize(
        ("chance", "p", "code"),
        [
            (0.99, 0.01, "evidence"),
            (0.97, 0.01, "skill_below_cost"),
            (0.01, 0.01, "skill_below_cost"),
            (0.99, 0.03, "undecided"),
            (0.5, 0.5, "undecided"),
            (0.02, 0.5, "ruled_out"),
        ],
    )
    def test_timing_and_profit_give_one_of_four_answers(self, chance, p, code):
        found = replace(PASSING, probabilistic_sharpe=chance, random_entry=entry_of(p))
        assert trade_verdict(self.RUN, found).code == code

    @pytest.mark.parametrize("changed", [{"trades": 29}, {"trades": 0}, {"sharpe": None, "sharpe_se": None}])
    def test_too_few_trades_decide_nothing(self, changed):
        assert trade_verdict(replace(self.RUN, **changed), PASSING).code == "undecided"

    def test_it_states_the_smallest_sharpe_ratio_that_would_have_been_shown(self):
        found = trade_verdict(self.RUN, replace(PASSING, random_entry=entry_of(0.5)))
        assert found.detectable == pytest.approx(2.895 * 0.8, abs=0.01)
        assert "a true one of 2.3 would be found in 80 of 100 such runs" in found.text

    def test_too_few_of_them_do_not_silence_the_forecasts(self):
        rng = np.random.default_rng(0)
        forecast = rng.normal(size=2160) / 100
        scored = ScoredForecasts(
            hours=np.arange(2160),
            forecast=forecast,
            outcome=forecast + rng.normal(size=2160) / 100,
            strength=np.abs(forecast),
        )
        found = judged(trades=3, forecasts=scored)
        assert (found.code, found.forecasts.code, found.trades.code) == (TOO_FEW, "evidence", "undecided")

    def test_external_targets_have_no_forecasts(self):
        assert judged().forecasts is None


class TestEarlierTrials:
    """What came before on the same hours raises what a run has to show."""

    RUN = replace(METRICS, trades=40, sharpe=3.0, sharpe_se=1.2)

    def judged(self, earlier, metrics=RUN):
        return verdict(metrics, 2160, PASSING, audit_passed=True, round_trip_cost=0.002, earlier=earlier)

    def test_none_before_changes_nothing(self):
        alone = self.judged(None)
        assert alone.code == EVIDENCE
        assert self.judged(EarlierTrials(count=0, sharpes=())) == alone

    def test_a_search_before_turns_evidence_into_none_and_the_text_says_why(self):
        sharpes = tuple(np.linspace(-3, 3, 36).tolist())
        found = self.judged(EarlierTrials(count=36, sharpes=sharpes))
        best = expected_best_sharpe([*sharpes, 3.0])
        assert found.code == NO_EVIDENCE
        assert found.text.startswith(
            "37th trial on these hours: no evidence of an edge: luck alone lifts the best of 37 trials that traded "
        )
        assert (
            f"a Sharpe ratio of {best:.1f}; that this one is truly above it has a probability of "
            in found.text
        )
        assert " % (98 % needed)" in found.text
        assert found.trades.code == "skill_below_cost"

    def test_a_run_that_is_better_than_luck_explains_stays_evidence(self):
        close = self.judged(EarlierTrials(count=36, sharpes=tuple(np.linspace(2.9, 3.1, 36).tolist())))
        assert close.code == EVIDENCE
        assert close.text.startswith("37th trial on these hours: evidence of an edge: ")

    def test_trials_that_never_traded_had_no_chance_at_luck(self):
        found = self.judged(EarlierTrials(count=5, sharpes=()))
        assert found.code == EVIDENCE
        assert found.text.startswith("6th trial on these hours: evidence")
        assert "above 0 with a probability of 99.1 %" in found.text

    def test_more_trials_leave_less(self):
        deflated = [
            EarlierTrials(count=count, sharpes=(-1.0, 1.0) * (count // 2)).deflated(self.RUN)
            for count in (2, 10, 50, 400)
        ]
        assert deflated == sorted(deflated, reverse=True)
        assert len(set(deflated)) == 4

    def test_it_is_the_deflated_sharpe_ratio_of_all_trials(self):
        earlier = EarlierTrials(count=3, sharpes=(0.5, -1.0))
        assert earlier.deflated(self.RUN) == deflated_sharpe(3.0, 1.2, [0.5, -1.0, 3.0])
        assert earlier.best_by_chance(self.RUN) == expected_best_sharpe([0.5, -1.0, 3.0])

    def test_a_run_that_never_traded_has_none(self):
        idle = replace(self.RUN, sharpe=None, sharpe_se=None)
        earlier = EarlierTrials(count=3, sharpes=(0.5, -1.0))
        assert (earlier.deflated(idle), earlier.best_by_chance(idle)) == (None, None)

    @pytest.mark.parametrize(
        ("count", "text"),
        [
            *((1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (13, "13th")),
            *((21, "21st"), (37, "37th"), (101, "101st"), (111, "111th"), (1002, "1,002nd")),
        ],
    )
    def test_people_count_like_this(self, count, text):
        assert ordinal(count) == text
