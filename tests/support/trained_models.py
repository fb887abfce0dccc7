"""Small networks, really trained: in a process of their own, once for all tests that want them.

Run as a script it trains them and pickles a `Lab`; TensorFlow never enters the process of the tests.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from filelock import FileLock

from crypto_refactor.errors import ModelError
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.market.sources.sample import SampleSource
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.artifact import TrainedModel
from crypto_refactor.model.dataset import labelled_rows, split, take_windows, training_set
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.skip import fit_skip

BTC = Ticker("BTC", "USD")
LOOKBACK = 12
SETTINGS = ModelSettings(
    lookback=LOOKBACK, network="small", residual="always", train_hours=240, refit_every=48
)
ROWS = 150
LATER = 300
"""Bars after the training rows on which networks are compared."""


@dataclass
class Lab:
    """What the process of its own found.

    diverged : what a fit said whose labels are not numbers
    other, trained : networks of one training set, seeds 1 and 0, fitted after that and after one of another
        length, in this order
    losses : what the fit of `trained` reported after each epoch
    alone : models of the same rows without a kept residual, by what was asked for
    agreement : how the residual that is served correlates with the one that was trained
    statistics : of each batch normalisation, what it serves with, and what its inputs on the fit slice have
    keras : what Keras computes from its saved file on windows of sample (and real) bars
    """

    diverged: str
    other: TrainedModel
    trained: TrainedModel
    losses: list[float]
    alone: dict[str, TrainedModel]
    agreement: float
    statistics: list[tuple[np.ndarray, np.ndarray]]
    keras: dict[str, np.ndarray]


def sample_frame():
    bars = SampleSource().bars(BTC, 0, 10**7).rows(0, 500 + LOOKBACK + ROWS + LATER)
    return compute_features(fill_gaps(bars))


def real_frame(folder):
    bars = FilesSource(Path(folder)).bars(BTC, 0, 10**7).rows(0, 500 + LOOKBACK + LATER)
    return compute_features(fill_gaps(bars))


def training_data(rows=ROWS):
    frame = sample_frame()
    return training_set(frame, labelled_rows(frame, LOOKBACK)[:rows], LOOKBACK)


def tampered(data):
    """The same training set but for everything after the fit slice (70 % of 150 - 2 rows: 103)."""
    after_fit = data.rows[102] + 1
    inputs = data.inputs.copy()
    inputs[after_fit:] *= 3
    returns = data.returns.copy()
    returns[103:] *= -2
    return replace(data, inputs=inputs, returns=returns)


def later_windows(frame):
    """Return the windows and the volatility of the last 300 bars."""
    rows = np.arange(len(frame) - LATER, len(frame))
    volatility = frame.column("realised_volatility")[rows]
    return take_windows(frame.inputs.astype(np.float32), rows, LOOKBACK), volatility


def once(shared, name, make):
    """Return what `make()` returns, called by whichever process of this test run comes first."""
    result = shared / f"{name}.pickle"
    with FileLock(shared / f"{name}.lock"):
        if not result.exists():
            result.write_bytes(pickle.dumps(make()))
    return pickle.loads(result.read_bytes())


def open_lab(shared, real_bars):
    """Return the lab of this test run."""

    def build():
        with tempfile.TemporaryDirectory() as folder:
            built = Path(folder) / "lab.pickle"
            run_alone(Path(__file__), str(built), str(real_bars))
            return pickle.loads(built.read_bytes())

    return once(shared, "lab", build)


def run_alone(script, *arguments):
    """Run a script in a fresh process and insist that it succeeds."""
    path = os.pathsep.join([str(Path(__file__).resolve().parent.parent), *sys.path])
    done = subprocess.run(
        [sys.executable, str(script), *arguments],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def _build(real_bars):
    import keras

    from crypto_refactor.model.training.trainer import train

    data = training_data()
    try:
        train(replace(data, returns=np.full(len(data), np.nan)), SETTINGS)
        diverged = "nothing"
    except ModelError as error:
        diverged = str(error)
    train(training_data(ROWS + 40), SETTINGS)
    other = train(data, replace(SETTINGS, seed=1))
    losses = []
    trained = train(data, SETTINGS, lambda _epoch, loss: losses.append(loss))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "saved.keras"
        file.write_bytes(trained.keras)
        model = keras.models.load_model(file)
    alone = {
        "linear": train(data, replace(SETTINGS, network="linear", residual="auto")),
        "never": train(data, replace(SETTINGS, residual="never")),
        "auto": train(data, replace(SETTINGS, residual="auto")),
    }
    agreement, statistics = _residual(keras, data)
    frames = {"sample": sample_frame()}
    if (Path(real_bars) / "btc_usd_1h.csv").is_file():
        frames["real"] = real_frame(real_bars)
    computed = {
        name: np.asarray(model.predict(later_windows(frame)[0], verbose=0))[:, 0]
        for name, frame in frames.items()
    }
    return Lab(
        diverged=diverged,
        other=other,
        trained=trained,
        losses=losses,
        alone=alone,
        agreement=agreement,
        statistics=statistics,
        keras=computed,
    )


def _residual(keras, data):
    """Fit the residual once more, and compare the statistics it serves with those of its activations."""
    from crypto_refactor.model.training.compiled_network import scaled
    from crypto_refactor.model.training.residual import fit_residual

    parts, target = split(len(data)), data.target
    skip = fit_skip(data.last_inputs[parts.fit], target[parts.fit])
    left = target - skip.forecast(data.last_inputs)
    fitted = fit_residual(data, left, skip, parts, SETTINGS, lambda _epoch, _loss: None)
    inputs = np.asarray(scaled(keras, data.inputs, skip.scale.median.tolist(), skip.scale.iqr.tolist()))
    windows = take_windows(inputs, data.rows[parts.fit], LOOKBACK)
    statistics = []
    for layer in fitted.network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            before = keras.Model(fitted.network.input, layer.input).predict(windows, verbose=0)
            kept = np.stack([np.asarray(layer.moving_mean), np.asarray(layer.moving_variance)])
            axes = tuple(range(before.ndim - 1))
            statistics.append((kept, np.stack([before.mean(axes), before.var(axes)])))
    return fitted.agreement, statistics


if __name__ == "__main__":
    # The class must be pickled under the name by which tests know it.
    from support.trained_models import _build as build

    Path(sys.argv[1]).write_bytes(pickle.dumps(build(sys.argv[2])))
