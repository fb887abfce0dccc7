"""What the jobs cost where the `.keras` file is loaded and asked, as tools of this kind do.

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

FEW = 32
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def signal(model_file: str, csv: str) -> None:
    """Print the predicted price of the last bar's next close, the features computed as this tool does."""
    import keras
    import numpy as np

    from crypto_refactor.features.frame import compute_features
    from crypto_refactor.market.bars import fill_gaps
    from crypto_refactor.market.sources.csv_parser import read_csv
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
    """Takes the place of the tool's own forecaster."""

    model: Any
    lookback: int
    volatility_floor: float

    def raw(self, windows):
        import numpy as np

        if len(windows) < FEW:  # the audit's single windows: `predict` would cost more than what it computes
            return np.asarray(self.model(windows, training=False), dtype=np.float64)[:, 0]
        return np.asarray(self.model.predict(windows, batch_size=256, verbose=0), dtype=np.float64)[:, 0]


def backtest(words: list[str]) -> None:
    """Run the backtester with forecasts by Keras; everything else is the tool's own."""
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
    sys.argv[1:] = ["backtest", *words]
    run()


if __name__ == "__main__":
    if sys.argv[1] == "signal":
        signal(*sys.argv[2:4])
    else:
        backtest(sys.argv[2:])
