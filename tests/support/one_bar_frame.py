"""One bar at a time: a feature frame whose every value is given by hand."""

from __future__ import annotations

import numpy as np
from support.stub_models import BTC, KNOWN

from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.features.frame import FeatureExtras, FeatureFrame
from crypto_refactor.market.bars import Bars
from crypto_refactor.signals.conditions import SignalRules, evaluate

OPENED = 474_000
UNDECIDED = {
    "rsi": 100.0,
    "stoch_rsi": 50.0,
    "macd_histogram": 0.0,
    "bollinger": 0.5,
    "atr": 2.0,
    "adx": 25.0,
    "ema_20": 100.0,
    "ema_50": 100.0,
    "obv": 0.0,
    "vwap": 100.0,
    "volume_delta": 0.0,
    "volume_ratio": 1.1,
    "log_return": 0.0,
    "realised_volatility": 0.012,
}
"""A close of 100 at which only `rsi` holds, for short: everything else stands on its boundary."""

LONG = {
    "rsi": ("rsi", 64.0),
    "macd": ("macd_histogram", 1.0),
    "obv": ("obv", 1.0),
    "vwap": ("vwap", 99.0),
    "price_trend": ("ema_20", 99.9),
    "ema_cross": ("ema_50", 99.0),
    "adx": ("adx", 26.0),
    "calm": ("realised_volatility", 0.001),
    "volume": ("volume_ratio", 1.2),
}
"""What makes each confirmation hold for long, and no other one."""


def frame_of(close=100.0, volatility_mean=0.01, *, synthetic=False, **values):
    """Return a frame of one bar; what is not given stands on its boundary."""
    row = UNDECIDED | values
    bars = Bars(
        ticker=BTC,
        source="files",
        opened=np.array([OPENED]),
        open=np.array([close]),
        high=np.array([close]),
        low=np.array([close]),
        close=np.array([close]),
        volume=np.ones(1),
    )
    extras = {name: np.array([100.0]) for name in FeatureExtras.__slots__}
    return FeatureFrame(
        bars=bars,
        names=indicator_names(),
        values=np.array([[row[name] for name in indicator_names()]]),
        inputs=np.zeros((1, 14)),
        ready=np.array([True]),
        position=np.array([1000]),
        extras=FeatureExtras(**(extras | {"volatility_mean": np.array([volatility_mean])})),
    )


def signal_of(frame, forecast, *, evidence=KNOWN, scale=0.0, **rules):
    """Evaluate the one bar of `frame`."""
    return evaluate(
        frame,
        np.array([0]),
        np.array([forecast]),
        evidence=evidence,
        threshold_scale=scale,
        rules=SignalRules(**rules),
    )
