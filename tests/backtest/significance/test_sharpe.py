from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import strategies as st
from support.strategies import holds_for

from crypto_refactor.backtest.metrics import sharpe_ratio
from crypto_refactor.backtest.significance.sharpe import (
    deflated_sharpe,
    expected_best_sharpe,
    probabilistic_sharpe,
)


def error_of(sharpe, count, skewness, kurtosis):
    return math.sqrt((1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2) / (count - 1))


def spread_out(count, variance):
    """Trials of mean 0 and the given sample variance."""
    values = np.linspace(-1, 1, count)
    return (values * math.sqrt(variance) / values.std(ddof=1)).tolist()


class TestPublishedExamples:
    def test_the_hedge_fund_of_bailey_and_lopez_de_prado_2012(self):
        # Two years of monthly returns: 3.6 % a month, deviation 7.9 %, skewness -2.448, kurtosis 10.164.
        monthly = 0.458
        assert probabilistic_sharpe(monthly, error_of(monthly, 24, 0, 3)) == pytest.approx(0.982, abs=5e-4)
        fat = error_of(monthly, 24, -2.448, 10.164)
        assert probabilistic_sharpe(monthly, fat) == pytest.approx(0.913, abs=5e-4)

    def test_the_strategy_of_bailey_and_lopez_de_prado_2014(self):
        # The best of 100 trials whose annual Sharpe ratios vary by 1/2; five years of daily returns, 250 a year.
        daily = 2.5 / math.sqrt(250)
        trials = spread_out(100, 0.5 / 250)
        assert expected_best_sharpe(trials) == pytest.approx(0.1132, abs=5e-5)
        error = error_of(daily, 1250, -3, 10)
        assert deflated_sharpe(daily, error, trials) == pytest.approx(0.9004, abs=5e-5)
        assert deflated_sharpe(daily, error, spread_out(46, 0.5 / 250)) == pytest.approx(0.9505, abs=5e-5)


def test_by_hand():
    # One error above the benchmark: 84.1 % of a normal distribution lies below.
    assert probabilistic_sharpe(1.5, 0.5, 1.0) == pytest.approx(0.8413447)
    assert probabilistic_sharpe(0.0, 2.0) == 0.5


@pytest.mark.parametrize(("sharpe", "error"), [(None, None), (1.0, None), (1.0, 0.0)])
def test_what_is_undefined_stays_so(sharpe, error):
    assert probabilistic_sharpe(sharpe, error) is None
    assert deflated_sharpe(sharpe, error, [1.0, 2.0]) is None


@pytest.mark.parametrize("trials", [[], [3.0], [1.2, 1.2, 1.2]])
def test_without_a_choice_there_is_nothing_to_deflate(trials):
    assert expected_best_sharpe(trials) == 0
    assert deflated_sharpe(1.0, 0.7, trials) == probabilistic_sharpe(1.0, 0.7)


def test_the_expected_best_is_that_of_normal_trials():
    rng = np.random.default_rng(2)
    for count in (5, 20, 100):
        best = rng.normal(0, 1.7, (20_000, count)).max(axis=1).mean()
        assert expected_best_sharpe(spread_out(count, 1.7**2)) == pytest.approx(best, rel=0.03)


@holds_for(st.floats(-5, 5), st.floats(0.1, 3), st.integers(2, 50), st.floats(0.01, 2), examples=60)
def test_more_trials_and_a_wider_choice_deflate_more(sharpe, error, count, deviation):
    few, many = (spread_out(n, deviation**2) for n in (count, 2 * count))
    wide = spread_out(count, (2 * deviation) ** 2)
    plain = probabilistic_sharpe(sharpe, error)
    deflated = deflated_sharpe(sharpe, error, few)
    assert 0 <= deflated <= plain <= 1
    assert deflated_sharpe(sharpe, error, many) <= deflated + 1e-12
    assert deflated_sharpe(sharpe, error, wide) <= deflated + 1e-12


@holds_for(st.floats(-5, 5), st.floats(0.1, 3), st.floats(0.01, 100), examples=60)
def test_the_unit_does_not_matter(sharpe, error, unit):
    trials = spread_out(10, 1.3)
    assert deflated_sharpe(sharpe, error, trials) == pytest.approx(
        deflated_sharpe(unit * sharpe, unit * error, [unit * trial for trial in trials])
    )


@pytest.mark.oracle
@pytest.mark.parametrize("seed", range(5))
def test_skfolio_says_the_same(seed):
    measures = pytest.importorskip("skfolio.measures", reason="skfolio is not installed")
    rng = np.random.default_rng(seed)
    returns = rng.standard_t(4, 1000) * 0.005 + 0.0003
    sharpe, error = sharpe_ratio(returns)
    assert probabilistic_sharpe(sharpe, error) == pytest.approx(
        measures.probabilistic_sharpe_ratio(returns), abs=1e-6
    )
    trials = rng.normal(0, 0.03, 12)
    year = math.sqrt(8760)
    assert deflated_sharpe(sharpe, error, (trials * year).tolist()) == pytest.approx(
        measures.deflated_sharpe_ratio(returns, trials), abs=1e-6
    )


def test_runs_without_an_edge_pass_about_two_percent_of_the_time():
    # Hours in the market one time in ten, fat tails: the formula is a little generous there, 3 % in place of 2.
    rng = np.random.default_rng(4)
    runs = 2000
    passed = sum(
        probabilistic_sharpe(*sharpe_ratio(rng.standard_t(4, 2160) * (rng.random(2160) < 0.1))) >= 0.98
        for _ in range(runs)
    )
    assert 0.01 < passed / runs < 0.045
