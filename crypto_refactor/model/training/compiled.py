"""The compiled network that the fits of a process share.

Compiling the graph of one training step takes as long as several epochs, and the graph is the same for every
ticker and cut-off.  So it is compiled once, and each fit begins by giving it the weights, the random states and
the optimizer state that a freshly built network would have: the result is the same to the last bit, whichever
fits came before.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from crypto_refactor.model.settings import RECIPE, ModelSettings
from crypto_refactor.model.training.network import build_core, import_keras

Shape = tuple[int, bool]
"""Rows per batch, and whether the last batch of an epoch is shorter: what a graph is compiled for."""


def shape(rows: int, batch: int) -> Shape:
    """Return what a graph that is fed `rows` rows in batches of `batch` is compiled for."""
    return min(rows, batch), rows > batch and rows % batch > 0


def fresh_network(settings: ModelSettings, fit: Shape, stop: Shape) -> Any:
    """Return a compiled network as it is before its first step, over inputs that are scaled.

    Parameters
    ----------
    settings : ModelSettings
        Network, lookback and seed.
    fit, stop : Shape
        Of the two slices.  A network is shared only among fits of the same shapes: a graph that has served
        another shape first may round differently.
    """
    keras = import_keras()
    network = _compiled(settings.network, settings.lookback, fit, stop)
    # Layers are numbered from here on, so that what is saved has the same names whichever fits came before.
    keras.utils.clear_session()
    keras.utils.set_random_seed(settings.seed)
    fresh = build_core(keras, settings.network, settings.lookback)
    for variable, value in zip(network.variables, fresh.variables, strict=True):
        variable.assign(value)
    for variable in network.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    network.optimizer.learning_rate = RECIPE.learning_rate
    return network


@lru_cache(maxsize=4)
def _compiled(name: str, lookback: int, _fit: Shape, _stop: Shape) -> Any:
    keras = import_keras()
    network = build_core(keras, name, lookback)
    huber = keras.losses.Huber
    network.compile(
        optimizer=keras.optimizers.Adam(RECIPE.learning_rate, clipvalue=RECIPE.clip_value),
        loss=huber(),
        # The same loss as a metric leaves the L2 penalty out: it is what stopping looks at.
        metrics=[keras.metrics.MeanMetricWrapper(huber(reduction=None), name="data_loss")],
        jit_compile=False,
    )
    network.optimizer.build(network.trainable_variables)
    return network
