from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from support.strategies import holds_for
from support.stub_models import BTC, HeldBars, PlantedFits, sample_bars, without

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.significance.calibration import calibration, coverage
from crypto_refactor.backtest.significance.forecast_skill import forecast_skill
from crypto_refactor.correlation import hourly_pearson, hourly_spearman, spearman
from crypto_refactor.model.schedule import training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules

SETTINGS = ModelSettings(lookback=12, train_hours=480, refit_every=100, network="small")
START = 400_008
"""Midnight UTC."""


def hours(count):
    return START + np.arange(count)


def days_in_common(rng, days, *, shared):
    """Two unrelated sides whose hours of a day resemble each other."""
    size = np.exp(np.repeat(rng.normal(0, 0.6, days), 24))
    drift = np.repeat(rng.normal(0, shared, days), 24)
    x = (rng.normal(size=days * 24) + np.repeat(rng.normal(0, shared, days), 24)) * size
    return x, (rng.standard_t(4, days * 24) + drift) * size


class TestAssociation:
    def test_by_hand(self):
        x, y = np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])
        assert hourly_pearson(x, y, hours(4)).value == pytest.approx(0.8)
        assert hourly_spearman(x, y, hours(4)).value == pytest.approx(0.8)
        assert hourly_spearman(np.exp(x), y, hours(4)).value == pytest.approx(0.8)
        # Ties share their mean rank: 1.5, 1.5, 3, 4 against 1, 3, 2, 4.
        tied = hourly_spearman(np.array([1.0, 1, 3, 4]), y, hours(4)).value
        assert tied == pytest.approx(np.corrcoef([1.5, 1.5, 3, 4], [1, 3, 2, 4])[0, 1])

    def test_the_error_by_hand(self):
        # Ten days of two hours each; (x, y) standardised are +-1, and r is 12 / 20.
        x = np.tile([1.0, -1.0], 10)
        y = x.copy()
        y[[0, 1, 4, 5]] *= -1
        at = START + np.repeat(np.arange(10) * 24, 2) + np.tile([3, 4], 10)
        # psi = uv - r: 0.4 where right, -1.6 where not; two alike a day.
        expected = np.sqrt(10 / 9 * (8 * 0.8**2 + 2 * 3.2**2)) / 20
        found = hourly_pearson(x, y, at)
        assert found.value == pytest.approx(0.6)
        assert found.se == pytest.approx(expected)

    @pytest.mark.parametrize("shared", [0.0, 0.5])
    @pytest.mark.parametrize(("measure", "within"), [(hourly_spearman, 0.1), (hourly_pearson, 0.25)])
    def test_the_error_is_how_much_the_value_varies(self, measure, within, shared):
        rng = np.random.default_rng(8)
        found = [measure(*days_in_common(rng, 60, shared=shared), hours(1440)) for _ in range(300)]
        spread = np.std([each.value for each in found])
        assert np.mean([each.se for each in found]) == pytest.approx(spread, rel=within)

    def test_by_chance_two_percent_lie_more_than_its_errors_above_zero(self):
        rng = np.random.default_rng(3)
        found = [hourly_spearman(*days_in_common(rng, 90, shared=0.3), hours(2160)) for _ in range(800)]
        assert np.mean([each.value > 2.0537 * each.se for each in found]) == pytest.approx(0.02, abs=0.015)

    @holds_for(st.lists(st.integers(-5, 5), min_size=2, max_size=60), st.integers(0, 99), examples=50)
    def test_it_is_the_rank_correlation_of_the_models_card(self, values, seed):
        x = np.array(values, dtype=float)
        y = np.random.default_rng(seed).integers(-3, 4, len(x)).astype(float)
        expected = spearman(x, y)
        found = hourly_spearman(x, y, hours(len(x))).value
        assert (found is None) == (expected is None)
        assert expected is None or found == pytest.approx(expected)

    def test_constant_sides_have_none_and_nine_days_no_error(self):
        x = np.random.default_rng(0).normal(size=240)
        assert hourly_pearson(x, np.ones(240), hours(240)).value is None
        assert hourly_spearman(np.zeros(0), np.zeros(0), hours(0)).value is None
        assert hourly_pearson(x, np.roll(x, 1), hours(240)).se is not None
        assert hourly_pearson(x[:216], np.roll(x, 1)[:216], hours(216)).se is None


