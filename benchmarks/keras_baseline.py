"""The same jobs with the `.keras` file and `predict`, as tools of this kind do them.

python benchmarks/keras_baseline.py signal MODEL.keras BARS.csv      # bare: read, features, load, predict, print
python benchmarks/keras_baseline.py backtest OPTIONS…                # this tool, but Keras makes the forecasts
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_SINGLE_WINDOWS = 32
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def signal(model_file: str, csv: str) -> None:
    """Print the predicted next close after the last bar, with the features of this tool."""
    import keras
    import numpy as np

    from crypto_refactor.features.frame import compute_features
    from crypto_refactor.market.bars import fill_gaps
    from crypto_refactor.market.sources.csv_files import read_csv
    from crypto_refactor.market.ticker import Ticker

    card = json.loads(Path(model_file).with_suffix(".json").read_text(encoding="utf-8"))
    bars = read_csv(Path(csv), Ticker.parse(card["ticker"]))
    frame = compute_features(fill_gaps(bars.rows(len(bars) - 1000, len(bars))))
    model = keras.saving.load_model(model_file, compile=False)
    window = frame.inputs[None, -card["lookback"] :].astype(np.float32)
    scaled = float(model.predict(window, verbose=0)[0, 0])
    volatility = max(float(frame.column("realised_volatility")[-1]), card["volatility_floor"])
    print(float(bars.close[-1]) * float(np.exp(scaled * volatility)))


@dataclass
class KerasForecaster:
    """Replaces the forecaster of this tool."""

    model: Any
    lookback: int
    volatility_floor: float

    def raw(self, windows):
        import numpy as np

        if len(windows) < MAX_SINGLE_WINDOWS:  # single windows of the audit: `predict` has a high fixed cost
            return np.asarray(self.model(windows, training=False), dtype=np.float64)[:, 0]
        return np.asarray(self.model.predict(windows, batch_size=256, verbose=0), dtype=np.float64)[:, 0]


def backtest(options: list[str]) -> None:
    """Run the backtester with forecasts by Keras; everything else is this tool."""
    import keras

    from crypto_refactor.cli.main import run
    from crypto_refactor.model.artifact import Model
    from crypto_refactor.model.forecaster import Forecaster

    KerasForecaster.forecast = Forecaster.forecast
    KerasForecaster.forecast_rows = Forecaster.forecast_rows
    loaded: dict[Path, KerasForecaster] = {}

    def forecaster(self):
        if self.path not in loaded:
            loaded[self.path] = KerasForecaster(
                keras.saving.load_model(self.path, compile=False),
                self.card.lookback,
                self.card.volatility_floor,
            )
        return loaded[self.path]

    Model.forecaster = forecaster
    sys.argv[1:] = ["backtest", *options]
    run()


if __name__ == "__main__":
    if sys.argv[1] == "signal":
        signal(*sys.argv[2:4])
    else:
        backtest(sys.argv[2:])
