"""What a model says, given by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from crypto_refactor.signals.condition_catalogue import CONDITIONS
from crypto_refactor.signals.conditions import SignalFrame
from crypto_refactor.trading.decider import ModelDecision
from crypto_refactor.trading.model_choice import ChosenModel


def decided(signal, *, close=100.0, hour=0, simulated=False):
    """Return a decision with this signal, by a model that exists in name only."""
    held = np.full((1, len(CONDITIONS)), bool(signal))
    card = SimpleNamespace(fingerprint="planted", simulated=simulated, plugins={})
    signals = SignalFrame(
        decided_at=np.array([hour]),
        close=np.array([close]),
        predicted=np.array([close * (1 + 0.05 * signal)]),
        threshold=np.array([close * 0.01]),
        expected_move=np.array([0.05]),
        confidence=np.array([0.9]),
        low=np.array([close * 0.9]),
        high=np.array([close * 1.1]),
        long=held,
        short=held,
        supported=np.array([True]),
        signal=np.array([signal], dtype=np.int8),
    )
    chosen = ChosenModel(model=SimpleNamespace(card=card), key=None)
    return ModelDecision(signals=signals, chosen=chosen, cutoff=hour, bars="by hand")
