"""Fits a network and measures what it knows; writes nothing to a shared place."""

import hashlib
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crypto_refactor.arrays import Float32Array, FloatArray
from crypto_refactor.errors import ModelError
from crypto_refactor.model import evidence as ev
from crypto_refactor.model import forecaster
from crypto_refactor.model.artifact import TrainedModel
from crypto_refactor.model.dataset import InputScale, Split, TrainingSet, robust_scale, split
from crypto_refactor.model.recipe import RECIPE
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.compiled_network import (
    batch_shape,
    build,
    fresh_network,
    import_keras,
    scaled,
    without_bytecode,
)

VOLATILITY_FLOOR_SHARE = 0.1
SERVING_TOLERANCE = 1e-4
_MIN_VOLATILITY = 1e-8

Report = Callable[[int, float], None]
"""Receives the number of each epoch, from 1, and the stop slice's data loss."""


def _ignore(epoch: int, loss: float) -> None:
    """Report nothing."""


@without_bytecode()
def train(data: TrainingSet, settings: ModelSettings, report: Report = _ignore) -> TrainedModel:
    """Fit the network of `settings` on `data`.

    The first 70 % of the rows are fitted, the next 15 % stop the fit, the last 15 % measure the result.
    The same data, settings and seed give the same weights on the same machine.

    Raises
    ------
    ModelError
        If the loss is not finite, or the exported network does not compute what Keras computes.
    """
    parts = split(len(data))
    floor = max(VOLATILITY_FLOOR_SHARE * float(np.median(data.volatility[parts.fit])), _MIN_VOLATILITY)
    target = data.returns / np.maximum(data.volatility, floor)
    scale = robust_scale(data.fit_bars(parts.fit))
    model, losses = _fit(data, target.astype(np.float32), parts, scale, settings, report)
    windows = data.windows(parts.calibrate)
    expected = _keras_output(model, windows)  # before the export, which takes no model that was never called
    keras_file, onnx_file = _export(model)
    served = forecaster.load(
        onnx_file, lookback=settings.lookback, volatility_floor=floor, name="just trained"
    )
    _check_serving(expected, served.raw(windows))
    last_inputs = data.inputs[data.rows]
    ridge = ev.ridge_baseline(scale, last_inputs[parts.fit], target[parts.fit], last_inputs[parts.calibrate])
    evidence, threshold_scale = _calibrate(data, parts.calibrate, served, windows, ridge)
    return TrainedModel(
        keras=keras_file,
        onnx=onnx_file,
        weights=_weights_hash(model),
        volatility_floor=floor,
        threshold_scale=threshold_scale,
        evidence=evidence,
        epochs=len(losses),
        stop_loss=min(losses),
    )


def _calibrate(
    data: TrainingSet, rows: slice, served: forecaster.Forecaster, windows: Float32Array, ridge: FloatArray
) -> tuple[ev.Evidence, float]:
    """Return the evidence for a network and its threshold scale; `ridge` is in units of volatility."""
    volatility, close, atr = data.volatility[rows], data.close[rows], data.atr[rows]
    forecast = served.forecast(windows, volatility)
    baseline = ridge * np.maximum(volatility, served.volatility_floor)
    unit = ev.threshold_unit(atr, volatility, close)
    evidence = ev.calibrate(forecast, data.returns[rows], atr / close, baseline)
    return evidence, ev.threshold_scale(forecast, close, unit)


def _fit(
    data: TrainingSet,
    target: Float32Array,
    parts: Split,
    scale: InputScale,
    settings: ModelSettings,
    report: Report,
) -> tuple[Any, list[float]]:
    """Return the fitted network, for raw inputs and never compiled, and the stop slice's data loss of each epoch."""
    keras = import_keras()
    scale_lists = scale.median.tolist(), scale.iqr.tolist()
    batch = RECIPE.batch_size(parts.fit.stop)
    shapes = (
        batch_shape(parts.fit.stop, batch),
        batch_shape(parts.stop.stop - parts.stop.start, batch),
    )
    network = fresh_network(settings.network, settings.lookback, settings.seed, *shapes)
    inputs = replace(data, inputs=np.asarray(scaled(keras, data.inputs, *scale_lists)))
    losses = network.fit(
        inputs.windows(parts.fit),
        target[parts.fit],
        validation_data=(inputs.windows(parts.stop), target[parts.stop]),
        batch_size=batch,
        epochs=RECIPE.max_epochs,
        callbacks=_callbacks(keras, report),
        verbose=0,
    ).history["val_data_loss"]
    if not np.isfinite(losses).all():
        raise ModelError(
            f"Training diverged: the losses on the stop slice are {losses}.",
            expected="finite losses.",
            remedy="look at the bars with `python3 models/data/app.py`, or try another --seed.",
        )
    # Without optimizer state the files are two thirds smaller.
    model = build(keras, settings.network, settings.lookback, *scale_lists)
    model.set_weights(network.get_weights())
    return model, [float(loss) for loss in losses]


def _callbacks(keras: Any, report: Report) -> list[Any]:
    """Return early stopping, the halving of the learning rate, and the report of each epoch."""
    monitor = {"monitor": "val_data_loss", "mode": "min"}
    return [
        keras.callbacks.EarlyStopping(patience=RECIPE.patience, restore_best_weights=True, **monitor),
        keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=RECIPE.rate_patience, **monitor),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: report(epoch + 1, float(logs["val_data_loss"]))
        ),
    ]


def _keras_output(model: Any, windows: Float32Array) -> Float32Array:
    """Return what Keras computes, a few windows at a time; compiling a graph would cost more."""
    starts = range(0, len(windows), forecaster.BATCH_ROWS)
    parts = [model(windows[start : start + forecaster.BATCH_ROWS], training=False) for start in starts]
    return np.concatenate([np.asarray(part)[:, 0] for part in parts])


def _export(model: Any) -> tuple[bytes, bytes]:
    try:
        return _export_through_files(model)
    except OSError as error:
        raise ModelError(
            f"The fitted network cannot be written to the temporary folder: {error.strerror or error}.",
            expected="free space there.",
            remedy="free space, or set TMPDIR to another folder.",
        ) from error


def _export_through_files(model: Any) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        keras_file, onnx_file = Path(folder) / "model.keras", Path(folder) / "model.onnx"
        model.save(keras_file)
        with warnings.catch_warnings():
            # Keras' exporter still looks for NumPy 1's `np.object`.
            warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
            model.export(onnx_file, format="onnx", verbose=False)
        return keras_file.read_bytes(), onnx_file.read_bytes()


def _weights_hash(model: Any) -> str:
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(str(weight.shape).encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:16]


def _check_serving(computed: Float32Array, served: FloatArray) -> None:
    """Refuse an export that does not compute what Keras computes."""
    difference = float(np.abs(served - computed).max())
    # A constant forecast has no spread; float32's own resolution is the floor.
    allowed = SERVING_TOLERANCE * max(float(computed.std()), 1e-3 * float(np.abs(computed).max()), 1e-6)
    if difference > allowed:
        raise ModelError(
            f"The exported network differs from Keras by {difference:.3g}.",
            expected=f"at most {allowed:.3g}.",
            remedy="report this with the versions of keras, tensorflow, tf2onnx and onnxruntime.",
        )
