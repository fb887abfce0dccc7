"""Forecasts for 720 windows of 60 bars: the served graph beside `keras` predict, warm, in one process.

    python benchmarks/forecasts.py [--repeats 9]

Documented network with untrained weights: what it computes costs the same.  Keras is given all cores and the
faster of two batch sizes.  The limit is this machine's float32 matrix product, measured in the same run.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from hardware_limits import matrix_rate
from harness import Row, arguments, long_bars, median_seconds, tell

WINDOWS, LOOKBACK, INPUTS = 720, 60, 14
UNITS = (256, 128, 64)


def forward_gflop(windows: int, lookback: int) -> float:
    """Return what the matrix products of the three LSTM layers cost, a multiplication and an addition counted as two."""
    widths = zip((INPUTS, *UNITS), UNITS, strict=False)
    return windows * lookback * sum(2 * 4 * units * (inputs + units) for inputs, units in widths) / 1e9


def measure(repeats: int) -> list[Row]:
    import keras

    from crypto_refactor.features.catalogue import WARMUP
    from crypto_refactor.features.frame import compute_features
    from crypto_refactor.model import forecaster
    from crypto_refactor.model.dataset import take_windows
    from crypto_refactor.model.training.network import build

    frame = compute_features(long_bars(WARMUP + LOOKBACK + WINDOWS))
    windows = take_windows(frame.inputs.astype(np.float32), np.arange(WINDOWS) + WARMUP + LOOKBACK, LOOKBACK)
    keras.utils.set_random_seed(0)
    model = build(keras, "documented", LOOKBACK, [0.0] * INPUTS, [1.0] * INPUTS)
    model.predict(windows[:32], verbose=0)  # the exporter asks for a model that has been called
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        served = forecaster.load(path.read_bytes(), lookback=LOOKBACK, volatility_floor=1.0, name="untrained")
    np.testing.assert_allclose(served.raw(windows), model.predict(windows, verbose=0)[:, 0], atol=1e-5)
    jobs = {
        "ours": lambda: served.raw(windows),
        "keras 32": lambda: model.predict(windows, verbose=0),
        "keras 256": lambda: model.predict(windows, batch_size=256, verbose=0),
    }
    found = median_seconds(jobs, repeats)
    cores = os.cpu_count() or 1
    rate, limit = forward_gflop(WINDOWS, LOOKBACK) / found["ours"], matrix_rate(cores)
    job = f"forecasts for {WINDOWS} windows of {LOOKBACK}"
    return [
        Row(
            job=job,
            ours=found["ours"],
            against="`keras` predict, warm",
            theirs=min(found["keras 32"], found["keras 256"]),
            goal=2,
        ),
        Row(
            job=f"{job}, rate",
            ours=rate,
            against=f"NumPy float32 product, {cores} threads",
            theirs=limit,
            unit="GFLOP/s",
            goal=0.7,
        ),
    ]


if __name__ == "__main__":
    chosen = arguments(__doc__, bars=False, repeats=9)
    tell(measure(chosen.repeats), as_json=chosen.json)
