"""The networks, in backend-neutral Keras 3."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from crypto_refactor.model.settings import RECIPE, Recipe

N_INPUTS = 14
CLIP = 5.0
_THREADS = {"TF_NUM_INTRAOP_THREADS": str(RECIPE.threads), "TF_NUM_INTEROP_THREADS": "1"}


def import_keras() -> Any:
    """Import Keras with the thread count that belongs to the recipe.

    TensorFlow reads it from the environment once, when it starts; `needs_fresh_process` tells whether
    it already has.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.update(_THREADS)
        # It warns of every further network that a process fits.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _without_native_noise():
        import keras

        # The first tensor makes the backend look for devices, which it comments on too.
        keras.ops.zeros(1)
    return keras


@contextmanager
def _without_native_noise() -> Iterator[None]:
    """Keep TensorFlow's C++ start-up messages, which no logging setting reaches, off the screen."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def needs_fresh_process() -> bool:
    """Whether TensorFlow was started in this process with other threads than the recipe's."""
    return "tensorflow" in sys.modules and any(os.environ.get(k) != v for k, v in _THREADS.items())


def documented(keras: Any, x: Any, recipe: Recipe) -> Any:
    """Three LSTM layers, 256 -> 128 -> 64, shape (batch, lookback, 14) -> (batch, 64)."""
    return _recurrent(keras, x, (256, 128, 64), (0.3, 0.3, 0.2), recipe)


def small(keras: Any, x: Any, recipe: Recipe) -> Any:
    """Three LSTM layers, 32 -> 16 -> 8, for tests, demonstrations and seed studies."""
    return _recurrent(keras, x, (32, 16, 8), (0.3, 0.3, 0.2), recipe)


def _recurrent(keras: Any, x: Any, units: Sequence[int], dropouts: Sequence[float], recipe: Recipe) -> Any:
    for depth, (width, dropout) in enumerate(zip(units, dropouts, strict=True)):
        x = keras.layers.LSTM(
            width,
            return_sequences=depth + 1 < len(units),
            kernel_regularizer=keras.regularizers.L2(recipe.l2),
            # cuDNN's kernel has no ONNX form, and other weights: one kernel everywhere.
            use_cudnn=False,
        )(x)
        x = keras.layers.Dropout(dropout)(x)
        x = keras.layers.BatchNormalization()(x)
    return x


NETWORKS = {"documented": documented, "small": small}


def scaled(keras: Any, x: Any, median: Sequence[float], iqr: Sequence[float]) -> Any:
    """Scale raw model inputs, last axis 14, with a fit slice's statistics, and clip them to +-5.

    Parameters
    ----------
    keras : module
        From `import_keras`.
    x : tensor
        Symbolic or not: inside a network these are its first layers.
    median, iqr : sequence of 14 floats
        Statistics of the fit slice, `iqr` above 0.
    """
    layers = keras.layers
    scale = [1 / (CLIP * width) for width in iqr]
    offset = [-middle * factor for middle, factor in zip(median, scale, strict=True)]
    x = layers.Rescaling(scale=scale, offset=offset, name="robust_scale")(x)
    x = layers.Activation("hard_tanh", name="clip")(x)
    return layers.Rescaling(scale=CLIP, name="unclip_scale")(x)


def _forecast(keras: Any, x: Any, name: str, recipe: Recipe) -> Any:
    """All layers behind the scaling."""
    layers, penalty = keras.layers, keras.regularizers.L2(recipe.l2)
    x = layers.BatchNormalization()(x)
    x = NETWORKS[name](keras, x, recipe)
    x = layers.Dense(64, activation="swish", kernel_regularizer=penalty)(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(32, activation="swish", kernel_regularizer=penalty)(x)
    return layers.Dense(1, name="forecast")(x)


def build(
    keras: Any,
    name: str,
    lookback: int,
    median: Sequence[float],
    iqr: Sequence[float],
    recipe: Recipe = RECIPE,
) -> Any:
    """Build a network that takes raw model inputs, shape (batch, lookback, 14), and returns (batch, 1).

    Scaling with the fit slice's median and interquartile range and clipping to +-5 are layers of the
    network, so that no scaler can ever be fitted on what is scored.

    Parameters
    ----------
    keras : module
        From `import_keras`.
    name : str
        A key of `NETWORKS`.
    lookback : int
        Bars per window.
    median, iqr : sequence of 14 floats
        Statistics of the fit slice, `iqr` above 0.
    recipe : Recipe
        Gives the L2 weight.
    """
    inputs = keras.Input((lookback, N_INPUTS), name="features")
    x = scaled(keras, inputs, median, iqr)
    return keras.Model(inputs, _forecast(keras, x, name, recipe), name=f"{name}_lstm")


def build_core(keras: Any, name: str, lookback: int, recipe: Recipe = RECIPE) -> Any:
    """Build the same network without its scaling: it takes inputs that are `scaled`, and has the same weights."""
    inputs = keras.Input((lookback, N_INPUTS), name="scaled_features")
    return keras.Model(inputs, _forecast(keras, inputs, name, recipe), name=f"{name}_core")
