"""The indicators against `ta`, and against TA-Lib where its definitions coincide.

Past the warm-up the seeds no longer matter (both libraries seed with plain means).  Real bars are compared
in whole ticks: where a high and a low move equally far, `ta` and TA-Lib decide the direction by the rounding
of decimal fractions.

`ta` differs on purpose in one place: its on-balance volume adds the volume of an equal close, Granville and TA-Lib
leave it out, and so do we.  TA-Lib has no rolling VWAP.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import ta
from support.feature_contracts import read_real_bars, replaced

from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.features.frame import compute_features


@pytest.fixture(params=["random", "btc_usd", "avax_usd"])
def frame(request, random_bars):
    if request.param == "random":
        return compute_features(random_bars(3000, seed=11))
    folder = request.getfixturevalue("real_bars_dir")
    return compute_features(read_real_bars(folder, request.param, count=3000, ticks=True))


def assert_equal_past_the_warm_up(frame, ours, theirs, name):
    """Equal to 1e-9, relative to the value or, near a zero crossing, to the column's usual size."""
    ours, theirs = ours[frame.ready], np.asarray(theirs, dtype=float)[frame.ready]
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).mean(), err_msg=name)


def by_ta(bars):
    high, low, close, volume = (pd.Series(getattr(bars, name)) for name in ("high", "low", "close", "volume"))
    # `ta` counts an equal close as a rise.
    obv = ta.volume.on_balance_volume(close, volume) - volume.where(close.diff() == 0, 0.0).cumsum()
    return {
        "rsi": ta.momentum.rsi(close, 14),
        "stoch_rsi": 100 * ta.momentum.stochrsi(close, 14),
        "macd_histogram": ta.trend.macd_diff(close),
        "bollinger": ta.volatility.bollinger_pband(close),
        "atr": ta.volatility.average_true_range(high, low, close, 14),
        "adx": ta.trend.adx(high, low, close, 14),
        "ema_20": ta.trend.ema_indicator(close, 20),
        "ema_50": ta.trend.ema_indicator(close, 50),
        "obv": obv - obv.rolling(20).mean(),
        "vwap": ta.volume.volume_weighted_average_price(high, low, close, volume, 24),
        "volume_delta": volume.diff(),
        "volume_ratio": volume / ta.utils._sma(volume, 10),
        "log_return": ta.others.daily_log_return(close) / 100,
        "realised_volatility": np.log(close).diff().rolling(24).std(),
    }


def test_every_indicator_equals_ta_past_the_warm_up(frame):
    expected = by_ta(frame.bars)
    assert set(expected) == set(indicator_names())
    for name, column in expected.items():
        assert_equal_past_the_warm_up(frame, frame.column(name), column, name)


def test_the_bands_equal_ta_past_the_warm_up(frame):
    bands = ta.volatility.BollingerBands(pd.Series(frame.bars.close))
    extras = frame.extras
    assert_equal_past_the_warm_up(frame, extras.bollinger_upper, bands.bollinger_hband(), "upper")
    assert_equal_past_the_warm_up(frame, extras.bollinger_lower, bands.bollinger_lband(), "lower")
    assert_equal_past_the_warm_up(frame, 100 * extras.bollinger_width, bands.bollinger_wband(), "width")


@pytest.mark.oracle
def test_every_indicator_ta_lib_has_equals_it_past_the_warm_up(frame):
    talib = pytest.importorskip("talib")
    bars = frame.bars
    upper, _, lower = talib.BBANDS(bars.close, timeperiod=20, nbdevup=2, nbdevdn=2)
    obv = talib.OBV(bars.close, bars.volume)
    stochastic, _ = talib.STOCHRSI(bars.close, timeperiod=14, fastk_period=14, fastd_period=1)
    expected = {
        "rsi": talib.RSI(bars.close, 14),
        "stoch_rsi": stochastic,
        "macd_histogram": talib.MACD(bars.close, 12, 26, 9)[2],
        "bollinger": (bars.close - lower) / (upper - lower),
        "atr": talib.ATR(bars.high, bars.low, bars.close, 14),
        "adx": talib.ADX(bars.high, bars.low, bars.close, 14),
        "ema_20": talib.EMA(bars.close, 20),
        "ema_50": talib.EMA(bars.close, 50),
        "obv": obv - talib.SMA(obv, 20),
    }
    for name, column in expected.items():
        assert_equal_past_the_warm_up(frame, frame.column(name), column, name)


@pytest.mark.oracle
def test_obv_equals_ta_lib_where_closes_repeat(random_bars):
    talib = pytest.importorskip("talib")
    bars = random_bars(3000, seed=12)
    coarse = {name: np.round(getattr(bars, name), 0) for name in ("open", "high", "low", "close")}
    frame = compute_features(replaced(bars, **coarse))
    closes = frame.bars.close
    assert (np.diff(closes) == 0).mean() > 0.2
    obv = talib.OBV(closes, bars.volume)
    assert_equal_past_the_warm_up(frame, frame.column("obv"), obv - talib.SMA(obv, 20), "obv")


def test_an_equal_close_is_all_that_separates_obv_from_ta(random_bars):
    bars = random_bars(600, seed=13)
    close = bars.close.copy()
    close[550] = close[549]
    repeated = replaced(bars, close=close, high=np.maximum(bars.high, close), low=np.minimum(bars.low, close))
    frame = compute_features(repeated)
    by_theirs = ta.volume.on_balance_volume(pd.Series(close), pd.Series(bars.volume))
    theirs = (by_theirs - by_theirs.rolling(20).mean()).to_numpy()
    ours = frame.column("obv")
    # The volume of bar 550 has the weight (19 - k) / 20 for k bars after it.
    expected = np.zeros(600)
    expected[550:570] = bars.volume[550] * (19 - np.arange(20)) / 20
    np.testing.assert_allclose((theirs - ours)[500:], expected[500:], atol=1e-9 * bars.volume.sum())
