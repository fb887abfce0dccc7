from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from support.bars import empty_bars
from support.feature_contracts import replaced, scaled

from crypto_refactor.errors import DataError
from crypto_refactor.features import catalogue
from crypto_refactor.features.catalogue import CATALOGUE, WARMUP, catalogue_hash, indicator_names
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import PRICES, Bars, fill_gaps
from crypto_refactor.market.ticker import Ticker


def test_the_catalogue_has_the_14_indicators_in_order():
    assert indicator_names() == (
        "rsi", "stoch_rsi", "macd_histogram", "bollinger", "atr", "adx", "ema_20", "ema_50", "obv", "vwap",
        "volume_delta", "volume_ratio", "log_return", "realised_volatility",
    )  # fmt: skip


def test_every_entry_says_what_it_computes_and_where_it_comes_from():
    for spec in CATALOGUE:
        assert spec.formula, spec.name
        assert spec.input_formula, spec.name
        assert spec.source.endswith(")"), spec.name


def test_the_first_ready_row_has_the_whole_warm_up_before_it(random_bars):
    frame = compute_features(random_bars(WARMUP + 2))
    np.testing.assert_array_equal(np.flatnonzero(frame.ready), [WARMUP, WARMUP + 1])
    np.testing.assert_array_equal(frame.position, np.arange(WARMUP + 2))


@pytest.mark.parametrize("count", [0, 1, 5, WARMUP])
def test_too_few_bars_give_a_frame_without_a_ready_row(random_bars, count):
    bars = random_bars(count) if count else empty_bars(Ticker("BTC", "USD"), "files")
    frame = compute_features(bars)
    assert len(frame) == count
    assert frame.inputs.shape == (count, 14)
    assert not frame.ready.any()
    assert np.isnan(frame.inputs).all()


def test_positions_count_from_the_beginning_of_each_unbroken_stretch(random_bars):
    whole = random_bars(1300)
    keep = np.delete(np.arange(1300), np.arange(600, 700))
    columns = {name: getattr(whole, name)[keep] for name in (*PRICES, "volume", "opened")}
    frame = compute_features(Bars(ticker=whole.ticker, source="files", **columns))
    np.testing.assert_array_equal(frame.position, [*range(600), *range(600)])
    np.testing.assert_array_equal(frame.ready, frame.position >= WARMUP)


def test_synthetic_bars_have_features_like_all_others(random_bars):
    whole = random_bars(700)
    keep = np.delete(np.arange(700), np.arange(600, 672))
    columns = {name: getattr(whole, name)[keep] for name in (*PRICES, "volume", "opened")}
    bars = fill_gaps(Bars(ticker=whole.ticker, source="files", **columns))
    frame = compute_features(bars)
    last_synthetic = 671
    assert bars.synthetic[last_synthetic]
    expected = {"bollinger": 0.5, "stoch_rsi": 50, "volume_ratio": 1, "volume_delta": 0, "obv": 0}
    expected |= {"log_return": 0, "realised_volatility": 0, "vwap": bars.close[last_synthetic]}
    for name, value in expected.items():
        assert frame.column(name)[last_synthetic] == value, name


def test_arrays_are_read_only(random_bars):
    frame = compute_features(random_bars(WARMUP + 1))
    extras = [getattr(frame.extras, field.name) for field in dataclasses.fields(frame.extras)]
    for array in (frame.values, frame.inputs, frame.ready, frame.position, frame.column("rsi"), *extras):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_an_unknown_column_is_refused_with_the_known_ones(random_bars):
    with pytest.raises(KeyError, match="'cci' is none of rsi, stoch_rsi"):
        compute_features(random_bars(3)).column("cci")


def test_extras_are_the_bands_around_percent_b_and_the_mean_of_the_volatility(random_bars):
    frame = compute_features(random_bars(700))
    extras, ready = frame.extras, frame.ready
    share = (frame.bars.close - extras.bollinger_lower) / (extras.bollinger_upper - extras.bollinger_lower)
    np.testing.assert_allclose(frame.column("bollinger")[ready], share[ready], rtol=1e-9)
    middle = (extras.bollinger_upper + extras.bollinger_lower) / 2
    width = (extras.bollinger_upper - extras.bollinger_lower) / middle
    np.testing.assert_allclose(extras.bollinger_width[ready], width[ready])
    assert extras.volatility_mean[699] == pytest.approx(frame.column("realised_volatility")[680:].mean())