class TestCalibration:
    def test_by_hand(self):
        confidence = np.array([0.5, 0.55, 0.56, 0.6, 1.0, 0.9])
        forecast = np.array([1.0, -1.0, 1.0, 1.0, -1.0, 0.0])
        outcome = np.array([2.0, 1.0, 3.0, -1.0, -4.0, 1.0])
        found = calibration(confidence, forecast, outcome)
        # The last has no direction; right are the first, third and fifth.
        assert [(each.low, each.high, each.n) for each in found.bins] == [
            (0.5, 0.55, 2),
            (0.55, 0.6, 2),
            (0.95, 1.0, 1),
        ]
        assert [each.stated for each in found.bins] == pytest.approx([0.525, 0.58, 1.0])
        assert [each.observed for each in found.bins] == [0.5, 0.5, 1.0]
        assert found.brier == pytest.approx((0.25 + 0.55**2 + 0.44**2 + 0.6**2 + 0) / 5)

    def test_closes_that_did_not_move_are_left_out(self):
        found = calibration(np.array([0.7, 0.7]), np.array([1.0, 1.0]), np.array([0.0, 1.0]))
        assert [each.n for each in found.bins] == [1]

    def test_nothing_stated_is_no_score(self):
        found = calibration(np.zeros(0), np.zeros(0), np.zeros(0))
        assert (found.bins, found.brier) == ((), None)

    def test_a_coin_toss_scores_a_quarter(self):
        rng = np.random.default_rng(0)
        found = calibration(np.full(50, 0.5), rng.normal(size=50), rng.normal(size=50))
        assert found.brier == 0.25

    def test_honest_confidence_is_observed(self):
        rng = np.random.default_rng(1)
        confidence = rng.uniform(0.5, 1, 40_000)
        right = rng.random(40_000) < confidence
        found = calibration(confidence, np.ones(40_000), np.where(right, 1.0, -1.0))
        assert len(found.bins) == 10
        assert sum(each.n for each in found.bins) == 40_000
        for each in found.bins:
            assert each.observed == pytest.approx(each.stated, abs=0.03)


class TestCoverage:
    def test_by_hand(self):
        relative_atr = np.array([0.03, 0.01, 0.02, 0.06, 0.05, 0.04])
        covered = np.array([True, True, False, False, False, True])
        found = coverage(covered, relative_atr)
        assert [(part.n, part.share) for part in (found.calm, found.middle, found.wild)] == [
            (2, 0.5),
            (2, 1.0),
            (2, 0.0),
        ]
        assert (found.overall.n, found.overall.share) == (6, 0.5)

    @pytest.mark.parametrize("count", [0, 1, 2, 7])
    def test_few_bars(self, count):
        found = coverage(np.ones(count, dtype=bool), np.ones(count))
        assert found.calm.n + found.middle.n + found.wild.n == found.overall.n == count
        assert found.overall.share == (1.0 if count else None)


@pytest.fixture
def walked(tmp_path, monkeypatch):
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())

    def make(bars=None, count=350):
        source = HeldBars(sample_bars(1600) if bars is None else bars)
        rules = SignalRules(min_confirmations=4)
        tester = Backtester(
            BTC, source=source, settings=SETTINGS, signal_rules=rules, model_dir=tmp_path / "models"
        )
        return tester.run(count, assess=False, allow_gaps=True)

    return make


def skill_of(result, periods=None, **options):
    return forecast_skill(periods or result.walk.periods, result.window, result.settings, **options).skill


