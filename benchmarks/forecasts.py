"""Forecasts for 720 windows of 60 bars: the served graph compared with `keras` predict, warm, in one process.

    python benchmarks/forecasts.py [--repeats 9]

Documented network with untrained weights, which cost the same.  Keras gets all cores and the faster of two batch
sizes.  The limit is the float32 matrix product of this machine, measured in the same run.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from hardware_limits import matrix_rate
from harness import Row, arguments, long_bars, median_seconds, print_rows

from crypto_refactor.features.catalogue import WARMUP, indicator_names

WINDOWS, LOOKBACK = 720, 60
INPUTS = len(indicator_names())
UNITS = (256, 128, 64)


def forward_gflop(windows: int, lookback: int) -> float:
    """Return the operations of the matrix products of the three LSTM layers, in 10^9; a multiply-add counts as two."""
    widths = zip((INPUTS, *UNITS), UNITS, strict=False)
    return windows * lookback * sum(2 * 4 * units * (inputs + units) for inputs, units in widths) / 1e9


def measure(repeats: int) -> list[Row]:
    import keras

    from crypto_refactor.features.frame import compute_features
    from crypto_refactor.model import forecaster
    from crypto_refactor.model.dataset import take_windows
    from crypto_refactor.model.training.compiled_network import build

    frame = compute_features(long_bars(WARMUP + LOOKBACK + WINDOWS))
    windows = take_windows(frame.inputs.astype(np.float32), np.arange(WINDOWS) + WARMUP + LOOKBACK, LOOKBACK)
    keras.utils.set_random_seed(0)
    model = build(keras, "documented", LOOKBACK, [0.0] * INPUTS, [1.0] * INPUTS)
    model.predict(windows[:32], verbose=0)  # the exporter needs a model that has been called
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        model.export(path, format="onnx", verbose=False)
        served = forecaster.load(
            path.read_bytes(), network="documented", lookback=LOOKBACK, volatility_floor=1.0, name="untrained"
        )
    np.testing.assert_allclose(served.raw(windows), model.predict(windows, verbose=0)[:, 0], atol=1e-5)
    jobs = {
        "ours": lambda: served.raw(windows),
        "keras 32": lambda: model.predict(windows, verbose=0),
        "keras 256": lambda: model.predict(windows, batch_size=256, verbose=0),
    }
    seconds = median_seconds(jobs, repeats)
    cores = os.cpu_count() or 1
    rate, limit = forward_gflop(WINDOWS, LOOKBACK) / seconds["ours"], matrix_rate(cores)
    job = f"forecasts for {WINDOWS} windows of {LOOKBACK}"
    return [
        Row(
            job=job,
            ours=seconds["ours"],
            against="`keras` predict, warm",
            theirs=min(seconds["keras 32"], seconds["keras 256"]),
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
    options = arguments(__doc__, bars=False, repeats=9)
    print_rows(measure(options.repeats), as_json=options.json)
