"""Indicators of price.

Every function takes arrays of shape (n,), oldest bar first, and returns one of shape (n,) whose row t
depends on rows up to t only.  Rows before an indicator's own warm-up have no meaning; `WARMUP` removes them
for all indicators alike.
"""

import numpy as np
import pandas as pd
from ta import trend

from crypto_refactor.arrays import FloatArray
from crypto_refactor.features.rolling import (
    FLAT,
    change,
    ratio,
    rolling_mean,
    rolling_moments,
    rolling_range,
    wilder_mean,
)

SAME_RSI = 1e-6
"""The RSI of a window is constant if its highest and lowest value differ by this many points or fewer."""


def rsi(close: FloatArray, window: int) -> FloatArray:
    """Relative strength index: 100 · average gain / (average gain + average loss).

    Smoothing: Wilder's average of `window` bars.  Scale: 0 to 100.  Warm-up: exponential, below 1e-9 of the
    first gain after 280 bars of a window of 14.  0/0, no gain and no loss: 50.

    Source: Wilder (1978), New Concepts in Technical Trading Systems.
    """
    move = change(close)
    gain = wilder_mean(np.maximum(move, 0.0), window)
    loss = wilder_mean(np.maximum(-move, 0.0), window)
    return 100.0 * ratio(gain, gain + loss, otherwise=0.5, above=FLAT * close)


def stoch_rsi(close: FloatArray, window: int) -> FloatArray:
    """Stochastic RSI: 100 · (RSI - lowest RSI) / (highest RSI - lowest RSI) over `window` bars.

    Smoothing: that of the RSI, none after it.  Scale: 0 to 100.  Warm-up: `window` bars after the RSI's.
    0/0, a constant RSI: 50.

    Source: Chande and Kroll (1994), The New Technical Trader.
    """
    strength = rsi(close, window)
    low, high = rolling_range(strength, window)
    return 100.0 * ratio(strength - low, high - low, otherwise=0.5, above=SAME_RSI)


def macd_histogram(close: FloatArray, fast: int, slow: int, signal: int) -> FloatArray:
    """MACD histogram: the MACD line minus its own average, where MACD = EMA(fast) - EMA(slow).

    Smoothing: exponential, 2 / (span + 1), of spans `fast`, `slow` and `signal`.  Scale: price units, either
    sign.  Warm-up: exponential, below 1e-9 after 300 bars of a slow span of 26.  No division: falls to 0 in
    a flat market.

    Source: Appel (1979), The Moving Average Convergence-Divergence Trading Method; the histogram is
    Aspray's (1986).
    """
    histogram = trend.macd_diff(pd.Series(close), window_slow=slow, window_fast=fast, window_sign=signal)
    return np.asarray(histogram, dtype=np.float64)


def percent_b(close: FloatArray, window: int, width: float) -> FloatArray:
    """Bollinger's %B: (close - lower band) / (upper band - lower band).

    Smoothing: plain mean ± `width` population standard deviations of `window` closes.  Scale: 0 at the lower
    band, 1 at the upper one, at most √(window - 1) / (2 · width) from 0.5.  Warm-up: `window` bars.
    0/0, no deviation: 0.5.

    Source: Bollinger (2001), Bollinger on Bollinger Bands.
    """
    offset, deviation = rolling_moments(close, window, ddof=0)
    return 0.5 + ratio(-offset, 2.0 * width * deviation, otherwise=0.0, above=2.0 * width * FLAT * close)


def bollinger_bands(
    close: FloatArray, window: int, width: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bollinger's upper and lower band, price units, and the band width as a fraction of the middle band.

    Smoothing, warm-up and source: those of `percent_b`.  In a flat market both bands lie on the close and the
    width is 0.
    """
    offset, deviation = rolling_moments(close, window, ddof=0)
    middle = close + offset
    return middle + width * deviation, middle - width * deviation, 2.0 * width * deviation / middle


def atr(high: FloatArray, low: FloatArray, close: FloatArray, window: int) -> FloatArray:
    """Average true range: the mean of max(high, last close) - min(low, last close).

    Smoothing: Wilder's average of `window` bars.  Scale: price units, not negative.  Warm-up: exponential,
    below 1e-9 of the first range after 280 bars of a window of 14.  No division: falls to 0 in a flat market.

    Source: Wilder (1978), New Concepts in Technical Trading Systems.
    """
    last_close = close - change(close)
    true_range = np.maximum(high, last_close) - np.minimum(low, last_close)
    return wilder_mean(true_range, window)


def adx(high: FloatArray, low: FloatArray, close: FloatArray, window: int) -> FloatArray:
    """Average directional index: the average of 100 · |U - D| / (U + D).

    U and D are the averages of the upward move of the high and the downward move of the low, of which each
    bar counts the larger one only, and none where they tie.  The true range by which +DI and -DI are both
    divided cancels.

    Smoothing: Wilder's average of `window` bars, twice.  Scale: 0 to 100.  Warm-up: exponential, below 1e-9
    after 350 bars of a window of 14.  0/0, no directional move: 0.

    Source: Wilder (1978), New Concepts in Technical Trading Systems.
    """
    up, down, least = change(high), -change(low), FLAT * close
    # Equal moves of high and low differ by rounding only; `least` keeps that from deciding.
    rising = wilder_mean(np.where((up - down > least) & (up > least), up, 0.0), window)
    falling = wilder_mean(np.where((down - up > least) & (down > least), down, 0.0), window)
    index = ratio(np.abs(rising - falling), rising + falling, otherwise=0.0, above=least)
    return 100.0 * wilder_mean(index, window)


def ema(close: FloatArray, span: int) -> FloatArray:
    """Exponential moving average: ``e[t] = e[t-1] + 2 / (span + 1) · (close[t] - e[t-1])``.

    Smoothing: exponential.  Scale: price units.  Warm-up: exponential, below 1e-8 of the first
    price's distance after 500 bars of a span of 50.  No division.

    Source: Brown (1959), Statistical Forecasting for Inventory Control.
    """
    return np.asarray(trend.ema_indicator(pd.Series(close), window=span), dtype=np.float64)


def log_return(close: FloatArray) -> FloatArray:
    """Logarithmic return of a bar: log(close / last close).

    Smoothing: none.  Scale: per bar, either sign.  Warm-up: 1 bar.  No 0/0; exactly 0 at an equal close.

    Source: Osborne (1959), Brownian Motion in the Stock Market.
    """
    returns = np.zeros(len(close))
    # The quotient of equal closes is exactly 1, the difference of two logarithms would round.
    returns[1:] = np.log(close[1:] / close[:-1])
    return returns


def realised_volatility(close: FloatArray, window: int) -> FloatArray:
    """Realised volatility: standard deviation (ddof 1) of the last `window` logarithmic returns.

    Smoothing: none.  Scale: per bar, not negative, not annualised.  Warm-up: `window` + 1 bars.  No 0/0;
    exactly 0 over equal closes.

    Source: Andersen, Bollerslev, Diebold and Labys (2003), Modeling and Forecasting Realized Volatility.
    """
    return rolling_moments(log_return(close), window, ddof=1)[1]


def volatility_mean(close: FloatArray, window: int, bars: int) -> FloatArray:
    """Mean of the last `bars` values of `realised_volatility`, per bar."""
    return rolling_mean(realised_volatility(close, window), bars)
