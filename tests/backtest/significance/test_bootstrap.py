from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import strategies as st
from support.strategies import holds_for

from crypto_refactor.backtest.metrics import sharpe_ratio
from crypto_refactor.backtest.significance import bootstrap
from crypto_refactor.backtest.significance.bootstrap import bootstrap_intervals


def returns_of(count, *, seed=0, mean=0.0, sigma=0.005):
    return np.random.default_rng(seed).normal(mean, sigma, count)


def written_out(returns, starts, lengths):
    """The resampled series themselves, hour by hour."""
    return [
        np.concatenate([np.take(returns, range(a, a + n), mode="wrap") for a, n in zip(*row, strict=True)])
        for row in zip(starts, lengths, strict=True)
    ]


class TestBlocks:
    def drawn(self, count=500, resamples=400, mean_block=24, seed=3):
        return bootstrap._blocks(np.random.default_rng(seed), count, resamples, mean_block)

    def test_every_series_is_as_long_as_the_original(self):
        for count, mean_block in ((48, 24), (500, 24), (2160, 2), (100, 50)):
            assert set(self.drawn(count, 200, mean_block)[1].sum(axis=1)) == {count}

    def test_lengths_are_geometric_with_the_mean_asked_for(self):
        lengths = self.drawn(100_000, 20)[1]
        # The last block of a row is cut short: look at those before it.
        whole = np.concatenate([row[row > 0][:-1] for row in lengths])
        assert whole.mean() == pytest.approx(24, rel=0.02)
        assert (whole == 1).mean() == pytest.approx(1 / 24, rel=0.05)
        assert (whole > 24).mean() == pytest.approx((23 / 24) ** 24, rel=0.03)

    def test_every_hour_is_drawn_equally_often(self):
        starts, lengths = self.drawn(120, 4000)
        seen = np.bincount(np.concatenate(written_out(np.arange(120), starts, lengths)), minlength=120)
        assert seen / seen.mean() == pytest.approx(np.ones(120), abs=0.06)


def test_sums_over_blocks_are_those_of_the_series_written_out():
    returns = returns_of(300, sigma=0.02)
    returns[100:200] = 0
    starts, lengths = bootstrap._blocks(np.random.default_rng(1), 300, 60, 24)
    series = written_out(returns, starts, lengths)
    totals = bootstrap._total_returns(returns, starts, lengths)
    assert totals == pytest.approx([np.prod(1 + each) - 1 for each in series], abs=1e-12)
    ratios = bootstrap._sharpe_ratios(returns, starts, lengths)
    assert ratios == pytest.approx([sharpe_ratio(each)[0] for each in series])


def test_blocks_of_a_hand_drawn_series():
    returns = np.array([0.1, -0.5, 0.2, 0.0])
    starts, lengths = np.array([[3, 1, 0]]), np.array([[2, 2, 0]])
    # Hours 3, 0 (wrapped around), then 1, 2.
    assert bootstrap._total_returns(returns, starts, lengths) == pytest.approx([1.0 * 1.1 * 0.5 * 1.2 - 1])


def test_returns_of_one_size_give_an_interval_without_width_and_no_sharpe():
    found = bootstrap_intervals(np.full(100, 0.001))
    assert found.total_return == pytest.approx([1.001**100 - 1] * 2)
    assert found.sharpe is None


def test_a_resample_without_any_position_has_a_sharpe_of_zero():
    returns = np.zeros(480)
    returns[100:103] = [0.01, -0.02, 0.015]
    low, high = bootstrap_intervals(returns).sharpe
    assert low <= 0 <= high
    assert math.isfinite(low)
    assert math.isfinite(high)


def test_ruin_is_ruin_in_a_resample_too():
    returns = returns_of(240)
    returns[120] = -1.0
    returns[121:] = 0.0
    low, high = bootstrap_intervals(returns).total_return
    assert low == -1.0
    assert -1.0 < high < 1.0


@pytest.mark.parametrize("count", [0, 1, 24, 47])
def test_below_two_days_there_is_no_interval(count):
    found = bootstrap_intervals(returns_of(count))
    assert (found.total_return, found.sharpe) == (None, None)


def test_the_same_seed_gives_the_same_intervals_and_another_gives_about_the_same():
    returns = returns_of(2160)
    one, again, other = (bootstrap_intervals(returns, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one != other
    assert one.total_return == pytest.approx(other.total_return, abs=0.06)


@holds_for(st.integers(0, 10**6), st.floats(1e-5, 0.03), st.floats(0.0, 1.0), examples=40)
def test_intervals_are_ordered_and_keep_their_bounds(seed, sigma, share):
    rng = np.random.default_rng(seed)
    returns = np.maximum(rng.standard_t(3, 200) * sigma, -0.99) * (rng.random(200) < share)
    found = bootstrap_intervals(returns, resamples=100, seed=seed)
    low, high = found.total_return
    assert -1 < low <= high
    if found.sharpe is None:
        assert sharpe_ratio(returns)[0] is None
    else:
        assert found.sharpe[0] <= found.sharpe[1]


@pytest.mark.parametrize("kind", ["independent", "days that share a drift"])
def test_intervals_cover_the_truth_nearly_as_often_as_they_say(kind):
    rng = np.random.default_rng(11)
    runs, days = 300, 60
    covered = dict.fromkeys(("total_return", "sharpe"), 0)
    for seed in range(runs):
        hours = rng.normal(0, 0.005, days * 24)
        if kind != "independent":
            hours += np.repeat(rng.normal(0, 0.002, days // 2), 48)
        found = bootstrap_intervals(np.expm1(hours), resamples=300, seed=seed)
        # The median run earns 0; for the Sharpe ratio half a variance more, far within its error.
        for name in covered:
            low, high = getattr(found, name)
            covered[name] += low <= 0 <= high
    least = 0.91 if kind == "independent" else 0.84
    assert all(least <= count / runs <= 0.98 for count in covered.values()), covered


def test_a_thousand_resamples_of_ninety_days_cost_a_sum_per_block_not_per_hour():
    starts, lengths = bootstrap._blocks(np.random.default_rng(0), 2160, 1000, 24)
    assert (lengths.sum(axis=1) == 2160).all()
    assert starts.shape == lengths.shape
    assert starts.size <= 1000 * 2 * 2160 / 24
