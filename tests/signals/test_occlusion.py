"""Which inputs moved a forecast, where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from support.stub_models import GAIN, HeldBars, planted_card, remade, sample_bars

from crypto_refactor.features.catalogue import WARMUP, indicator_names
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.model import artifact
from crypto_refactor.model.dataset import labelled_rows, training_set
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.generator import SignalGenerator
from crypto_refactor.signals.occlusion import occlusion

LOOKBACK = 12
SETTINGS = ModelSettings(lookback=LOOKBACK, network="linear")


@pytest.fixture
def frame():
    return compute_features(fill_gaps(sample_bars(WARMUP + 300)))


@pytest.fixture
def model(frame, tmp_path):
    """Forecasts from the distance to EMA 20 alone, trained on 150 rows that end 100 bars before the last."""
    rows = labelled_rows(frame, LOOKBACK)[-250:-100]
    card, files = planted_card(training_set(frame, rows, LOOKBACK), SETTINGS, frame.bars)
    return artifact.write(tmp_path / "btc_usd_m.keras", card, **files)


def test_only_what_it_looks_at_moves_it_and_by_how_far_it_is_from_its_median_in_training(frame, model):
    row = len(frame) - 1
    effects = occlusion(model, model.forecaster(), frame, row)
    assert tuple(effects) == indicator_names()
    assert {name for name, effect in effects.items() if effect} == {"ema_20"}
    column = indicator_names().index("ema_20")
    closed = frame.bars.closed
    trained = (closed > model.card.trained_from) & (closed <= model.card.trained_through)
    distance = frame.inputs[row, column] - np.median(frame.inputs[trained, column])
    expected = GAIN * distance * frame.column("realised_volatility")[row]
    assert effects["ema_20"] == pytest.approx(expected, rel=1e-5)


def test_a_signal_carries_them(tmp_path, fits):
    bars = sample_bars(900)
    generator = SignalGenerator(
        "BTC/USD", LOOKBACK, source=HeldBars(bars), network="linear", model_dir=tmp_path
    )
    signal = generator.generate_signals(hours=150)
    assert signal.to_dict()["occlusion"] == signal.occlusion
    assert {name for name, effect in signal.occlusion.items() if effect} == {"ema_20"}


def test_the_future_does_not_move_them(frame, model):
    bars = sample_bars(WARMUP + 300)
    row = len(frame) - 40
    earlier = compute_features(fill_gaps(remade(bars).prefix(row + 1)))
    forecaster = model.forecaster()
    assert occlusion(model, forecaster, earlier, row) == occlusion(model, forecaster, frame, row)
