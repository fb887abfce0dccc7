"""The one decision path: features and a model give signals.

`app_lstm`, the backtest and every kind of trading come through here.
"""

import numpy as np

from crypto_refactor.arrays import FloatArray, RowArray
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
    """Return the signals of `model` at the closes of `rows`; `forecaster` is its network if already loaded."""
    forecast = (forecaster or model.forecaster()).forecast_rows(frame, rows)
    return signals_of(model, frame, rows, forecast, rules)


def signals_of(
    model: Model, frame: FeatureFrame, rows: RowArray, forecast: FloatArray, rules: SignalRules
) -> SignalFrame:
    """Turn the forecasts of `model` into signals."""
    return evaluate(
        frame,
        rows,
        forecast,
        evidence=model.card.evidence,
        threshold_scale=model.card.threshold_scale,
        rules=rules,
    )
