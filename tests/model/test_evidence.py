from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import strategies as st
from support.strategies import holds_for

from crypto_refactor.correlation import spearman
from crypto_refactor.model.evidence import (
    Record,
    calibrate,
    direction_slope,
    hit_rate,
    mae_ratio,
    slope_through_origin,
    threshold_scale,
    threshold_unit,
)

A = 0.01
FINITE = st.floats(-1, 1, allow_subnormal=False)


def made(n=400, *, skill=1.0, noise=1.0, seed=0):
    """Return forecasts, outcomes and relative ATR; `skill` is the true slope."""
    rng = np.random.default_rng(seed)
    a = A * rng.uniform(0.5, 2, n)
    f = a * rng.normal(0, 0.3, n)
    return f, skill * f + a * rng.normal(0, noise, n), a


def evidence(n=400, **options):
    f, y, a = made(n, **options)
    return calibrate(f, y, a, {})


def test_slope_and_its_error_by_hand():
    # b = (1*2 + 2*3) / (1 + 4) = 1.6; 1.5 without the first row, 2 without the second.
    slope, error = slope_through_origin(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    assert slope == pytest.approx(1.6)
    assert error == pytest.approx(math.hypot(0.1, 0.4))


def uneven(count, seed=1):
    """Return x and y whose noise grows with x."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=count)
    return x, 0.4 * x + rng.normal(size=count) * (0.1 + np.abs(x))


@pytest.mark.parametrize("count", [5, 36, 300])
def test_the_error_is_the_hc3_sandwich(count):
    x, y = uneven(count)
    X = x[:, None]
    bread = np.linalg.inv(X.T @ X)
    leverage = np.diag(X @ bread @ X.T)
    residual = (y - X @ (bread @ X.T @ y)) / (1 - leverage)
    sandwich = bread @ (X.T @ np.diag(residual**2) @ X) @ bread
    assert slope_through_origin(x, y)[1] == pytest.approx(math.sqrt(sandwich[0, 0]), rel=1e-12)


@pytest.mark.oracle
@pytest.mark.parametrize("count", [5, 36, 300])
def test_slope_and_error_equal_those_of_statsmodels(count):
    api = pytest.importorskip("statsmodels.api")
    x, y = uneven(count)
    fitted = api.OLS(y, x).fit(cov_type="HC3")
    assert slope_through_origin(x, y) == pytest.approx((fitted.params[0], fitted.bse[0]), rel=1e-12)


def test_a_slope_that_hangs_on_one_row_is_uncertain():
    x, y = np.zeros(36), np.ones(36)
    x[7] = 2.0
    assert slope_through_origin(x, y) == (0.5, 0.5)
    x[8] = 1e-9
    slope, error = slope_through_origin(x, y)
    assert error > slope / 1.96


def test_without_a_slope_36_rows_support_a_forecast_in_3_of_100_cases():
    """White's error lets 4.4 of 100 pass."""
    rng = np.random.default_rng(3)
    drawn = rng.standard_t(5, (4000, 2, 36))  # fat tails
    found = [slope_through_origin(x, y) for x, y in drawn]
    assert np.mean([slope > 1.96 * error for slope, error in found]) < 0.035


def test_forecasts_that_are_all_zero_have_no_slope():
    assert slope_through_origin(np.zeros(3), np.ones(3)) == (0, 0)


def test_mean_slope_and_errors_are_in_units_of_atr():
    f, y, a = made(50)
    found = calibrate(f, y, a, {})
    assert (found.mean_slope, found.mean_slope_se) == slope_through_origin(f / a, y / a)
    np.testing.assert_allclose(found.error_quantiles[0], np.min(np.abs(y - f) / a))
    np.testing.assert_allclose(found.error_quantiles[-1], np.max(np.abs(y - f) / a))
    np.testing.assert_allclose(found.error_quantiles[50], np.median(np.abs(y - f) / a))


@pytest.mark.parametrize(
    ("skill", "noise", "low", "high"),
    [
        (1.0, 1e-6, 0.99, 1.0),  # all of the forecast is supported
        (0.5, 1e-6, 0.49, 0.5),
        (3.0, 1e-6, 1.0, 1.0),  # never more than all of it
        (-1.0, 1e-6, 0.0, 0.0),  # a forecast that is wrong supports nothing
        (0.0, 1.0, 0.0, 0.0),
    ],
)
def test_the_supported_part_of_a_move_is_what_the_mean_surely_follows(skill, noise, low, high):
    found = evidence(skill=skill, noise=noise)
    assert low <= found.mean_shrink <= high
    assert found.mean_shrink == np.clip(found.mean_slope - 1.96 * found.mean_slope_se, 0, 1)


class TestDirection:
    """The slope of right and wrong directions on the strength of the forecasts."""

    def test_by_hand(self):
        # p = .1, .2, .3, .4; right, wrong, no outcome, right: v = .5, -.5, 0, .5
        p, f = np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 1, -1, -1])
        slope, error = direction_slope(f, np.array([2.0, -2, 0, -2]), p)
        assert slope == pytest.approx((0.05 - 0.1 + 0.2) / 0.3)
        assert error == pytest.approx(0.5 / math.sqrt(0.3))

    def test_it_is_the_least_squares_slope_of_right_on_strength(self):
        rng = np.random.default_rng(5)
        p, f, y = rng.uniform(0, 0.5, 200), rng.normal(size=200), rng.normal(size=200)
        v = np.where(np.sign(f) == np.sign(y), 0.5, -0.5)
        assert direction_slope(f, y, p)[0] == pytest.approx(np.linalg.lstsq(p[:, None], v, rcond=None)[0][0])

    def test_its_error_is_that_of_a_fair_coin(self):
        rng = np.random.default_rng(6)
        p, f = rng.uniform(0, 0.5, 60), rng.normal(size=60)
        slopes = [direction_slope(f, rng.choice([-1.0, 1.0], 60), p)[0] for _ in range(4000)]
        assert np.std(slopes) == pytest.approx(direction_slope(f, f, p)[1], rel=0.05)

    def test_no_forecast_has_no_slope(self):
        assert direction_slope(np.zeros(3), np.ones(3), np.zeros(3)) == (0, 0)

    def test_large_misses_do_not_matter_to_it_and_ruin_the_mean(self):
        # Right on two of three hours; the third move is ten times as large.
        f = np.tile([0.3, 0.3, 0.3], 200) * A
        y = np.tile([0.5, 0.5, -5.0], 200) * A
        found = calibrate(f, y, np.full(600, A), {})
        assert found.hit_rate == pytest.approx(2 / 3)
        assert found.shrink > 0
        assert found.mean_shrink == 0

    def test_nothing_to_know_earns_confidence_in_one_of_forty_cases(self):
        rng = np.random.default_rng(7)
        found = []
        for _ in range(2000):
            f, y = rng.normal(0, 0.2, 180) * A, rng.standard_t(3, 180) * A
            found.append(calibrate(f, y, np.full(180, A), {}).shrink > 0)
        assert 0.01 <= np.mean(found) <= 0.035


