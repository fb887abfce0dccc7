"""Which inputs moved a forecast: by how much it differs when one input is held at its median in training.

Occlusion, after M. D. Zeiler and R. Fergus, "Visualizing and understanding convolutional networks", ECCV (2014).
"""

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.dataset import take_windows
from crypto_refactor.model.forecaster import Forecaster


def occlusion(model: Model, forecaster: Forecaster, frame: FeatureFrame, row: int) -> dict[str, float]:
    """Return by how much each input, by name, raised the forecast at `row` of `frame`, in log return."""
    inputs, names = frame.inputs.astype(np.float32), frame.names
    window = take_windows(inputs, np.array([row]), model.card.lookback)
    windows = np.repeat(window, len(names) + 1, axis=0)
    for column, median in enumerate(_medians(model, frame)):
        windows[column + 1, :, column] = median
    volatility = frame.column("realised_volatility")[[row] * len(windows)]
    forecasts = forecaster.forecast(windows, volatility)
    return dict(zip(names, (forecasts[0] - forecasts[1:]).tolist(), strict=True))


def _medians(model: Model, frame: FeatureFrame) -> FloatArray:
    """Return the median of each input over the bars that the model was trained on, or over all where none is at hand."""
    closed, card = frame.bars.closed, model.card
    trained = frame.ready & (closed > card.trained_from) & (closed <= card.trained_through)
    return np.asarray(np.median(frame.inputs[trained if trained.any() else frame.ready], axis=0))
