"""The linear skip, and its forecasts of training rows that it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto_refactor.correlation import spearman
from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.model.dataset import robust_scale
from crypto_refactor.model.skip import BASELINES, chained_forecasts, fit_skip


def drawn(count=900, seed=0, slope=0.3):
    """Return inputs, and targets whose small moves follow the first input and whose large ones oppose it."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(count, 14)).astype(np.float32)
    target = slope * inputs[:, 0] + rng.normal(0, 0.6, count)
    large = rng.random(count) < 0.1
    target[large] = -4 * np.sign(inputs[large, 0]) * rng.uniform(0.5, 1.5, int(large.sum()))
    return inputs, target


def test_the_weights_solve_the_penalised_normal_equations_of_clipped_targets():
    inputs, target = drawn()
    median, iqr = robust_scale(inputs)
    scaled = np.clip((inputs - median) / iqr, -5, 5)
    centred = scaled - scaled.mean(axis=0)
    clipped = np.clip(target, -0.5, 0.5)
    # The penalty as 14 more rows of an ordinary least-squares problem.
    design = np.vstack([centred, np.sqrt(2000) * np.eye(14)])
    solved = np.linalg.lstsq(design, np.concatenate([clipped - clipped.mean(), np.zeros(14)]), rcond=None)[0]
    skip = fit_skip(inputs, target)
    np.testing.assert_allclose(skip.weights, solved / (np.abs(target) < 0.5).mean(), rtol=1e-9)
    np.testing.assert_allclose(skip.forecast(inputs), centred @ skip.weights, rtol=1e-9, atol=1e-12)


def test_the_mean_forecast_of_the_fitted_rows_is_zero_whatever_the_mean_of_their_targets():
    inputs, target = drawn()
    forecast = fit_skip(inputs, target + 3).forecast(inputs)
    assert forecast.mean() == pytest.approx(0, abs=1e-12)


def test_it_finds_the_direction_of_small_moves_where_least_squares_follows_the_large_ones():
    inputs, target = drawn(4000)
    forecast = fit_skip(inputs, target).forecast(inputs)
    squares = np.linalg.lstsq(inputs, target, rcond=None)[0]
    assert spearman(forecast, target) > 0.15
    assert np.corrcoef(inputs @ squares, forecast)[0, 1] < 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 13), st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_the_scale_and_the_level_of_an_input_do_not_matter(column, factor, shift):
    inputs, target = drawn(300)
    moved = inputs.astype(np.float64)
    moved[:, column] = moved[:, column] * factor + shift
    found = fit_skip(moved, target).forecast(moved)
    np.testing.assert_allclose(found, fit_skip(inputs, target).forecast(inputs), rtol=1e-4, atol=1e-6)


def test_constant_inputs_and_constant_targets_forecast_nothing():
    inputs, target = drawn(200)
    assert (fit_skip(np.ones_like(inputs), target).forecast(np.ones_like(inputs)) == 0).all()
    assert (fit_skip(inputs, np.zeros(200)).forecast(inputs) == 0).all()
    assert np.isfinite(fit_skip(inputs, np.full(200, 7.0)).weights).all()


def test_inputs_beyond_five_ranges_are_clipped():
    inputs, target = drawn(300)
    skip = fit_skip(inputs, target)
    far = np.tile(skip.scale.median, (2, 1))
    far[0] += 5 * skip.scale.iqr
    far[1] += 500 * skip.scale.iqr
    assert len(set(np.round(skip.forecast(far), 12))) == 1


def test_a_skip_without_a_forecast_keeps_its_scale():
    inputs, target = drawn(200)
    skip = fit_skip(inputs, target)
    silent = skip.without_forecast()
    assert (silent.forecast(inputs) == 0).all()
    assert silent.scale is skip.scale


class TestChain:
    """Each block of rows is forecast by a skip that knows the rows before it, but for the last one."""

    @pytest.mark.parametrize("count", [120, 121, 500, 2160])
    def test_three_quarters_of_the_rows_are_forecast_in_nine_blocks(self, count):
        inputs, target = drawn(count)
        part, forecasts = chained_forecasts(inputs, target)
        assert (part.start, part.stop) == (count // 4, count)
        assert forecasts.shape == (count - count // 4,)

    def test_the_first_block_is_that_of_a_skip_fitted_on_the_rows_before_it(self):
        inputs, target = drawn(400)
        part, forecasts = chained_forecasts(inputs, target)
        first = fit_skip(inputs[: part.start - 1], target[: part.start - 1])
        np.testing.assert_array_equal(forecasts[:33], first.forecast(inputs[100:133]))

    @pytest.mark.parametrize("row", [60, 99, 100, 250, 399])
    def test_no_forecast_knows_its_own_outcome_the_one_before_it_or_any_later_one(self, row):
        inputs, target = drawn(400)
        _, before = chained_forecasts(inputs, target)
        changed = target.copy()
        changed[row] = 0.4 if target[row] < 0 else -0.4
        part, after = chained_forecasts(inputs, changed)
        moved = np.flatnonzero(before != after) + part.start
        assert (moved > row + 1).all()
        assert len(moved) or row >= 360

    def test_where_there_is_nothing_to_know_the_forecasts_know_nothing(self):
        found = []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            inputs, target = rng.normal(size=(600, 14)).astype(np.float32), rng.standard_t(4, 600)
            part, forecasts = chained_forecasts(inputs, target)
            found.append(spearman(forecasts, target[part]))
        assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(60)


def test_baselines_oppose_the_last_move():
    inputs = np.zeros((2, 14), np.float32)
    inputs[:, indicator_names().index("log_return")] = [0.01, -0.02]
    inputs[:, indicator_names().index("ema_20")] = [0.03, -0.04]
    np.testing.assert_allclose(BASELINES["minus_last_return"](inputs), [-0.01, 0.02], rtol=1e-6)
    np.testing.assert_allclose(BASELINES["minus_ema_20_distance"](inputs), [-0.03, 0.04], rtol=1e-6)
