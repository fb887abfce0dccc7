from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import feature_contracts as contracts

from crypto_refactor.features.catalogue import CATALOGUE, WARMUP, IndicatorSpec
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import PRICES, Bars, fill_gaps
from crypto_refactor.market.ticker import Ticker


def spec(name, value, model_input=lambda _bars, value: value):
    return IndicatorSpec(
        name=name, formula=name, input_formula="", source="", value=value, model_input=model_input
    )


def momentum(bars):
    value = np.zeros(len(bars))
    value[6:] = bars.close[6:] / bars.close[:-6] - 1
    return value


EXTENDED = (*CATALOGUE, spec("momentum_6", momentum))


@pytest.fixture(params=[CATALOGUE, EXTENDED], ids=["the catalogue", "one registered more"])
def catalogue(request):
    return request.param


@pytest.fixture(params=["random", "real", "gaps and splits", "flat and silent stretches"])
def any_bars(request, random_bars):
    if request.param == "real":
        return contracts.read_real_bars(request.getfixturevalue("real_bars_dir"), "avax_usd", count=800)
    if request.param == "gaps and splits":
        return broken_series(random_bars)
    bars = random_bars(800, seed=3)
    if request.param == "random":
        return bars
    return contracts.flat_between(contracts.flat_between(bars, 470, 545), 600, 640, silent=False)


def without(bars, *gaps):
    """Return the bars without some ranges of rows."""
    keep = np.ones(len(bars), dtype=bool)
    for start, stop in gaps:
        keep[start:stop] = False
    columns = {name: getattr(bars, name)[keep] for name in (*PRICES, "volume", "opened")}
    return Bars(ticker=bars.ticker, source=bars.source, **columns)


def broken_series(random_bars, seed=4):
    """Return gap-filled bars in three series, the middle one too short to be ready."""
    bars = random_bars(1900, seed=seed)
    return fill_gaps(without(bars, (300, 301), (520, 560), (650, 750), (900, 1000), (1600, 1672)))


@pytest.mark.slow
def test_the_first_k_rows_are_the_features_of_the_first_k_bars_for_every_k(any_bars, catalogue):
    contracts.assert_prefix_invariant(catalogue, any_bars)


def test_what_is_known_at_the_time_gives_the_row_that_is_known_later(random_bars):
    raw = without(random_bars(900, seed=5), (400, 430), (600, 601), (700, 760))
    full = compute_features(fill_gaps(raw))
    for count in range(480, len(raw) + 1, 7):
        now = compute_features(fill_gaps(raw.prefix(count)))
        np.testing.assert_array_equal(now.inputs, full.inputs[: len(now)])


def test_it_makes_no_difference_where_the_series_begins(random_bars, catalogue):
    contracts.assert_start_invariant(catalogue, random_bars(1500, seed=6), [1, 7, 24, 250, 900])


def test_it_makes_no_difference_where_a_real_series_begins(real_bars_dir, catalogue):
    for slug in ("btc_usd", "matic_usd"):
        bars = contracts.read_real_bars(real_bars_dir, slug, count=4000)
        contracts.assert_start_invariant(catalogue, bars, range(1, 3000, 211))


