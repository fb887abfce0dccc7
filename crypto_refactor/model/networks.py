"""The registry of networks: the layers between the scaled features and the dense layers of a residual.

Keras arrives as an argument, so that the names are known without importing it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from crypto_refactor.model.recipe import Recipe

Network = Callable[[Any, Any, Recipe], Any]
"""Keras, the scaled features (batch, lookback, inputs) and the recipe -> what the dense layers read (batch, units)."""


def _lstm_stack(units: Sequence[int], keras: Any, x: Any, recipe: Recipe) -> Any:
    """Three LSTM layers of `units`, each followed by batch normalisation and dropout."""
    for depth, (width, dropout) in enumerate(zip(units, (0.3, 0.3, 0.2), strict=True)):
        x = keras.layers.LSTM(
            width,
            return_sequences=depth + 1 < len(units),
            kernel_regularizer=keras.regularizers.L2(recipe.l2),
            # cuDNN's kernel has no ONNX form, and other weights: one kernel everywhere.
            use_cudnn=False,
        )(x)
        # Dropout in front would give the statistics of thinned values, which are not the served ones.
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.Dropout(dropout)(x)
    return x


LINEAR = "linear"
NETWORKS: dict[str, Network | None] = {
    "documented": partial(_lstm_stack, (256, 128, 64)),
    "small": partial(_lstm_stack, (32, 16, 8)),  # for tests, demonstrations and seed studies
    LINEAR: None,  # the skip alone: fits in milliseconds, for long studies and many tickers
}
"""All networks, by the name that `--network` takes."""
