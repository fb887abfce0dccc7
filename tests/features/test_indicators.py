"""The indicators against values drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest

from crypto_refactor.features import price_indicators as price
from crypto_refactor.features import rolling
from crypto_refactor.features import volume_indicators as volume

NAN = np.nan


def array(*values):
    return np.array(values, dtype=float)


def test_windowed_sums_look_back_and_begin_with_the_first_full_window():
    np.testing.assert_array_equal(rolling.rolling_sum(array(1, 2, 3, 4), 3), [NAN, NAN, 6, 9])
    np.testing.assert_array_equal(rolling.rolling_mean(array(1, 2, 3, 4), 2), [NAN, 1.5, 2.5, 3.5])
    np.testing.assert_array_equal(rolling.rolling_dot(array(1, 2, 3), array(10, 1)), [NAN, 12, 23])


def test_a_series_shorter_than_the_window_has_no_rolling_value():
    np.testing.assert_array_equal(rolling.rolling_sum(array(1, 2), 3), [NAN, NAN])


def test_the_rolling_range_is_the_lowest_and_highest_of_the_window():
    low, high = rolling.rolling_range(array(3, 1, 2, 5), 2)
    np.testing.assert_array_equal(low, [NAN, 1, 1, 2])
    np.testing.assert_array_equal(high, [NAN, 3, 2, 5])


def test_a_flat_window_has_exactly_no_deviation_whatever_came_before_it():
    values = np.append(array(1e12, 1e-9, 7e5), np.full(20, 0.1))
    offset, deviation = rolling.rolling_moments(values, 20, ddof=0)
    assert offset[-1] == 0
    assert deviation[-1] == 0


def test_a_deviation_keeps_its_digits_at_any_price():
    _, deviation = rolling.rolling_moments(1e12 + array(1, 2, 3, 4), 4, ddof=1)
    assert deviation[-1] == pytest.approx(np.std([1, 2, 3, 4], ddof=1), rel=1e-14)


def test_the_rsi_of_only_gains_is_100_of_only_losses_0_and_of_no_move_50():
    steps = np.arange(40.0)
    assert price.rsi(100 + steps, 14)[-1] == 100
    assert price.rsi(100 - steps, 14)[-1] == 0
    assert price.rsi(np.full(40, 100.0), 14)[-1] == 50


def test_the_rsi_weighs_gains_and_losses_by_wilders_average():
    # Window 2: gains 0, 4, 0 average to 0, 2, 1; losses 0, 0, 1 to 0, 0, 0.5.
    np.testing.assert_allclose(price.rsi(array(10, 14, 13), 2), [50, 100, 100 * 1 / 1.5])


def test_the_stochastic_rsi_stands_in_the_middle_when_the_rsi_stands_still():
    close = np.append(100 + np.random.default_rng(0).normal(size=60), np.full(72, 101.0))
    value = price.stoch_rsi(close, 14)
    np.testing.assert_array_equal(value[-50:], 50.0)
    assert price.rsi(close, 14)[-1] not in (0, 50, 100)


def test_the_macd_histogram_turns_positive_as_a_rise_sets_in():
    close = np.append(np.full(200, 100.0), 100 + np.arange(1.0, 6.0))
    histogram = price.macd_histogram(close, 12, 26, 9)
    assert histogram[199] == 0
    assert (histogram[200:] > 0).all()


def test_percent_b_is_a_half_on_the_mean_and_1_on_the_upper_band():
    # Mean 10, population deviation 1: the last close lies half a band of 2 deviations above the mean.
    close = array(9, 9, 11, 11)
    assert price.percent_b(close, 4, 2.0)[-1] == pytest.approx(0.75)
    assert price.percent_b(close, 4, 1.0)[-1] == pytest.approx(1.0)
    upper, lower, width = (band[-1] for band in price.bollinger_bands(close, 4, 2.0))
    assert (upper, lower, width) == pytest.approx((12, 8, 0.4))


@pytest.mark.parametrize("level", [0.1, 1 / 3, 65_432.17, 1e12, 1e-9])
def test_percent_b_is_a_half_in_a_flat_market_after_a_wild_one(level):
    wild = level * np.exp(np.random.default_rng(1).normal(0, 0.2, 200))
    close = np.append(wild, np.full(60, level))
    np.testing.assert_array_equal(price.percent_b(close, 20, 2.0)[-41:], 0.5)
    np.testing.assert_array_equal(price.realised_volatility(close, 24)[-36:], 0.0)
    upper, lower, width = (band[-1] for band in price.bollinger_bands(close, 20, 2.0))
    assert (upper, lower, width) == (level, level, 0)


def test_rounding_of_a_flat_price_moves_no_indicator():
    close = np.full(600, 0.3)
    close[1::2] = np.nextafter(0.3, 1)
    assert price.rsi(close, 14)[-1] == 50
    assert price.stoch_rsi(close, 14)[-1] == 50
    assert price.percent_b(close, 20, 2.0)[-1] == 0.5
    assert price.adx(close, close, close, 14)[-1] == 0


def test_the_true_range_reaches_from_the_last_close():
    # Ranges: 2; then high 15 - last close 10; then last close 14 - low 9. Wilder's average of 2 bars.
    value = price.atr(array(11, 15, 12), array(9, 13, 9), array(10, 14, 10), 2)
    np.testing.assert_allclose(value, [2, 3.5, 4.25])


def test_the_adx_is_high_in_a_trend_either_way_and_0_without_direction():
    steps = np.arange(300.0)
    for close in (1000 + steps, 1000 - steps):
        assert price.adx(close + 1, close - 1, close, 14)[-1] == pytest.approx(100)
    still = np.full(300, 10.0)
    assert price.adx(still + 1, still - 1, still, 14)[-1] == 0


def test_a_bar_that_widens_equally_both_ways_has_no_direction_in_any_unit():
    # 0.3 - 0.2 and 0.2 - 0.1 differ in floating point though both are a tenth.
    high, low = array(0.5, 0.6), array(0.4, 0.3)
    for unit in (1.0, 1e-6, 0.7, 1e5):
        assert price.adx(high * unit, low * unit, (high + low) / 2 * unit, 14)[-1] == 0


def test_an_ema_steps_by_2_over_span_plus_1():
    np.testing.assert_allclose(price.ema(array(1, 3, 3), 3), [NAN, NAN, 2.5])


def test_a_log_return_belongs_to_the_bar_it_ends_in():
    np.testing.assert_allclose(price.log_return(array(1, np.e, np.e, 1)), [0, 1, 0, -1])


def test_realised_volatility_is_the_sample_deviation_of_the_returns():
    close = np.exp(np.cumsum(array(0, 0.01, -0.02, 0.03)))
    expected = np.std([0.01, -0.02, 0.03], ddof=1)
    assert price.realised_volatility(close, 3)[-1] == pytest.approx(expected)


def test_obv_is_its_distance_to_its_own_mean():
    # OBV 5, 8, 6, 7: 7 less the mean of 8, 6 and 7.
    value = volume.obv(array(10, 11, 9, 10), array(5, 3, 2, 1), 3)
    assert value[-1] == pytest.approx(0)
    assert value[-2] == pytest.approx(6 - 19 / 3)


def test_obv_leaves_out_the_volume_of_an_equal_close():
    # OBV 5, 8, 8, 8 whatever was traded without a move, and 7 after a fall on 1.
    value = volume.obv(array(10, 11, 11, 11, 10), array(5, 3, 1e6, 1e6, 1), 3)
    assert value[3] == 0
    assert value[4] == pytest.approx(7 - 23 / 3)


def test_vwap_weighs_typical_prices_by_volume_and_is_the_close_without_any():
    high, low, close = array(3, 6, 9), array(1, 4, 7), array(2, 5, 8)
    assert volume.vwap(high, low, close, array(0, 3, 1), 3)[-1] == pytest.approx((3 * 5 + 8) / 4)
    assert volume.vwap(high, low, close, array(9, 0, 0), 2)[-1] == 8


def test_volume_features_without_volume_are_neutral():
    silent = np.zeros(30)
    assert volume.volume_delta(silent)[-1] == 0
    assert volume.volume_delta_share(silent, silent, 24)[-1] == 0
    assert volume.volume_ratio(silent, 10)[-1] == 1
    assert volume.obv_share(volume.obv(silent + 1, silent, 20), silent, 20)[-1] == 0


def test_volume_is_compared_with_the_bar_before_and_with_its_mean():
    traded = array(1, 2, 6)
    np.testing.assert_array_equal(volume.volume_delta(traded), [0, 1, 4])
    assert volume.volume_delta_share(volume.volume_delta(traded), traded, 3)[-1] == pytest.approx(4 / 3)
    assert volume.volume_ratio(traded, 3)[-1] == 2
