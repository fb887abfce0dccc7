"""All features of 43,800 bars compared with `ta` and TA-Lib, and the cost for a million bars.

    python benchmarks/indicators.py [--repeats 5]

`ta` computes the indicators it has (10 of the 14), pandas the rest in the usual way.  TA-Lib is compared by
indicator where it has the same one or, for OBV, return and volatility, the nearest one, summed.  Before timing, the
values of `ta` and of the same indicators of TA-Lib are compared past the warm-up.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from harness import LONG, Row, arguments, long_bars, median_seconds, print_rows
from ta import momentum, trend, volatility, volume

from crypto_refactor.features import price_indicators as price
from crypto_refactor.features import volume_indicators as of_volume
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.frame import compute_features

MILLION = 1_000_000


def by_ta(frame: pd.DataFrame) -> dict[str, pd.Series]:
    """Return the same 14 values, by `ta` where it has them."""
    high, low, close, traded = frame["high"], frame["low"], frame["close"], frame["volume"]
    # `ta` adds the volume of an equal close, this tool leaves it out.
    obv = volume.OnBalanceVolumeIndicator(close, traded).on_balance_volume()
    obv -= traded.where(close.diff() == 0, 0.0).cumsum()
    returns = np.log(close).diff()
    return {
        "rsi": momentum.RSIIndicator(close, 14).rsi(),
        "stoch_rsi": 100 * momentum.StochRSIIndicator(close, 14).stochrsi(),
        "macd_histogram": trend.MACD(close).macd_diff(),
        "bollinger": volatility.BollingerBands(close, 20, 2).bollinger_pband(),
        "atr": volatility.AverageTrueRange(high, low, close, 14).average_true_range(),
        "adx": trend.ADXIndicator(high, low, close, 14).adx(),
        "ema_20": trend.EMAIndicator(close, 20).ema_indicator(),
        "ema_50": trend.EMAIndicator(close, 50).ema_indicator(),
        "obv": obv - obv.rolling(20).mean(),
        "vwap": volume.VolumeWeightedAveragePrice(
            high, low, close, traded, 24
        ).volume_weighted_average_price(),
        "volume_delta": traded.diff(),
        "volume_ratio": traded / traded.rolling(10).mean(),
        "log_return": returns,
        "realised_volatility": returns.rolling(24).std(),
    }


def pairs_with_talib(bars):
    """Return (name, ours, TA-Lib's) of each indicator that both have."""
    import talib

    close, high, low, traded = bars.close, bars.high, bars.low, bars.volume
    return [
        ("RSI", lambda: price.rsi(close, 14), lambda: talib.RSI(close, 14)),
        ("MACD histogram", lambda: price.macd_histogram(close, 12, 26, 9), lambda: talib.MACD(close)[2]),
        ("Bollinger bands", lambda: price.bollinger_bands(close, 20, 2.0), lambda: talib.BBANDS(close, 20)),
        ("ATR", lambda: price.atr(high, low, close, 14), lambda: talib.ATR(high, low, close, 14)),
        ("ADX", lambda: price.adx(high, low, close, 14), lambda: talib.ADX(high, low, close, 14)),
        ("EMA 20", lambda: price.ema(close, 20), lambda: talib.EMA(close, 20)),
        ("EMA 50", lambda: price.ema(close, 50), lambda: talib.EMA(close, 50)),
        ("OBV (nearest)", lambda: of_volume.obv(close, traded, 20), lambda: talib.OBV(close, traded)),
        ("log return (nearest)", lambda: price.log_return(close), lambda: talib.ROC(close, 1)),
        (
            "volatility (nearest)",
            lambda: price.realised_volatility(close, 24),
            lambda: talib.STDDEV(close, 24),
        ),
    ]


def _require_same(frame, values) -> None:
    """Compare with `ta`, past the warm-up; ADX parts ways where high and low move equally (docs/decisions.md)."""
    for name, series in values.items():
        ours, theirs = frame.column(name)[WARMUP:], series.to_numpy()[WARMUP:]
        if name == "adx":
            agreed = float(np.isclose(ours, theirs, rtol=1e-6, atol=1e-6).mean())
            if agreed < 0.7:
                raise SystemExit(f"adx agrees on {agreed:.0%} of the bars")
            continue
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6 * np.nanstd(theirs), err_msg=name)


def _require_same_as_talib(pairs) -> None:
    for name, ours, theirs in pairs:
        if "nearest" in name:
            continue
        first, second = (np.atleast_2d(np.asarray(compute()))[0][WARMUP:] for compute in (ours, theirs))
        agreed = float(np.isclose(first, second, rtol=1e-6, atol=1e-6 * np.nanstd(second)).mean())
        if agreed < (0.7 if name == "ADX" else 1):
            raise SystemExit(f"{name} agrees on {agreed:.1%} of the bars")


def measure(repeats: int) -> list[Row]:
    warnings.simplefilter("ignore")
    bars, million = long_bars(), long_bars(MILLION)
    frame = pd.DataFrame({name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")})
    _require_same(compute_features(bars), by_ta(frame))
    jobs = {"ours": lambda: compute_features(bars), "ta": lambda: by_ta(frame)}
    pairs = pairs_with_talib(bars)
    _require_same_as_talib(pairs)
    jobs |= {f"ours {name}": ours for name, ours, _ in pairs}
    jobs |= {f"TA-Lib {name}": theirs for name, _, theirs in pairs}
    medians = median_seconds(jobs, repeats)
    grown = median_seconds({"million": lambda: compute_features(million)}, 3)["million"]
    ours = sum(seconds for name, seconds in medians.items() if name.startswith("ours "))
    talib = sum(seconds for name, seconds in medians.items() if name.startswith("TA-Lib"))
    per_bar = grown / MILLION * LONG
    return [
        Row(
            job=f"14 features, {LONG:,} bars",
            ours=medians["ours"],
            against="`ta` (and pandas)",
            theirs=medians["ta"],
            goal=15,
        ),
        Row(
            job=f"the {len(pairs)} indicators TA-Lib has, {LONG:,} bars",
            ours=ours,
            against="TA-Lib",
            theirs=talib,
            goal=4,
            at_most=True,
        ),
        Row(
            job=f"14 features, {LONG:,} bars at the pace of {MILLION:,}",
            ours=per_bar,
            against=f"{LONG:,} bars by themselves",
            theirs=medians["ours"],
            goal=1.5,
            at_most=True,
            note="1 is linear growth",
        ),
        *(
            Row(
                job=f"{name}, {LONG:,} bars",
                ours=medians[f"ours {name}"],
                against="TA-Lib",
                theirs=medians[f"TA-Lib {name}"],
            )
            for name, _, _ in pairs
        ),
    ]


if __name__ == "__main__":
    options = arguments(__doc__, bars=False, repeats=5)
    print_rows(measure(options.repeats), as_json=options.json)
