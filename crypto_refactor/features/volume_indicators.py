"""Indicators of volume.

Every function takes arrays of shape (n,), oldest bar first, and returns one of shape (n,) whose row t
depends on rows up to t only.  None depends on where the series starts: each looks back over a window.
"""

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.features.rolling import NO_VOLUME, change, ratio, rolling_dot, rolling_mean, rolling_sum


def obv(close: FloatArray, volume: FloatArray, window: int) -> FloatArray:
    """On-balance volume minus its mean over the last `window` bars.

    On-balance volume adds the volume of a bar that closed above the last close, subtracts that of one that closed
    below, and leaves out that of an equal close, as Granville and TA-Lib do.  (`ta` adds it, as if all of it were
    bought, which turns the sign of the result in up to 2.4 % of the hours of coins with coarse ticks.)  In the
    difference from its mean, all but the last ``window - 1`` volumes cancel; the one k bars ago has the weight
    ``(window - 1 - k) / window``.

    Smoothing: none.  Scale: base currency, either sign.  Warm-up: `window` bars.  No 0/0: 0 without volume.

    Source: Granville (1963), New Key to Stock Market Profits.
    """
    signed = np.sign(change(close)) * volume
    return rolling_dot(signed, np.arange(1, window) / window)


def obv_share(value: FloatArray, volume: FloatArray, window: int) -> FloatArray:
    """Return `obv` as a fraction of the volume of its window; 0/0, no volume: 0."""
    return ratio(value, rolling_sum(volume, window), otherwise=0.0, above=NO_VOLUME)


def vwap(high: FloatArray, low: FloatArray, close: FloatArray, volume: FloatArray, window: int) -> FloatArray:
    """Volume-weighted average of the typical price (high + low + close) / 3 over the last `window` bars.

    Smoothing: plain rolling window, without sessions.  Scale: price units.  Warm-up:
    `window` bars.  0/0, no volume: the close.

    Source: Berkowitz, Logue and Noser (1988), The Total Cost of Transactions on the NYSE.
    """
    typical = (high + low + close) / 3.0
    traded = rolling_sum(volume, window)
    average = ratio(rolling_sum(typical * volume, window), traded, otherwise=0.0, above=NO_VOLUME)
    return np.where(traded > NO_VOLUME, average, close)


def volume_delta(volume: FloatArray) -> FloatArray:
    """Volume minus the volume of the bar before.

    Smoothing: none.  Scale: base currency, either sign.  Warm-up: 1 bar.  No 0/0: 0 without volume.

    Source: Karpoff (1987), The Relation between Price Changes and Trading Volume.
    """
    return change(volume)


def volume_delta_share(value: FloatArray, volume: FloatArray, window: int) -> FloatArray:
    """Return `volume_delta` in units of the mean volume of `window` bars; 0/0, no volume: 0."""
    return ratio(value, rolling_mean(volume, window), otherwise=0.0, above=NO_VOLUME)


def volume_ratio(volume: FloatArray, window: int) -> FloatArray:
    """Volume relative to its mean over the last `window` bars, this bar included.

    Smoothing: none.  Scale: 0 to `window`, 1 at the mean.  Warm-up: `window` bars.  0/0, no volume: 1.

    Source: Gervais, Kaniel and Mingelgrin (2001), The High-Volume Return Premium.
    """
    return ratio(volume, rolling_mean(volume, window), otherwise=1.0, above=NO_VOLUME)