@pytest.mark.parametrize("length", [72, 240, 700])
def test_it_makes_no_difference_where_the_series_begins_around_a_flat_stretch(random_bars, length):
    bars = contracts.flat_between(random_bars(2400, seed=7), 700, 700 + length)
    starts = [650, 699, 700, 701, 700 + length // 2, 700 + length - 1]
    contracts.assert_start_invariant(CATALOGUE, bars, starts)


def test_model_inputs_do_not_depend_on_the_unit_of_price(any_bars, catalogue):
    contracts.assert_price_scale_free(catalogue, any_bars)


def test_model_inputs_do_not_depend_on_the_unit_of_volume(any_bars, catalogue):
    contracts.assert_volume_scale_free(catalogue, any_bars)


def test_model_inputs_of_a_whole_real_year_do_not_depend_on_units(real_bars_dir):
    for slug in ("avax_usd", "uni_usd"):  # coarse ticks: highs and lows often move equally far
        bars = contracts.read_real_bars(real_bars_dir, slug)
        contracts.assert_price_scale_free(CATALOGUE, bars)
        contracts.assert_volume_scale_free(CATALOGUE, bars)


def test_rows_are_cut_until_ready_and_finite_from_then_on(any_bars, catalogue):
    contracts.assert_cut_then_finite(catalogue, any_bars)


@pytest.mark.parametrize("price", [1e12, 1.0, 1e-9])
@pytest.mark.parametrize("volume", [1e12, 1.0, 1e-12, 0.0])
def test_features_are_finite_at_prices_and_volumes_of_any_size(random_bars, price, volume):
    bars = contracts.scaled(random_bars(620, seed=8), price=price, volume=volume)
    contracts.assert_cut_then_finite(CATALOGUE, contracts.flat_between(bars, 530, 580))


def test_features_are_finite_when_volume_is_smaller_than_any_normal_number(random_bars):
    contracts.assert_cut_then_finite(CATALOGUE, contracts.scaled(random_bars(520), price=1e-9, volume=1e-322))


def test_computing_changes_no_bar(any_bars, catalogue):
    contracts.assert_input_untouched(catalogue, any_bars)


def test_nothing_reaches_across_a_split(random_bars, catalogue):
    contracts.assert_split_independent(catalogue, broken_series(random_bars))


MOVES = st.sampled_from([0.0, 0.0, 0.0, 1e-16, -1e-16, 1e-7, -1e-7, 0.01, -0.01, 0.9, -0.5])
VOLUMES = st.sampled_from([0.0, 0.0, 0.0, 1e-9, 1.0, 1e9])


@settings(max_examples=40, deadline=None)
@given(
    stretches=st.lists(st.tuples(MOVES, MOVES, VOLUMES, st.integers(1, 60)), min_size=1, max_size=25),
    price=st.sampled_from([1e-9, 1.0, 65_432.1, 1e12]),
)
def test_features_keep_their_contracts_whatever_markets_do(stretches, price):
    moves = np.concatenate([np.resize([up, down], length) for up, down, _, length in stretches])
    volume = np.concatenate([np.full(length, amount) for *_, amount, length in stretches])
    moves, volume = np.resize(moves, 640), np.resize(volume, 640)
    # Reflecting the path keeps prices within a factor of e^6 however one-sided the moves are.
    path = np.abs((np.cumsum(np.log1p(moves)) + 3) % 12 - 6)
    close = price * np.exp(path - 3)
    open_ = np.append(close[:1], close[:-1])
    bars = Bars(
        ticker=Ticker("BTC", "USD"),
        source="files",
        opened=400_000 + np.arange(640),
        open=open_,
        high=np.maximum(open_, close),
        low=np.minimum(open_, close),
        close=close,
        volume=volume,
    )
    contracts.assert_cut_then_finite(CATALOGUE, bars)
    contracts.assert_prefix_invariant(CATALOGUE, bars, [501, 517, 560, 639])
    frame = compute_features(bars)
    for name in ("rsi", "stoch_rsi", "adx"):
        column = frame.column(name)[frame.ready]
        assert column.min() >= 0, name
        assert column.max() <= 100 * (1 + 1e-12), name
    assert np.abs(frame.column("bollinger")[frame.ready] - 0.5).max() <= np.sqrt(19) / 4 * (1 + 1e-9)


def back_filled(bars):
    """A daily mean joined to hourly bars and filled backward: each hour knows the day's end."""
    daily = pd.Series(bars.close).rolling(24).mean()
    daily[np.arange(len(bars)) % 24 != 23] = np.nan
    return (bars.close / daily.bfill().ffill() - 1).to_numpy()


def centred(bars):
    mean = pd.Series(bars.close).rolling(25, center=True, min_periods=1).mean()
    return (bars.close / mean - 1).to_numpy()


def full_sample_score(bars):
    return (bars.close - bars.close.mean()) / bars.close.std()


def next_return(bars):
    return np.append(np.diff(np.log(bars.close)), 0.0)


def value_leak_free_input_leaking(bars, value):
    return (value - value.mean()) / value.std()


@pytest.mark.parametrize("value", [back_filled, centred, full_sample_score, next_return])
def test_an_indicator_that_knows_the_future_is_caught(random_bars, value):
    leaking = (*CATALOGUE, spec("leak", value))
    with pytest.raises(AssertionError, match="of leak differ"):
        contracts.assert_prefix_invariant(leaking, random_bars(560))


def test_a_model_input_that_knows_the_future_is_caught(random_bars):
    leaking = (spec("leak", momentum, value_leak_free_input_leaking),)
    with pytest.raises(AssertionError, match="inputs of leak differ"):
        contracts.assert_prefix_invariant(leaking, random_bars(560))


@pytest.mark.parametrize(
    ("contract", "value"),
    [
        (
            lambda catalogue, bars: contracts.assert_start_invariant(catalogue, bars, [9]),
            lambda b: np.cumsum(b.volume),
        ),
        (contracts.assert_price_scale_free, lambda bars: np.diff(bars.close, prepend=bars.close[0])),
        (contracts.assert_volume_scale_free, lambda bars: bars.volume),
    ],
    ids=["depends on the first bar", "depends on the unit of price", "depends on the unit of volume"],
)
def test_an_indicator_that_depends_on_what_does_not_matter_is_caught(random_bars, contract, value):
    with pytest.raises(AssertionError, match="broken by wrong"):
        contract((*CATALOGUE, spec("wrong", value)), random_bars(600))


def test_a_division_by_no_volume_is_refused_and_names_indicator_and_bar(random_bars):
    bars = contracts.flat_between(random_bars(600), 550, 560)
    careless = spec("careless", lambda bars: np.divide(bars.volume, bars.volume))
    with pytest.raises(Exception, match=r"careless of BTC/USD has no finite value at .*volume 0\.0"):
        compute_features(bars, catalogue=(careless,))


def test_an_indicator_cannot_write_into_the_bars(random_bars):
    def careless(bars):
        bars.close[0] = 1.0
        return bars.close

    with pytest.raises(ValueError, match="read-only"):
        compute_features(random_bars(WARMUP + 1), catalogue=(spec("careless", careless),))


def test_a_registered_indicator_is_a_column_like_any_other(random_bars):
    frame = compute_features(random_bars(600), catalogue=EXTENDED)
    assert frame.names[-1] == "momentum_6"
    np.testing.assert_array_equal(frame.column("momentum_6")[WARMUP:], momentum(frame.bars)[WARMUP:])
