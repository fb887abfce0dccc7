"""The networks, in backend-neutral Keras 3: a linear skip from the last bar, and a residual from the whole window.

Compiling the graph of one training step takes as long as several epochs, and the graph is the same for every ticker
and cut-off.  So each process compiles it once; every fit then begins with the weights, random states and optimizer
state of a newly built network.  Its result is the same to the last bit, whichever fits came before.
"""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from crypto_refactor.model.recipe import CLIP, RECIPE
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.skip import Skip
from crypto_refactor.plugins import NetworkBuilder

_THREADS = {"TF_NUM_INTRAOP_THREADS": str(RECIPE.threads), "TF_NUM_INTEROP_THREADS": "1"}

SKIP_LAYER = "skip"
BatchShape = tuple[int, bool]
"""Rows per batch, and whether the last batch of an epoch is shorter: a graph is compiled for both."""


def import_keras() -> Any:
    """Import Keras with the thread count of the recipe.

    TensorFlow reads it from the environment once, when it starts; see `needs_fresh_process`.
    """
    if "tensorflow" not in sys.modules:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.update(_THREADS)
        # It warns about every further network that a process fits.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _without_native_noise(), _without_matplotlib():
        import keras

        # The first tensor makes the backend look for devices, and log about them.
        keras.ops.zeros(1)
    return keras


@contextmanager
def _without_native_noise() -> Iterator[None]:
    """Hide TensorFlow's C++ start-up messages, which no logging setting reaches."""
    sys.stderr.flush()
    stderr = os.dup(2)
    try:
        with Path(os.devnull).open("w") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@contextmanager
def _without_matplotlib() -> Iterator[None]:
    """Hide Matplotlib, which Keras imports where it is installed: it lists the fonts in the user's cache folder."""
    if "matplotlib" in sys.modules or "keras" in sys.modules:
        yield
        return
    sys.modules["matplotlib"] = None  # type: ignore[assignment]  # what makes its import an ImportError
    try:
        yield
    finally:
        del sys.modules["matplotlib"]


@contextmanager
def without_bytecode() -> Iterator[None]:
    """Write no compiled modules: TensorFlow imports generated ones from the temporary folder, and removes only them."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def needs_fresh_process() -> bool:
    """Whether TensorFlow was started in this process with another thread count than the recipe's."""
    return "tensorflow" in sys.modules and any(os.environ.get(k) != v for k, v in _THREADS.items())


def scaled(keras: Any, x: Any, median: Sequence[float], iqr: Sequence[float]) -> Any:
    """Scale raw model inputs, the last axis of `x`, by their `median` and `iqr`, and clip them to +-5.

    A symbolic tensor gets these steps as layers.
    """
    layers = keras.layers
    scale = [1 / (CLIP * width) for width in iqr]
    offset = [-middle * factor for middle, factor in zip(median, scale, strict=True)]
    x = layers.Rescaling(scale=scale, offset=offset, name="robust_scale")(x)
    x = layers.Activation("hard_tanh", name="clip")(x)
    return layers.Rescaling(scale=CLIP, name="unclip_scale")(x)


def build(keras: Any, settings: ModelSettings, skip: Skip) -> Any:
    """Build a model that takes raw model inputs, shape (batch, lookback, inputs), and returns (batch, 1).

    Its first layers are `scaled`, so that a scaler can never be fitted on rows that are scored.  The residual, left out
    where `settings` fit no network, forecasts 0 until it is given weights.
    """
    lookback, name = settings.lookback, settings.network if settings.fits_network else "linear"
    features = keras.Input((lookback, len(skip.weights)), name="features")
    x = scaled(keras, features, skip.scale.median.tolist(), skip.scale.iqr.tolist())
    dense = keras.layers.Dense(1, trainable=False, name=SKIP_LAYER)
    last = keras.layers.Flatten()(keras.layers.Cropping1D((lookback - 1, 0))(x))
    forecast = dense(last)
    dense.set_weights([skip.weights[:, None], np.array([skip.bias])])
    if settings.fits_network:
        forecast = keras.layers.Add(name="forecast")([forecast, _residual(keras, x, settings.builder)])
    return keras.Model(features, forecast, name=f"{name}_model")


def set_residual(model: Any, network: Any) -> None:
    """Give a model of `build` the residual of a fitted `network`."""
    own = {id(weight) for weight in model.get_layer(SKIP_LAYER).weights}
    weights = [weight for weight in model.weights if id(weight) not in own]
    for weight, value in zip(weights, network.weights, strict=True):
        weight.assign(value)


class ResidualShape(NamedTuple):
    """What decides the graph of a residual beside its batches."""

    name: str
    builder: NetworkBuilder | None
    lookback: int
    inputs: int


def _build_residual(keras: Any, shape: ResidualShape) -> Any:
    """Build the residual alone, for inputs that are `scaled` already."""
    features = keras.Input((shape.lookback, shape.inputs), name="scaled_features")
    return keras.Model(features, _residual(keras, features, shape.builder), name=f"{shape.name}_residual")


def _residual(keras: Any, x: Any, builder: NetworkBuilder | None) -> Any:
    """All layers of a residual after the scaling; the last one starts at 0."""
    assert builder is not None
    layers, penalty = keras.layers, keras.regularizers.L2(RECIPE.l2)
    x = layers.BatchNormalization()(x)
    x = builder(keras, x, RECIPE)
    x = layers.Dense(64, activation="swish", kernel_regularizer=penalty)(x)
    x = layers.Dropout(0.2)(x)
    x = layers.Dense(32, activation="swish", kernel_regularizer=penalty)(x)
    return layers.Dense(1, use_bias=False, kernel_initializer="zeros", name="residual")(x)


def batch_shape(rows: int, batch: int) -> BatchShape:
    """Return the shape of `rows` rows in batches of `batch`."""
    return min(rows, batch), rows > batch and rows % batch > 0


def fresh_network(settings: ModelSettings, inputs: int, fit: BatchShape, stop: BatchShape) -> Any:
    """Return the compiled residual of `settings` in its initial state, for so many inputs that are `scaled` already.

    Only fits with the same `fit` and `stop` slices share a graph: one that has served another shape may round
    differently.
    """
    keras = import_keras()
    shape = ResidualShape(settings.network, settings.builder, settings.lookback, inputs)
    network = _compiled(shape, fit, stop)
    # Layers are numbered from here on, so that saved names do not depend on earlier fits.
    keras.utils.clear_session()
    keras.utils.set_random_seed(settings.seed)
    fresh = _build_residual(keras, shape)
    for variable, value in zip(network.variables, fresh.variables, strict=True):
        variable.assign(value)
    for variable in network.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    network.optimizer.learning_rate = RECIPE.learning_rate
    return network


@lru_cache(maxsize=4)
def _compiled(shape: ResidualShape, _fit: BatchShape, _stop: BatchShape) -> Any:
    keras = import_keras()
    network = _build_residual(keras, shape)
    huber = partial(keras.losses.Huber, delta=RECIPE.huber_delta)
    network.compile(
        optimizer=keras.optimizers.Adam(RECIPE.learning_rate, clipvalue=RECIPE.clip_value),
        loss=huber(),
        # The same loss as a metric leaves the L2 penalty out: early stopping looks at it.
        metrics=[keras.metrics.MeanMetricWrapper(huber(reduction=None), name="data_loss")],
        jit_compile=False,
    )
    network.optimizer.build(network.trainable_variables)
    return network
