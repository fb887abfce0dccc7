"""Serving: forecasts from an ONNX graph, without TensorFlow in the process."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from crypto_refactor.arrays import Float32Array, FloatArray, RowArray
from crypto_refactor.errors import ModelError
from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.model.dataset import take_windows
from crypto_refactor.model.networks import NETWORKS

BATCH_ROWS = 64
"""Windows per batch: enough to fill a matrix product, few enough to keep every core busy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecaster:
    """A loaded network and the scale of its output.

    An output, in units of volatility, is multiplied by the volatility per bar, but at least by `volatility_floor`.
    """

    session: Any  # an onnxruntime.InferenceSession: (batch, lookback, inputs) float32 -> (batch, 1)
    lookback: int
    volatility_floor: float
    batch_rows: int = BATCH_ROWS

    def raw(self, windows: Float32Array) -> FloatArray:
        """Return the network's output, shape (m,), in units of volatility."""
        name = self.session.get_inputs()[0].name

        def batch(start: int) -> Float32Array:
            return np.asarray(
                self.session.run(None, {name: windows[start : start + self.batch_rows]})[0][:, 0]
            )

        starts = range(0, len(windows), self.batch_rows)
        if len(starts) == 1:
            return batch(0).astype(np.float64)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            batches = list(pool.map(batch, starts))
        return np.concatenate(batches).astype(np.float64) if batches else np.zeros(0)

    def forecast(self, windows: Float32Array, volatility: FloatArray) -> FloatArray:
        """Return the expected log return to the next close, shape (m,)."""
        return self.raw(windows) * np.maximum(volatility, self.volatility_floor)

    def forecast_rows(self, frame: FeatureFrame, rows: RowArray) -> FloatArray:
        """Return the forecasts made at the closes of `rows`, shape (m,), log returns."""
        volatility = frame.column("realised_volatility")[rows]
        return self.forecast(take_windows(frame.inputs.astype(np.float32), rows, self.lookback), volatility)


def load(onnx: bytes, *, network: str, lookback: int, volatility_floor: float, name: str) -> Forecaster:
    """Load the model `name`, of the `network`, from the bytes of its ONNX file.

    The built-in networks give the same bits whatever the batch.  Not every kernel does, a GRU's for example, so that a
    plug-in's network forecasts one window at a time: what is backtested is what is traded.

    Raises
    ------
    ModelError
        If onnxruntime cannot read it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Batches run side by side, one thread each: within a batch every step of an LSTM waits for the one before,
    # and threads would wait for each other.  The forecasts are the same to the last bit either way.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises a dozen private types with no common base
        raise ModelError(
            f"The network {name} cannot be loaded: {error}",
            expected="an ONNX graph that this tool has written.",
            remedy="remove the model with `crypto-refactor models --prune`, or train it again with --retrain.",
        ) from error
    batch_rows = BATCH_ROWS if network in NETWORKS else 1
    return Forecaster(
        session=session, lookback=lookback, volatility_floor=volatility_floor, batch_rows=batch_rows
    )
