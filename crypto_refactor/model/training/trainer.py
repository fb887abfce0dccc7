"""Fitting a network and measuring what it knows.  Nothing is written to any shared place here."""

from __future__ import annotations

import hashlib
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from crypto_refactor.arrays import Float32Array, FloatArray
from crypto_refactor.errors import ModelError
from crypto_refactor.model import evidence as ev
from crypto_refactor.model import forecaster
from crypto_refactor.model.dataset import Split, TrainingSet, split
from crypto_refactor.model.settings import RECIPE, ModelSettings
from crypto_refactor.model.training.compiled import fresh_network, shape
from crypto_refactor.model.training.network import CLIP, build, import_keras, scaled

IQR_FLOOR = 1e-6
VOLATILITY_FLOOR_SHARE = 0.1
SERVING_TOLERANCE = 1e-4
_TINY_VOLATILITY = 1e-8

Report = Callable[[int, float], None]
"""Called after each epoch with its number, from 1, and the stop slice's data loss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A fitted network, ready to be written or sent to another process.

    Attributes
    ----------
    keras, onnx : bytes
        The two files.
    weights : str
        Hash of the weight arrays: equal for equal weights, whenever and wherever they were trained.
    volatility_floor : float
        See `forecaster.Forecaster`.
    threshold_scale : float
        c of the dynamic threshold.
    evidence : Evidence
        From the calibration slice.
    epochs : int
        Epochs trained.
    stop_loss : float
        Best data loss on the stop slice.
    """

    keras: bytes
    onnx: bytes
    weights: str
    volatility_floor: float
    threshold_scale: float
    evidence: ev.Evidence
    epochs: int
    stop_loss: float


def _ignore(epoch: int, loss: float) -> None:
    """Report to nobody."""


def train(data: TrainingSet, settings: ModelSettings, report: Report = _ignore) -> TrainedModel:
    """Fit the network of `settings` on `data`.

    The first 70 % of the rows are fitted, the next 15 % stop the fit, the last 15 % measure the result.
    The same data, settings and seed give the same weights on the same machine.

    Raises
    ------
    ModelError
        If the loss is not finite, or the exported network does not serve what Keras computes.
    """
    keras = import_keras()
    parts = split(len(data))
    floor = max(VOLATILITY_FLOOR_SHARE * float(np.median(data.volatility[parts.fit])), _TINY_VOLATILITY)
    target = data.returns / np.maximum(data.volatility, floor)
    median, iqr = robust_scale(data.bars_seen(parts.fit))
    scale = median.tolist(), iqr.tolist()
    model, history = _fit(keras, data, target.astype(np.float32), parts, scale, settings, report)
    # Saved and served is a copy that was never compiled: no optimizer state, two thirds smaller.
    bare = build(keras, settings.network, settings.lookback, *scale)
    bare.set_weights(model.get_weights())
    held_out = data.windows(parts.calibrate)
    computed = _computed(bare, held_out)
    files = _export(bare)
    served = forecaster.load(
        files[1], lookback=settings.lookback, volatility_floor=floor, name="just trained"
    )
    _check_serving(computed, served.raw(held_out))
    volatility = data.volatility[parts.calibrate]
    forecast = served.forecast(held_out, volatility)
    ridge = _ridge(data.inputs[data.rows], target, median, iqr, parts) * np.maximum(volatility, floor)
    close, atr = data.close[parts.calibrate], data.atr[parts.calibrate]
    unit = ev.threshold_unit(atr, volatility, close)
    return TrainedModel(
        keras=files[0],
        onnx=files[1],
        weights=_weights_hash(bare),
        volatility_floor=floor,
        threshold_scale=ev.threshold_scale(forecast, close, unit),
        evidence=ev.calibrate(forecast, data.returns[parts.calibrate], atr / close, ridge),
        epochs=len(history),
        stop_loss=min(history),
    )


def robust_scale(inputs: Float32Array) -> tuple[FloatArray, FloatArray]:
    """Return the median and the interquartile range (at least 1e-6) of each column, shape (14,)."""
    low, middle, high = np.percentile(inputs.astype(np.float64), [25, 50, 75], axis=0)
    return middle, np.maximum(high - low, IQR_FLOOR)


def _fit(
    keras: Any,
    data: TrainingSet,
    target: Float32Array,
    parts: Split,
    scale: tuple[list[float], list[float]],
    settings: ModelSettings,
    report: Report,
) -> tuple[Any, list[float]]:
    """Return the fitted network, which takes scaled inputs, and the stop slice's data loss after each epoch."""
    batch = RECIPE.batch_size(parts.fit.stop)
    fit_rows, stop_rows = parts.fit.stop, parts.stop.stop - parts.stop.start
    model = fresh_network(settings, shape(fit_rows, batch), shape(stop_rows, batch))
    inputs = replace(data, inputs=np.asarray(scaled(keras, data.inputs, *scale)))
    watched = {"monitor": "val_data_loss", "mode": "min"}
    callbacks = [
        keras.callbacks.EarlyStopping(patience=RECIPE.patience, restore_best_weights=True, **watched),
        keras.callbacks.ReduceLROnPlateau(factor=0.5, patience=RECIPE.rate_patience, **watched),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: report(epoch + 1, float(logs["val_data_loss"]))
        ),
    ]
    history = model.fit(
        inputs.windows(parts.fit),
        target[parts.fit],
        validation_data=(inputs.windows(parts.stop), target[parts.stop]),
        batch_size=batch,
        epochs=RECIPE.max_epochs,
        callbacks=callbacks,
        verbose=0,
    ).history["val_data_loss"]
    if not np.isfinite(history).all():
        raise ModelError(
            f"Training diverged: the losses on the stop slice are {history}.",
            expected="finite losses.",
            remedy="look at the bars with `python3 models/data/app.py`, or try another --seed.",
        )
    return model, [float(loss) for loss in history]


def _computed(model: Any, windows: Float32Array) -> Float32Array:
    """Return what Keras computes, a few windows at a time; compiling a graph for it would cost more."""
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
    """Refuse an export that does not serve what Keras computes."""
    difference = float(np.abs(served - computed).max())
    # A constant forecast has no spread; float32's own resolution is the floor.
    allowed = SERVING_TOLERANCE * max(float(computed.std()), 1e-3 * float(np.abs(computed).max()), 1e-6)
    if difference > allowed:
        raise ModelError(
            f"The exported network differs from Keras by {difference:.3g}.",
            expected=f"at most {allowed:.3g}.",
            remedy="report this with the versions of keras, tensorflow, tf2onnx and onnxruntime.",
        )


def _ridge(
    last: Float32Array, target: FloatArray, median: FloatArray, iqr: FloatArray, parts: Split
) -> FloatArray:
    """Return the ridge's forecasts for the calibration slice, in units of volatility."""
    scaled = np.clip((last - median) / iqr, -CLIP, CLIP)
    clipped = np.clip(target, -CLIP, CLIP)
    return ev.ridge_forecast(scaled[parts.fit], clipped[parts.fit], scaled[parts.calibrate])