class TestBaselines:
    def test_each_is_scored_on_the_same_rows(self):
        f, y, a = made(60)
        a[::3] = 0
        found = calibrate(f, y, a, {"against": -y, "with": y, "none": np.zeros(60)})
        assert found.baselines["with"] == Record(hit_rate=1.0, rank_correlation=pytest.approx(1))
        assert found.baselines["against"] == Record(hit_rate=0.0, rank_correlation=pytest.approx(-1))
        assert found.baselines["none"] == Record(hit_rate=None, rank_correlation=None)
        assert found.unbeaten == ["with"]

    def test_a_model_without_a_forecast_is_beaten_by_what_knows_anything(self):
        _, y, a = made(60)
        found = calibrate(np.zeros(60), y, a, {"with": y, "against": -y})
        assert found.unbeaten == ["with"]
        assert (found.slope, found.shrink, found.hit_rate) == (0, 0, None)


def test_rows_without_a_range_are_left_out():
    f, y, a = made(60)
    holed = a.copy()
    holed[::3] = 0
    kept = holed > 0
    found = calibrate(f, y, holed, {})
    assert found == calibrate(f[kept], y[kept], a[kept], {})
    assert found.n == 40


def test_no_usable_row_is_no_evidence():
    found = calibrate(np.full(5, 0.1), np.ones(5), np.zeros(5), {})
    assert (found.n, found.shrink, found.rmse_ratio, found.rank_correlation) == (0, 0, None, None)
    assert found.interval_error == 0
    assert found.confidence(np.array([0.1]), np.array([0.01])).tolist() == [0.5]


class TestConfidence:
    def test_it_is_half_where_nothing_is_forecast_or_nothing_moves(self):
        found = evidence(noise=0.1)
        assert found.shrink > 0
        stated = found.confidence(np.array([0.0, -0.0, 0.01, 0.01]), np.array([A, A, 0.0, A]))
        assert stated[:3].tolist() == [0.5, 0.5, 0.5]
        assert stated[3] > 0.5

    def test_without_evidence_it_is_exactly_half_whatever_is_forecast(self):
        found = evidence(skill=0)
        assert found.shrink == 0
        forecasts = np.linspace(-1, 1, 101)
        assert (found.confidence(forecasts, np.full(101, A)) == 0.5).all()

    def test_it_is_half_plus_half_the_supported_share_of_smaller_errors(self):
        found = evidence(skill=0.6, noise=0.2, n=2001)
        f, y, a = made(skill=0.6, noise=0.2, n=2001)
        errors = np.abs(y - f) / a
        for forecast in (0.001, 0.002, -0.004):
            share = np.mean(errors <= abs(forecast) / A)
            stated = found.confidence(np.array([forecast]), np.array([A]))[0]
            # 101 quantiles stand for the distribution, so it is known to one hundredth.
            assert stated == pytest.approx(0.5 + found.shrink * share / 2, abs=0.006 * found.shrink)

    def test_beyond_the_largest_error_all_of_the_evidence_counts(self):
        found = evidence(noise=0.05)
        assert found.confidence(np.array([1e6]), np.array([A]))[0] == 0.5 + found.shrink / 2

    @holds_for(st.lists(FINITE, min_size=2, max_size=30), st.floats(1e-6, 0.1))
    def test_a_larger_forecast_is_never_less_sure_and_its_sign_does_not_matter(self, forecasts, relative_atr):
        found = evidence(n=80, noise=0.3)
        sizes = np.sort(np.abs(forecasts))
        a = np.full(len(sizes), relative_atr)
        stated = found.confidence(sizes, a)
        assert (np.diff(stated) >= 0).all()
        assert ((stated >= 0.5) & (stated <= 1)).all()
        np.testing.assert_array_equal(stated, found.confidence(-sizes, a))


