"""The probability of backtest overfitting, against a literal implementation and by what it must do."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from crypto_refactor.backtest.significance.overfitting import MIN_BLOCK_HOURS, overfitting

HOURS = 16 * MIN_BLOCK_HOURS


def noise(trials, *, seed, hours=HOURS):
    return np.random.default_rng(seed).normal(0, 0.01, (trials, hours))


def literal(returns, blocks):
    """The steps of section 2 of the paper, one after the other, with lists."""
    trials = sorted({tuple(row) for row in np.asarray(returns).tolist()})
    cut = [list(part) for part in np.array_split(np.arange(len(trials[0])), blocks)]

    def sharpe(row, rows):
        values = [row[at] for at in rows]
        mean = math.fsum(values) / len(values)
        deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
        return mean / deviation if deviation > 1e-12 else 0.0

    logits, below = [], []
    for inside in combinations(range(blocks), blocks // 2):
        train = [at for block in inside for at in cut[block]]
        test = [at for block in range(blocks) if block not in inside for at in cut[block]]
        in_sample = [sharpe(row, train) for row in trials]
        out_of_sample = [sharpe(row, test) for row in trials]
        best = [at for at, value in enumerate(in_sample) if value == max(in_sample)]
        found = []
        for at in best:
            lower = sum(value < out_of_sample[at] for value in out_of_sample)
            equal = sum(value == out_of_sample[at] for value in out_of_sample)
            found.append((lower + (equal + 1) / 2) / (len(trials) + 1))
        logits.append(np.mean([math.log(share / (1 - share)) for share in found]))
        below.append(np.mean([1.0 if share < 0.5 else 0.5 if share == 0.5 else 0.0 for share in found]))
    return float(np.mean(below)), float(np.median(logits)), len(logits)


@pytest.mark.parametrize("trials", [2, 3, 7])
@pytest.mark.parametrize(("blocks", "hours"), [(8, 200), (8, 8 * 24), (10, 251)])
def test_it_equals_the_literal_steps_of_the_paper(trials, blocks, hours):
    returns = noise(trials, seed=trials + hours, hours=hours)
    returns[0] *= np.random.default_rng(1).random(hours) < 0.05  # seldom in the market
    found = overfitting(list(returns), blocks=blocks)
    probability, median_logit, splits = literal(returns, blocks)
    assert found.probability == pytest.approx(probability, abs=1e-12)
    assert found.median_logit == pytest.approx(median_logit, abs=1e-12)
    assert (found.trials, found.blocks, found.splits) == (trials, blocks, splits)


def test_sixteen_blocks_are_12870_splits():
    found = overfitting(list(noise(5, seed=0)))
    assert (found.blocks, found.splits, found.why_none) == (16, 12_870, None)


def test_noise_gives_a_half_on_average():
    found = [overfitting(list(noise(20, seed=seed)), blocks=8).probability for seed in range(300)]
    error = np.std(found) / math.sqrt(len(found))
    assert abs(np.mean(found) - 0.5) < 4 * error
    assert error < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("trials", [2, 3, 4, 5])
def test_noise_gives_a_half_for_few_trials_odd_or_even(trials):
    found = [overfitting(list(noise(trials, seed=seed)), blocks=8).probability for seed in range(300)]
    assert abs(np.mean(found) - 0.5) < 4 * np.std(found) / math.sqrt(len(found))


def test_one_trial_that_is_truly_better_gives_almost_none():
    returns = noise(20, seed=3)
    returns[7] += 0.01
    found = overfitting(list(returns))
    assert found.probability < 0.001
    assert found.median_logit == pytest.approx(math.log(20))


def test_what_is_good_in_one_half_and_bad_in_the_other_gives_almost_one():
    # Each trial earns in blocks of its own and loses as much in the others: the best of a half is the worst of the other.
    rng, blocks = np.random.default_rng(5), 8
    weights = rng.normal(size=(12, blocks))
    weights -= weights.mean(axis=1, keepdims=True)
    returns = np.repeat(weights * 0.01, HOURS // blocks, axis=1) + rng.normal(0, 0.001, (12, HOURS))
    returns -= returns.mean(axis=1, keepdims=True)
    found = overfitting(list(returns), blocks=blocks)
    assert found.probability > 0.95
    assert found.median_logit < -1


@given(
    returns=arrays(np.float64, (4, 8 * 24), elements=st.sampled_from([-0.02, 0.0, 0.0, 0.01])),
    order=st.permutations(range(4)),
)
def test_the_order_of_trials_changes_nothing(returns, order):
    assert overfitting(list(returns), blocks=8) == overfitting(list(returns[order]), blocks=8)


@given(returns=arrays(np.float64, (3, 8 * 24), elements=st.sampled_from([-0.02, 0.0, 0.01])))
def test_it_is_a_probability_or_says_why_not(returns):
    found = overfitting(list(returns), blocks=8)
    if found.probability is None:
        assert found.trials < 2
        assert found.why_none
    else:
        assert 0 <= found.probability <= 1
        assert math.isfinite(found.median_logit)
        assert found.why_none is None


def test_a_trial_that_is_repeated_is_one_trial():
    returns = noise(6, seed=8)
    once, twice = overfitting(list(returns)), overfitting([*returns, returns[2], returns[2]])
    assert once == twice
    assert once.trials == 6


def test_the_scale_of_a_trial_changes_nothing():
    returns = noise(6, seed=9)
    scaled = returns * np.array([1, 2, 0.5, 4, 1, 0.25])[:, None]
    assert overfitting(list(scaled)).probability == overfitting(list(returns)).probability


@pytest.mark.parametrize(
    ("returns", "why"),
    [
        ([], "two trials"),
        ([np.zeros(HOURS)], "two trials"),
        ([np.zeros(HOURS), np.zeros(HOURS)], "two trials"),
        (list(noise(3, seed=0, hours=191)), "it takes 192 hours, and there are 191"),
    ],
)
def test_where_it_cannot_be_estimated_it_says_why(returns, why):
    found = overfitting(returns)
    assert found.probability is None
    assert why in found.why_none


@pytest.mark.parametrize(
    ("hours", "blocks"), [(192, 8), (239, 8), (240, 10), (383, 14), (384, 16), (9000, 16)]
)
def test_a_block_is_a_day_or_longer(hours, blocks):
    assert overfitting(list(noise(2, seed=0, hours=hours))).blocks == blocks


@pytest.mark.parametrize("blocks", [0, 7, -2])
def test_an_odd_number_of_blocks_has_no_halves(blocks):
    with pytest.raises(ValueError, match="even"):
        overfitting(list(noise(2, seed=0)), blocks=blocks)
