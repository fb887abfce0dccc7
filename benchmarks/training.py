"""A fit of the documented network, compared with the plain recipe that tools of this kind use.

    python benchmarks/training.py --data-dir DIR [--seeds 5]

720 hours of BTC/USD, lookback 60.  Plain: Keras' default L2 (0.01), batches of 64, up to 100 epochs, early stopping
with patience 15 on the penalised loss, all cores.  Each fit runs in its own process, whose time includes start-up and
compiling.  Both are compared by the data loss (Huber, no penalty) of their final weights on the same stop slice.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from forecasts import forward_gflop
from harness import Row, arguments, json_of_process, labelled_set, print_rows

from crypto_refactor.market.ticker import Ticker

BTC, LOOKBACK, HOURS = Ticker("BTC", "USD"), 60, 720


def fit_ours(data, seed: int) -> dict[str, float]:
    """Fit by the recipe of this tool, with its single thread."""
    from crypto_refactor.model.settings import ModelSettings
    from crypto_refactor.model.training.trainer import train

    stamps = [time.perf_counter()]
    fitted = train(data, ModelSettings(seed=seed), lambda _epoch, _loss: stamps.append(time.perf_counter()))
    epochs = [later - earlier for earlier, later in pairwise(stamps[1:])]
    return {"loss": fitted.stop_loss, "epochs": fitted.epochs, "epoch": statistics.median(epochs)}


def fit_plain(data, seed: int) -> dict[str, float]:
    """Fit by the plain recipe: the same network, rows and slices."""
    import keras
    import numpy as np

    from crypto_refactor.model.dataset import robust_scale, split
    from crypto_refactor.model.training.compiled_network import _build_residual

    parts, target = split(len(data)), data.target.astype(np.float32)
    scaled = robust_scale(data.last_inputs[parts.fit]).apply(data.inputs).astype(np.float32)
    data = replace(data, inputs=scaled)
    keras.utils.set_random_seed(seed)
    model = _build_residual(keras, "documented", LOOKBACK)
    model.compile(optimizer="adam", loss=keras.losses.Huber(delta=0.5))
    stop = data.windows(parts.stop), target[parts.stop]
    history = model.fit(
        data.windows(parts.fit),
        target[parts.fit],
        validation_data=stop,
        batch_size=64,
        epochs=100,
        callbacks=[keras.callbacks.EarlyStopping(patience=15, restore_best_weights=True)],
        verbose=0,
    )
    predicted = model.predict(stop[0], verbose=0)[:, 0]
    return {
        "loss": float(keras.losses.huber(stop[1], predicted, delta=0.5)),
        "epochs": len(history.history["loss"]),
    }


def in_a_process(which: str, data_dir: Path, seed: int, hours: int = HOURS) -> dict[str, float]:
    start = time.perf_counter()
    fitted = json_of_process([__file__, "--fit", which, data_dir, seed, hours])
    return fitted | {"seconds": time.perf_counter() - start}


_PRODUCT = """
import time
from crypto_refactor.model.training.compiled_network import import_keras
keras = import_keras()
a = keras.random.normal((2048, 2048), seed=1)
best = float("inf")
for _ in range(15):
    start = time.perf_counter()
    keras.ops.convert_to_numpy(keras.ops.matmul(a, a))
    best = min(best, time.perf_counter() - start)
print(2 * 2048**3 / best / 1e9)
"""


def one_thread_product() -> float:
    """Return the fastest float32 product of the training library on one thread, GFLOP/s."""
    return float(json_of_process(["-c", _PRODUCT]))


def measure(data_dir: Path, seeds: int) -> list[Row]:
    ours, plain = [], []
    for seed in range(seeds):
        ours.append(in_a_process("ours", data_dir, seed))
        plain.append(in_a_process("plain", data_dir, seed))
    month = in_a_process("ours", data_dir, 0, 2160)

    def mean(runs, name):
        return statistics.mean(run[name] for run in runs)

    limit = one_thread_product()
    job = f"fit of {HOURS} h, lookback {LOOKBACK}, documented network, whole process, mean of {seeds} seeds"
    losses = f"stop loss {mean(ours, 'loss'):.4f} in {mean(ours, 'epochs'):.0f} epochs against {mean(plain, 'loss'):.4f} in {mean(plain, 'epochs'):.0f}"
    rows = [
        Row(
            job=job,
            ours=mean(ours, "seconds"),
            against="plain recipe, all cores",
            theirs=mean(plain, "seconds"),
            goal=4,
            note=losses,
        ),
        Row(
            job="its stop loss",
            ours=mean(ours, "loss"),
            against="plain recipe",
            theirs=mean(plain, "loss"),
            unit="Huber",
            goal=1,
            at_most=True,
        ),
    ]
    for name, rows_fitted, epoch in (
        ("batches of 64 (720 h)", int(0.7 * (HOURS - 2)), statistics.median(run["epoch"] for run in ours)),
        ("batches of 256 (2,160 h)", int(0.7 * 2158), month["epoch"]),
    ):
        # A forward pass counts once, a backward pass twice; each epoch ends with a forecast of the stop slice.
        gflop = 3 * forward_gflop(rows_fitted, LOOKBACK) + forward_gflop(
            int(rows_fitted * 0.15 / 0.7), LOOKBACK
        )
        rows.append(
            Row(
                job=f"epochs, {name}, one thread",
                ours=gflop / epoch,
                against="TensorFlow float32 product, one thread",
                theirs=limit,
                unit="GFLOP/s",
                goal=0.5,
            )
        )
    return rows


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "--fit":
        which, data_dir, seed, hours = sys.argv[2:]
        fit = fit_ours if which == "ours" else fit_plain
        print(json.dumps(fit(labelled_set(Path(data_dir), BTC, int(hours), LOOKBACK), int(seed))))
        return
    options = arguments(__doc__, seeds=5)
    print_rows(measure(options.data_dir, options.seeds), as_json=options.json)


if __name__ == "__main__":
    main()