@pytest.mark.parametrize(
    ("n", "nth"), [(1, 1), (8, 8), (9, 9), (10, 10), (18, 18), (19, 18), (29, 27), (99, 90), (100, 91)]
)
def test_half_the_interval_is_the_ninety_percent_smallest_error(n, nth):
    # ceil(0.9 (n + 1)), and the largest there is where n is too small for it.
    errors = np.arange(1, n + 1, dtype=float)
    shuffled = np.random.default_rng(0).permutation(errors)
    found = calibrate(np.zeros(n), shuffled * A, np.full(n, A), {})
    assert found.interval_error == pytest.approx(nth)


def test_the_interval_covers_what_it_says():
    covered = []
    for seed in range(200):
        f, y, a = made(120, skill=0.3, seed=seed)
        known = calibrate(f[:60], y[:60], a[:60], {}).interval_error
        covered.append((np.abs(y[60:] - f[60:]) / a[60:] <= known).mean())
    assert np.mean(covered) == pytest.approx(0.9, abs=0.015)


class TestAgainstTheZeroForecast:
    def test_rmse_ratio_by_hand(self):
        # errors 1 and 0 against outcomes 2 and 1: sqrt((1 + 0) / (4 + 1))
        y, f, a = np.array([2.0, 1.0]), np.array([1.0, 1.0]), np.ones(2)
        found = calibrate(f, y, a, {})
        assert found.rmse_ratio == pytest.approx(math.sqrt(1 / 5))
        assert found.mae_ratio == pytest.approx(1 / 3)

    def test_it_is_undefined_where_nothing_moved(self):
        found = calibrate(np.array([0.1, 0.2]), np.zeros(2), np.ones(2), {})
        assert found.rmse_ratio is None
        assert found.rank_correlation is None

    @holds_for(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=40))
    def test_rank_correlation_is_spearmans_ties_included(self, pairs):
        from scipy.stats import spearmanr

        x, y = np.array(pairs, dtype=float).T
        found = spearman(x, y)
        if len(set(x)) == 1 or len(set(y)) == 1:
            assert found is None
        else:
            assert found == pytest.approx(spearmanr(x, y).statistic, abs=1e-12)


def test_figures_without_outcomes_are_undefined():
    assert hit_rate(np.array([0.0, 1.0]), np.array([1.0, 0.0])) is None
    assert mae_ratio(np.ones(2), np.zeros(2)) is None
    assert mae_ratio(np.zeros(0), np.zeros(0)) is None


class TestThreshold:
    def test_its_unit_by_hand(self):
        unit = threshold_unit(np.array([2.0, 0.0]), np.array([0.01, 0.0]), np.array([100.0, 50.0]))
        np.testing.assert_allclose(unit, [0.5 * 2 + 0.3 * 0.01 * 100, 0])

    def test_its_scale_is_the_80th_percentile_of_predicted_moves(self):
        close, unit = np.full(11, 100.0), np.full(11, 2.0)
        moves = np.arange(0, 11.0)
        scale = threshold_scale(np.log1p(moves / 100), close, unit)
        assert scale == pytest.approx(8 / 2)

    def test_the_sign_of_a_move_does_not_matter(self):
        close, unit = np.full(5, 100.0), np.ones(5)
        assert threshold_scale(np.log(np.full(5, 0.97)), close, unit) == pytest.approx(3)

    def test_rows_without_a_unit_are_left_out(self):
        forecast = np.log1p(np.array([0.01, 0.5, 0.03]))
        close, unit = np.full(3, 100.0), np.array([1.0, 0.0, 1.0])
        kept = [0, 2]
        assert threshold_scale(forecast, close, unit) == threshold_scale(
            forecast[kept], close[kept], unit[kept]
        )

    def test_it_is_one_where_no_row_has_a_unit(self):
        assert threshold_scale(np.array([0.1, 0.2]), np.ones(2), np.zeros(2)) == 1