def test_bars_beyond_the_range_of_numbers_are_refused_with_the_bar_that_breaks_it(random_bars):
    with pytest.raises(DataError, match="of BTC/USD has no finite value at 20"):
        compute_features(scaled(random_bars(WARMUP + 3), price=1e200))


def test_the_catalogue_hash_is_stable_and_short():
    assert catalogue_hash() == catalogue_hash(CATALOGUE)
    assert len(catalogue_hash()) == 12


@pytest.mark.parametrize("field", ["name", "formula", "input_formula"])
def test_the_catalogue_hash_changes_with_what_decides_the_numbers(field):
    changed = dataclasses.replace(CATALOGUE[3], **{field: "another"})
    assert catalogue_hash((*CATALOGUE[:3], changed, *CATALOGUE[4:])) != catalogue_hash()


def test_the_catalogue_hash_changes_with_order_and_length():
    assert catalogue_hash(CATALOGUE[::-1]) != catalogue_hash()
    assert catalogue_hash(CATALOGUE[:-1]) != catalogue_hash()


def test_names_and_widths_follow_a_longer_catalogue(random_bars):
    longer = (*CATALOGUE, dataclasses.replace(CATALOGUE[0], name="rsi_again"))
    frame = compute_features(random_bars(WARMUP + 5), catalogue=longer)
    assert frame.names == indicator_names(longer)
    assert frame.inputs.shape == frame.values.shape == (WARMUP + 5, len(CATALOGUE) + 1)
    assert catalogue_hash(longer) != catalogue_hash()


@pytest.mark.parametrize("constant", ["VERSION", "WARMUP"])
def test_the_catalogue_hash_changes_with_version_and_warm_up(monkeypatch, constant):
    before = catalogue_hash()
    monkeypatch.setattr(catalogue, constant, 501)
    assert catalogue_hash() != before


PINNED_HASH = "cb2dd3547de8"
PINNED = {
    "rsi": (74.86820829, 0.2486820829),
    "stoch_rsi": (84.05615551, 0.3405615551),
    "macd_histogram": (0.6789104589, 0.006570110154),
    "bollinger": (0.8702818386, 0.3702818386),
    "atr": (1.782859999, 0.01725350733),
    "adx": (39.9003879, 0.399003879),
    "ema_20": (98.92991114, 0.04450910296),
    "ema_50": (96.08715172, 0.07541113344),
    "obv": (150.0128974, 0.1688584077),
    "vwap": (96.8767774, 0.06664564526),
    "volume_delta": (-9.693390614, -0.2222411263),
    "volume_ratio": (1.709610057, 0.7096100571),
    "log_return": (-0.006273258174, -0.006273258174),
    "realised_volatility": (0.01060556786, 0.01060556786),
}


def test_numbers_change_only_together_with_the_catalogue_hash():
    """When this fails on purpose: change the formula text or raise VERSION, then pin anew."""
    hours = np.arange(700)
    close = 100 + 10 * np.sin(hours / 37) + 3 * np.sin(hours / 5) + np.cos(hours * hours)
    open_ = np.append(100.0, close[:-1])
    bars = Bars(
        ticker=Ticker("BTC", "USD"),
        source="files",
        opened=hours,
        open=open_,
        high=np.maximum(open_, close) + 0.5 + 0.4 * np.sin(hours * 3),
        low=np.minimum(open_, close) - 0.5 - 0.4 * np.cos(hours * 7),
        close=close,
        volume=50 + 40 * np.sin(hours * hours / 11),
    )
    frame = compute_features(bars)
    assert catalogue_hash() == PINNED_HASH
    for index, name in enumerate(frame.names):
        got = (float(frame.column(name)[-1]), float(frame.inputs[-1, index]))
        assert got == pytest.approx(PINNED[name], rel=1e-7), name


def test_the_bars_a_frame_was_made_of_stay_with_it(random_bars):
    bars = replaced(random_bars(20))
    assert compute_features(bars).bars is bars
