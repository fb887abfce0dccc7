"""The verdict on forecasts alone, on drawn forecasts whose skill is known."""

from __future__ import annotations

import numpy as np
import pytest

from crypto_refactor.backtest.significance.forecast_skill import ScoredForecasts
from crypto_refactor.backtest.significance.forecast_verdict import (
    DETECTABLE_ERRORS,
    forecast_verdict,
    strongest_gain,
)
from crypto_refactor.correlation import hourly_spearman, pooled_spearman

VOLATILITY = 0.005
COST = 0.002


def drawn(seed=0, *, days=90, skill=0.0, common=None, first=400_008):
    """Return forecasts in volatilities of an hour, of which the outcomes follow the part `skill`."""
    rng = np.random.default_rng(seed)
    count = 24 * days
    forecast = rng.normal(0, VOLATILITY, count)
    noise = rng.normal(0, VOLATILITY, count) if common is None else common
    return ScoredForecasts(
        hours=first + np.arange(count),
        forecast=forecast,
        outcome=skill * forecast + noise,
        strength=np.abs(forecast) / VOLATILITY,
    )


@pytest.mark.parametrize(
    ("skill", "cost", "code"),
    [
        (2.0, COST, "evidence"),  # the strongest fifth gains about 2 x 1.75 volatilities, 175 bp
        (0.2, COST, "skill_below_cost"),  # about 17 bp
        (0.2, 0.0, "evidence"),
        (0.0, COST, "ruled_out"),
        (0.0, 0.0, "undecided"),
        (-0.5, 0.0, "ruled_out"),
    ],
)
def test_skill_and_cost_give_one_of_four_answers(skill, cost, code):
    found = forecast_verdict([drawn(skill=skill)], cost)
    assert found.code == code
    if abs(skill) < 0.3:
        assert found.detectable == pytest.approx(DETECTABLE_ERRORS / np.sqrt(2160), rel=0.2)


def test_an_answer_states_what_it_rests_on():
    below = forecast_verdict([drawn(skill=0.2)], COST)
    assert "a round trip costs 20.0 bp" in below.text
    undecided = forecast_verdict([drawn()], 0.0)
    assert "would have been shown with 80 %" in undecided.text
    ruled_out = forecast_verdict([drawn()], COST)
    assert "ruled out: the strongest fifth gain at most" in ruled_out.text


def test_where_there_is_nothing_to_know_two_of_a_hundred_runs_show_skill():
    found = [forecast_verdict([drawn(seed)], COST).code for seed in range(600)]
    assert sum(code in {"evidence", "skill_below_cost"} for code in found) <= 22  # 99.7 % of binomials of 2 %
    assert "evidence" not in found


def test_a_pattern_of_the_detectable_size_is_shown_in_about_four_of_five_runs():
    skill = DETECTABLE_ERRORS / np.sqrt(2160) / 0.955  # rank correlation over correlation of normal values
    codes = [forecast_verdict([drawn(seed, skill=skill)], COST).code for seed in range(200)]
    assert 0.7 <= np.mean([code == "skill_below_cost" for code in codes]) <= 0.9


class TestTickers:
    def test_several_that_move_alone_show_what_one_cannot(self):
        skill = 0.03
        alone = forecast_verdict([drawn(1, skill=skill)], COST)
        together = forecast_verdict([drawn(seed, skill=skill) for seed in range(1, 14)], COST)
        assert (alone.code, together.code) == ("ruled_out", "skill_below_cost")
        assert together.detectable < alone.detectable / 3

    def test_several_that_are_one_show_no_more_than_that_one(self):
        same = [drawn(1)] * 13
        one, many = pooled_spearman(part_of(same[:1])), pooled_spearman(part_of(same))
        assert many.value == pytest.approx(one.value)
        assert many.se == pytest.approx(one.se, rel=1e-6)
        assert forecast_verdict(same, COST).code == forecast_verdict(same[:1], COST).code

    def test_the_order_of_tickers_does_not_matter(self):
        parts = [drawn(seed, skill=0.1) for seed in range(4)]
        found = forecast_verdict(parts, COST)
        again = forecast_verdict(parts[::-1], COST)
        assert (found.code, found.detectable) == (again.code, pytest.approx(again.detectable))

    def test_one_without_forecasts_is_left_out(self):
        silent = ScoredForecasts(
            hours=drawn().hours, forecast=np.zeros(2160), outcome=drawn().outcome, strength=np.zeros(2160)
        )
        both, one = (
            forecast_verdict([drawn(skill=0.2), silent], COST),
            forecast_verdict([drawn(skill=0.2)], COST),
        )
        assert both == one
        assert forecast_verdict([silent], COST).code == "undecided"


def part_of(scored):
    return [(part.forecast, part.outcome, part.hours) for part in scored]


def test_one_series_has_the_error_of_the_single_rank_correlation():
    part = drawn(3, skill=0.1)
    alone = hourly_spearman(part.forecast, part.outcome, part.hours)
    pooled = pooled_spearman(part_of([part]))
    assert (pooled.value, pooled.se) == (pytest.approx(alone.value), pytest.approx(alone.se))


def test_fewer_than_thirty_days_are_undecided():
    found = forecast_verdict([drawn(days=29, skill=2)], COST)
    assert (found.code, found.detectable) == ("undecided", None)
    assert "29 of at least 30 days" in found.text


def test_the_gain_is_that_of_the_strongest_fifth_in_the_direction_of_each_forecast():
    strength = np.arange(1.0, 11.0)
    side = np.array([1, -1] * 5)
    scored = ScoredForecasts(
        hours=np.arange(10) * 24, forecast=side * strength, outcome=side * 0.01 * strength, strength=strength
    )
    # The strongest two of ten: 9 and 10.
    assert strongest_gain([scored]).value == pytest.approx(0.095)
