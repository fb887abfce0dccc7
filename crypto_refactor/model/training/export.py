"""Writes a fitted model as Keras' file and as an ONNX graph, and checks that both compute the same."""

import hashlib
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from crypto_refactor.arrays import Float32Array, FloatArray
from crypto_refactor.errors import ModelError
from crypto_refactor.model import forecaster
from crypto_refactor.model.recipe import CLIP
from crypto_refactor.model.skip import Skip

SERVING_TOLERANCE = 1e-4
ONNX_OPSET, ONNX_IR = 17, 8
"""Versions of the format of our own graphs, old enough for every onnxruntime that is allowed."""


def keras_output(model: Any, windows: Float32Array) -> Float32Array:
    """Return what Keras computes, a few windows at a time; compiling a graph would cost more."""
    starts = range(0, len(windows), forecaster.BATCH_ROWS)
    parts = [model(windows[start : start + forecaster.BATCH_ROWS], training=False) for start in starts]
    return np.concatenate([np.asarray(part)[:, 0] for part in parts])


def export(model: Any, lookback: int, alone: Skip | None) -> tuple[bytes, bytes]:
    """Return the ``.keras`` and the ``.onnx`` file of a model.

    `alone` is its skip where the model has no residual, or one that forecasts 0: the graph then leaves it out.

    Raises
    ------
    ModelError
        If the temporary folder cannot be written.
    """
    try:
        return _export_through_files(model, lookback, alone)
    except OSError as error:
        raise ModelError(
            f"The fitted network cannot be written to the temporary folder: {error.strerror or error}.",
            expected="free space there.",
            remedy="free space, or set TMPDIR to another folder.",
        ) from error


def _export_through_files(model: Any, lookback: int, alone: Skip | None) -> tuple[bytes, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        keras_file, onnx_file = Path(folder) / "model.keras", Path(folder) / "model.onnx"
        model.save(keras_file)
        if alone is not None:
            return keras_file.read_bytes(), skip_graph(alone, lookback)
        with warnings.catch_warnings():
            # Keras' exporter still looks for NumPy 1's `np.object`.
            warnings.filterwarnings("ignore", message=".*np.object.*", category=FutureWarning)
            model.export(onnx_file, format="onnx", verbose=False)
        return keras_file.read_bytes(), onnx_file.read_bytes()


def skip_graph(skip: Skip, lookback: int) -> bytes:
    """Return the ONNX graph of a skip alone: raw inputs (batch, lookback, k) -> (batch, 1), float32.

    It takes the steps of the Keras model.  Columns are added one after the other: the order in which a matrix product or
    a reduction sums depends on the size of the batch, and a forecast must not, not even in its last bit.
    """
    from onnx import TensorProto, helper, numpy_helper

    width = len(skip.weights)
    columns = [f"product_{column}" for column in range(width)]
    values = {
        "last": np.array(lookback - 1, dtype=np.int64),
        "factor": 1 / (CLIP * skip.scale.iqr),
        "offset": -skip.scale.median / (CLIP * skip.scale.iqr),
        "low": np.array(-1.0),
        "high": np.array(1.0),
        "weights": CLIP * skip.weights,
        "bias": np.array([skip.bias]),
    }
    node = helper.make_node
    nodes = [
        node("Gather", ["features", "last"], ["row"], axis=1),
        node("Mul", ["row", "factor"], ["shrunk"]),
        node("Add", ["shrunk", "offset"], ["scaled"]),
        node("Clip", ["scaled", "low", "high"], ["clipped"]),
        node("Mul", ["clipped", "weights"], ["products"]),
        node("Split", ["products"], columns, axis=1),
        node("Sum", [*columns, "bias"], ["forecast"]),
    ]
    floats = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "skip",
        [helper.make_tensor_value_info("features", floats, ["batch", lookback, width])],
        [helper.make_tensor_value_info("forecast", floats, ["batch", 1])],
        [numpy_helper.from_array(_single(value), name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", ONNX_OPSET)], ir_version=ONNX_IR)
    return bytes(model.SerializeToString())


def _single(value: Any) -> Any:
    return value if value.dtype == np.int64 else value.astype(np.float32)


def weights_hash(model: Any) -> str:
    """Return a hash of the weights of a model."""
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(str(weight.shape).encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()[:16]


def check_serving(computed: Float32Array, served: FloatArray) -> None:
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
