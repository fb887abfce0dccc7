"""Fits a residual: a network that learns, from zero, what the skip leaves of the targets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from crypto_refactor.arrays import Float32Array, FloatArray
from crypto_refactor.correlation import pearson
from crypto_refactor.errors import ModelError
from crypto_refactor.model.dataset import Split, TrainingSet
from crypto_refactor.model.recipe import RECIPE
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.skip import Skip
from crypto_refactor.model.training.compiled_network import batch_shape, fresh_network, import_keras, scaled

MIN_AGREEMENT = 0.95
_DATA_LOSS = "val_data_loss"

Report = Callable[[int, float], None]
"""Receives the number of each epoch, from 1, and the stop slice's data loss."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedResidual:
    """A network with the weights of its best epoch; forecasts are in units of volatility."""

    network: Any
    losses: tuple[float, ...]  # data loss of the stop slice: before training, then after each epoch
    best_epoch: int  # 0 is the state before training, which forecasts nothing
    forecast: FloatArray  # of the stop slice, by the best weights
    agreement: (
        float | None
    )  # correlation, on the fit slice, of served forecasts with those of batch statistics


def fit_residual(
    data: TrainingSet, target: FloatArray, skip: Skip, parts: Split, settings: ModelSettings, report: Report
) -> FittedResidual:
    """Fit the network of `settings` to `target`, what `skip` leaves of the targets, shape (m,).

    The weights of the epoch with the least loss on the stop slice stay.  The state before training is a candidate unless
    a residual is always asked for.

    Raises
    ------
    ModelError
        If the loss is not finite, or what is served is not what was trained.
    """
    keras = import_keras()
    scale = skip.scale.median.tolist(), skip.scale.iqr.tolist()
    inputs = replace(data, inputs=np.asarray(scaled(keras, data.inputs, *scale)))
    fit_windows, stop_windows = inputs.windows(parts.fit), inputs.windows(parts.stop)
    labels = target.astype(np.float32)
    trained_only = settings.residual == "always"
    batch = RECIPE.batch_size(len(fit_windows))
    shapes = (batch_shape(len(fit_windows), batch), batch_shape(len(stop_windows), batch))
    network = fresh_network(settings, len(skip.weights), *shapes)
    statistics = BatchStatistics(keras, network, fit_windows)
    statistics.keep()
    before = float(
        network.evaluate(stop_windows, labels[parts.stop], batch, verbose=0, return_dict=True)["data_loss"]
    )
    history = network.fit(
        fit_windows,
        labels[parts.fit],
        validation_data=(stop_windows, labels[parts.stop]),
        batch_size=batch,
        epochs=RECIPE.max_epochs,
        callbacks=_callbacks(keras, statistics, None if trained_only else before, report),
        verbose=0,
    ).history
    losses = (before, *(float(loss) for loss in history[_DATA_LOSS]))
    if not np.isfinite(losses).all():
        raise ModelError(
            f"Training diverged: the losses on the stop slice are {losses}.",
            expected="finite losses.",
            remedy="look at the bars with `python3 models/data/app.py`, or try another --seed.",
        )
    return FittedResidual(
        network=network,
        losses=losses,
        best_epoch=int(np.argmin(losses[trained_only:])) + trained_only,
        forecast=_served(network, stop_windows, batch),
        agreement=_agreement(network, statistics, fit_windows, batch),
    )


def _served(network: Any, windows: Float32Array, batch: int) -> FloatArray:
    return np.asarray(network.predict(windows, batch_size=batch, verbose=0)[:, 0], dtype=np.float64)


class BatchStatistics:
    """The statistics that batch normalisation serves with, taken from the fit slice.

    Keras keeps a moving average with momentum 0.99.  The few dozen steps of an hourly fit leave most of it at its
    initial values, so that another function is served than was trained.
    """

    def __init__(self, keras: Any, network: Any, windows: Float32Array) -> None:
        layers = keras.layers
        self._network = network
        self._norms = [layer for layer in network.layers if isinstance(layer, layers.BatchNormalization)]
        self._dropouts = [layer for layer in network.layers if isinstance(layer, layers.Dropout)]
        count = min(len(windows), RECIPE.statistics_rows)
        self._windows = windows[np.linspace(0, len(windows) - 1, count).astype(int)]

    def keep(self) -> None:
        """Serve with the statistics of the fit slice from here on."""
        with self._exact():
            self._network(self._windows, training=True)

    def forecast(self, windows: Float32Array) -> FloatArray:
        """Return the forecasts of one batch with its own statistics, as in training but without dropout."""
        before = [norm.get_weights() for norm in self._norms]
        with self._exact():
            forecast = np.asarray(self._network(windows, training=True)[:, 0], dtype=np.float64)
        for norm, weights in zip(self._norms, before, strict=True):
            norm.set_weights(weights)
        return forecast

    @contextmanager
    def _exact(self) -> Iterator[None]:
        """Within, a call in training mode keeps the statistics of its batch as they are, and drops nothing."""
        momenta, rates = [norm.momentum for norm in self._norms], [layer.rate for layer in self._dropouts]
        for norm in self._norms:
            norm.momentum = 0.0
        for layer in self._dropouts:
            layer.rate = 0.0
        try:
            yield
        finally:
            for norm, momentum in zip(self._norms, momenta, strict=True):
                norm.momentum = momentum
            for layer, rate in zip(self._dropouts, rates, strict=True):
                layer.rate = rate


def _agreement(network: Any, statistics: BatchStatistics, windows: Float32Array, batch: int) -> float | None:
    """Return how served forecasts correlate with those of large batches; None if the network forecasts a constant.

    Raises
    ------
    ModelError
        If they hardly do.
    """
    trained = np.empty(len(windows))
    batches = -(-len(windows) // RECIPE.statistics_rows)
    for first in range(batches):
        trained[first::batches] = statistics.forecast(windows[first::batches])
    agreement = pearson(_served(network, windows, batch), trained)
    if agreement is not None and agreement < MIN_AGREEMENT:
        raise ModelError(
            f"The forecasts served correlate with those trained at {agreement:.2f} only.",
            expected=f"{MIN_AGREEMENT} or more on the rows that were fitted.",
            remedy="report this with the command and the versions of keras and tensorflow; --residual never trains "
            "without the network.",
        )
    return agreement


def _callbacks(keras: Any, statistics: BatchStatistics, before: float | None, report: Report) -> list[Any]:
    """Return early stopping, the halving of the learning rate, and the report of each epoch.

    `before` is the loss before training, None if that state is no candidate.
    """
    monitor = {"monitor": _DATA_LOSS, "mode": "min"}

    class FromEpochZero(keras.callbacks.EarlyStopping):  # type: ignore[misc]  # Keras is untyped
        """Early stopping to which the state before training is a candidate."""

        def on_train_begin(self, logs: Any = None) -> None:
            super().on_train_begin(logs)
            if before is not None:
                self.best, self.best_weights = before, self.model.get_weights()

    class ServedStatistics(keras.callbacks.Callback):  # type: ignore[misc]
        """Look at the stop slice with the statistics that would be served."""

        def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002 - Keras passes it
            statistics.keep()

    return [
        ServedStatistics(),
        FromEpochZero(patience=RECIPE.patience, restore_best_weights=True, **monitor),
        keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=RECIPE.rate_patience, **monitor),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: report(epoch + 1, float(logs[_DATA_LOSS]))
        ),
    ]
