"""The one decision path: features and a model give signals, whoever asks.

`app_lstm`, the backtest and every kind of trading come through here.
"""

from __future__ import annotations

import numpy as np

from crypto_refactor.arrays import RowArray
from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.dataset import has_full_window
from crypto_refactor.model.forecaster import Forecaster
from crypto_refactor.signals.conditions import SignalFrame, SignalRules, evaluate


def decidable_rows(frame: FeatureFrame, lookback: int, first: int, last: int) -> RowArray:
    """Return the positions of the bars that close at hours ``first … last`` and can be decided on."""
    closed = frame.bars.closed
    return np.flatnonzero(has_full_window(frame, lookback) & (closed >= first) & (closed <= last))


def decide_signals(
    model: Model,
    frame: FeatureFrame,
    rows: RowArray,
    rules: SignalRules,
    *,
    forecaster: Forecaster | None = None,
) -> SignalFrame:
    """Return the signals `model` gives at the closes of `rows`; its `forecaster` where it is loaded already."""
    forecast = (forecaster or model.forecaster()).forecast_rows(frame, rows)
    card = model.card
    return evaluate(
        frame,
        rows,
        forecast,
        evidence=card.evidence,
        threshold_scale=card.threshold_scale,
        rules=rules,
    )