def oracle(result):
    """Forecast, outcome and row of each decided hour whose next bar is real, one by one."""
    made, window = result.walk.signals, result.window
    real = {
        int(at): float(close)
        for at, close, synthetic in zip(window.closed, window.close, window.synthetic, strict=True)
        if not synthetic
    }
    rows = [row for row, at in enumerate(made.decided_at.tolist()) if at + 1 in real]
    outcome = [np.log(real[int(made.decided_at[row]) + 1] / made.close[row]) for row in rows]
    return np.log(made.predicted[rows] / made.close[rows]), np.array(outcome), np.array(rows)


def with_forecasts(result, forecast_of):
    """The stretches with other forecasts: a function of the hours they were made at."""
    return tuple(
        replace(
            s,
            signals=replace(s.signals, predicted=s.signals.close * np.exp(forecast_of(s.signals.decided_at))),
        )
        for s in result.walk.periods
    )


def forecasts_at(result, hours):
    made = result.walk.signals
    rows = np.searchsorted(made.decided_at, hours)
    return np.log(made.predicted[rows] / made.close[rows])


class TestForecastSkill:
    def test_it_measures_every_decided_hour_whose_next_bar_is_real(self, walked):
        result = walked()
        forecast, outcome, rows = oracle(result)
        found = skill_of(result)
        # The decision at the end has no next bar yet; those at the end of a stretch have one.
        assert found.n == len(rows) == 350 == len(result.walk.signals) - 1
        assert found.model.rmse_ratio == pytest.approx(
            np.sqrt(((outcome - forecast) ** 2).sum() / (outcome**2).sum())
        )
        assert found.model.pearson.value == pytest.approx(np.corrcoef(forecast, outcome)[0, 1])
        assert found.model.spearman.value == pytest.approx(spearman(forecast, outcome))
        assert found.model.spearman.se == pytest.approx(350**-0.5, rel=0.6)

    def test_an_hour_before_a_hole_has_no_outcome(self, walked):
        end = int(sample_bars(1600).closed[-1])
        result = walked(without(sample_bars(1600), (end - 60, end - 57), (end - 200, end - 170)))
        rows = oracle(result)[2]
        assert skill_of(result).n == len(rows) < len(result.walk.signals) - 1

    def test_the_zero_forecast_is_the_unit(self, walked):
        result = walked()
        found = skill_of(result, with_forecasts(result, lambda at: np.zeros(len(at))))
        assert found.model.rmse_ratio == 1.0
        assert found.model.spearman.value is None
        assert found.confidence.bins == ()

    def test_knowing_the_future_is_perfect(self, walked):
        result = walked()
        window = result.window
        ahead = dict(zip(window.closed[:-1].tolist(), np.diff(np.log(window.close)).tolist(), strict=True))
        stretches = with_forecasts(result, lambda at: np.array([ahead.get(int(a), 0.0) for a in at]))
        found = skill_of(result, stretches)
        assert found.model.rmse_ratio == pytest.approx(0, abs=1e-9)
        assert found.model.spearman.value == pytest.approx(1)
        assert all(each.observed == 1 for each in found.raw_confidence.bins)

    def test_confidence_before_and_after_shrinking(self, walked):
        result = walked()
        found = skill_of(result)
        forecast, outcome, rows = oracle(result)
        made = result.walk.signals
        right = np.sign(forecast) == np.sign(outcome)
        confidence = made.confidence[rows]
        assert found.confidence.brier == pytest.approx(np.mean((confidence - right) ** 2))
        # The planted evidence halves what is stated.
        assert found.raw_confidence.brier == pytest.approx(np.mean((2 * confidence - 0.5 - right) ** 2))

    def test_coverage_counts_next_closes_within_the_interval(self, walked):
        result = walked()
        _, outcome, rows = oracle(result)
        made = result.walk.signals
        after = made.close[rows] * np.exp(outcome)
        inside = (made.low[rows] <= after) & (after <= made.high[rows])
        found = skill_of(result).coverage
        assert found.overall.share == pytest.approx(inside.mean())
        parts = (found.calm, found.middle, found.wild)
        assert [part.n for part in parts] == [117, 117, 116]
        assert sum(part.n * part.share for part in parts) == pytest.approx(inside.sum())

    def test_the_ridge_is_one_fitted_on_the_rows_of_each_stretch(self, walked):
        result = walked()
        forecasts = []
        for stretch in result.walk.periods:
            data, frame = training_rows(stretch.period, SETTINGS), stretch.period.frame
            assert data.trained_through < stretch.period.first
            learnt = data.inputs[data.rows].astype(float)
            low, middle, high = np.percentile(learnt, [25, 50, 75], axis=0)
            rows = [frame.bars.closed.tolist().index(at) for at in stretch.signals.decided_at]
            scaled, asked = (
                np.clip((part - middle) / (high - low), -5, 5) for part in (learnt, frame.inputs[rows])
            )
            floor = 0.1 * np.median(data.volatility)
            target = data.returns / np.maximum(data.volatility, floor)
            clipped = np.clip(target, -0.5, 0.5)
            # Ridge as least squares with one more observation per weight.
            padded = np.vstack([scaled - scaled.mean(0), np.sqrt(2000) * np.eye(14)])
            weights = np.linalg.lstsq(padded, np.append(clipped - clipped.mean(), np.zeros(14)))[0]
            forecast = (asked - scaled.mean(0)) @ weights / (np.abs(target) < 0.5).mean()
            forecasts.append(forecast * np.maximum(frame.column("realised_volatility")[rows], floor))
        _, outcome, rows = oracle(result)
        expected = np.concatenate(forecasts)[rows]
        found = skill_of(result).baselines["ridge"]
        assert found.pearson.value == pytest.approx(np.corrcoef(expected, outcome)[0, 1], rel=1e-5)
        assert found.rmse_ratio == pytest.approx(
            np.sqrt(((outcome - expected) ** 2).sum() / (outcome**2).sum()), rel=1e-6
        )

    def test_a_pinned_model_has_no_ridge_beside_it(self, walked):
        assert list(skill_of(walked(), pinned=True).baselines) == [
            "minus_last_return",
            "minus_ema_20_distance",
        ]

    def test_the_other_baselines_are_minus_the_last_move(self, walked):
        result = walked()
        _, outcome, rows = oracle(result)
        made, window = result.walk.signals, result.window
        at = np.searchsorted(window.closed, made.decided_at[rows])
        known = at > 0
        last = np.log(window.close[at[known]] / window.close[at[known] - 1])
        found = skill_of(result).baselines["minus_last_return"]
        assert found.spearman.value == pytest.approx(spearman(-last, outcome[known]), abs=0.01)
        assert (found.rmse_ratio, found.mae_ratio) == (None, None)

    def test_directions_and_sides_are_counted(self, walked):
        result = walked()
        forecast, outcome, _ = oracle(result)
        found = skill_of(result)
        assert found.model.hit_rate.value == pytest.approx(np.mean(np.sign(forecast) == np.sign(outcome)))
        assert (found.long, found.short) == ((forecast > 0).sum(), (forecast < 0).sum())
        assert found.model.mae_ratio == pytest.approx(
            np.abs(outcome - forecast).sum() / np.abs(outcome).sum()
        )

    def test_a_forecast_that_loses_to_a_baseline_is_named_so(self, walked):
        result = walked()
        against = with_forecasts(result, lambda at: -forecasts_at(result, at))
        assert skill_of(result, against).unbeaten != skill_of(result).unbeaten

    def test_one_decided_hour(self, walked):
        found = skill_of(walked(count=1))
        assert found.n == 1
        assert found.model.spearman.value is None
        assert found.coverage.overall.n == 1
