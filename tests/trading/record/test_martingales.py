"""The two products of bets: hand-computed values, and the error rates they promise."""

from __future__ import annotations

import numpy as np
import pytest

from crypto_refactor.trading.record.martingales import (
    EVIDENCE,
    by_hour,
    coin_toss_bets,
    detect_change,
    first_reach,
    overstatement_bets,
    product,
)


def test_a_bet_on_a_direction_pays_twice_what_was_stated():
    bets = coin_toss_bets(np.array([0.6, 0.6, 0.5]), np.array([True, False, True]))
    assert bets == pytest.approx([1.2, 0.8, 1.0])
    assert product(bets) == pytest.approx([1.2, 0.96, 0.96])


def test_the_bet_against_what_was_stated_is_the_inverse():
    confidence, right = np.array([0.6, 0.75]), np.array([True, False])
    assert overstatement_bets(confidence, right) == pytest.approx([1 / 1.2, 2.0])


@pytest.mark.parametrize("p", [0.5, 0.53, 0.7, 0.99])
def test_each_bet_has_a_mean_of_one_under_its_own_hypothesis(p):
    right, wrong = (np.array([p]), np.array([True])), (np.array([p]), np.array([False]))
    tossed = (coin_toss_bets(*right) + coin_toss_bets(*wrong)) / 2
    true = p * overstatement_bets(*right) + (1 - p) * overstatement_bets(*wrong)
    assert tossed == pytest.approx([1.0])
    assert true == pytest.approx([1.0])


def test_certainty_that_was_wrong_leaves_finite_bets():
    bets = coin_toss_bets(np.array([1.0, 1.0]), np.array([True, False]))
    assert bets == pytest.approx([1.98, 0.02])
    assert np.isfinite(overstatement_bets(np.array([1.0]), np.array([False]))).all()


def test_tickers_of_one_hour_make_one_bet():
    hourly = by_hour(np.array([1.2, 0.8, 1.1, 1.4]), np.array([7, 7, 5, 7]))
    assert hourly.hours.tolist() == [5, 7]
    assert hourly.bets == pytest.approx([1.1, 3.4 / 3])


def test_an_empty_record_bets_nothing():
    hourly = by_hour(np.array([]), np.array([], dtype=np.int64))
    assert len(hourly.bets) == len(product(hourly.bets)) == 0
    assert detect_change(hourly.bets)[1] == []


def test_the_first_hour_that_reaches_a_level_is_found():
    hours = np.array([3, 4, 9])
    assert first_reach(np.array([1.0, 50.0, 60.0]), hours, 50.0) == 4
    assert first_reach(np.array([1.0, 49.9, 2.0]), hours, 50.0) is None


def test_a_product_that_grows_for_ever_stays_a_number():
    assert np.isfinite(product(np.full(5000, 1.98))).all()


def test_the_detector_adds_up_products_begun_at_every_hour_and_begins_again_after_an_alarm():
    path, alarms = detect_change(np.array([2.0, 2.0, 2.0, 0.5]), 10.0)
    assert path == pytest.approx([2.0, 6.0, 14.0, 0.5])
    assert alarms == [2]


def outcomes(rng, hours, tickers, truth):
    """Directions of tickers that move with one market: right with probability `truth`, drawn once per hour in half the hours."""
    own, common = rng.random((hours, tickers)), rng.random((hours, 1))
    return np.where(rng.random((hours, 1)) < 0.5, common, own) < truth


def hourly_bets(make, confidence, right):
    hours = np.repeat(np.arange(len(right)), right.shape[1])
    return by_hour(make(confidence.ravel(), right.ravel()), hours).bets


def test_chance_seldom_reaches_evidence_also_where_tickers_move_together():
    rng, reached = np.random.default_rng(1), 0
    for _ in range(300):
        right = outcomes(rng, 600, 5, 0.5)
        confidence = 0.5 + 0.3 * rng.random(right.shape)
        reached += product(hourly_bets(coin_toss_bets, confidence, right)).max() >= EVIDENCE
    assert reached / 300 <= 1 / EVIDENCE + 3 * (0.02 * 0.98 / 300) ** 0.5


def test_bets_multiplied_within_an_hour_would_promise_too_much():
    """The mean of an hour is what keeps the rate: products of one hour's bets exceed it."""
    rng, reached = np.random.default_rng(1), 0
    for _ in range(200):
        right = rng.random((300, 1)).repeat(10, axis=1) < 0.5
        bets = coin_toss_bets(np.full(right.shape, 0.55), right)
        reached += product(bets.prod(axis=1)).max() >= EVIDENCE
    assert reached / 200 > 2 / EVIDENCE


@pytest.mark.slow
def test_the_alarm_is_false_as_seldom_as_stated_and_finds_lost_skill():
    rng, level = np.random.default_rng(2), 2000.0
    first, found = [], []
    for _ in range(100):
        confidence = np.full((8000, 3), 0.58)
        _, alarms = detect_change(
            hourly_bets(overstatement_bets, confidence, outcomes(rng, 8000, 3, 0.58)), level
        )
        first.append(alarms[0] + 1 if alarms else 8000)
        _, alarms = detect_change(
            hourly_bets(overstatement_bets, confidence, outcomes(rng, 8000, 3, 0.5)), level
        )
        found.append(alarms[0] if alarms else 8000)
    assert np.mean(first) >= level * 0.8  # cut off at 8000 hours, so lower than the mean itself
    assert np.median(found) < 800
