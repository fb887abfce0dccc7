"""The registry of networks: the layers between the scaled features and the dense layers of a residual.

Keras arrives as an argument, so that the names are known without importing it.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

from crypto_refactor.model.recipe import Recipe
from crypto_refactor.plugins import Network as DeclaredNetwork
from crypto_refactor.plugins import NetworkBuilder, PluginFile, all_networks, require_new_names, running


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
NETWORKS: dict[str, NetworkBuilder | None] = {
    "documented": partial(_lstm_stack, (256, 128, 64)),
    "small": partial(_lstm_stack, (32, 16, 8)),  # for tests, demonstrations and seed studies
    LINEAR: None,  # the skip alone: fits in milliseconds, for long studies and many tickers
}
"""The built-in networks, by the name that `--network` takes."""


@lru_cache(maxsize=32)
def networks_of(plugins: tuple[PluginFile, ...]) -> Mapping[str, NetworkBuilder | None]:
    """Return the built-in networks and those of `plugins`, by name.

    Raises
    ------
    PluginError
        If a plug-in cannot be loaded, or a name is taken.
    """
    declared = all_networks(plugins)
    require_new_names(declared, tuple(NETWORKS), "network")
    return NETWORKS | {network.name: _checked(network) for network in declared}


def _checked(network: DeclaredNetwork) -> NetworkBuilder:
    """Return the builder of a plug-in's network, which raises PluginError where dense layers cannot read its output."""
    expected = "a Keras tensor of shape (batch, units)."

    def build(keras: Any, x: Any, recipe: Recipe) -> Any:
        with running(lambda problem: network.origin.error(f"it fails with {problem}", expected=expected)):
            built = network.build(keras, x, recipe)
        shape = getattr(built, "shape", None)
        if shape is None or len(shape) != 2 or shape[1] is None:
            raise network.origin.error(f"it gives the shape {shape}", expected=expected)
        return built

    return build
