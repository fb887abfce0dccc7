"""A plug-in's network is trained where its file is not: in other processes, and on the workers of a cluster."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from support.plugin_files import EXAMPLE
from support.stub_models import sample_bars

from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.model import forecaster
from crypto_refactor.model.artifact import KEPT
from crypto_refactor.model.dataset import labelled_rows, training_set
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.parallel import TrainingObserver, fit_all

LOOKBACK = 12


@pytest.mark.slow  # trains two networks in processes of their own
def test_what_was_read_is_trained_although_the_file_is_gone(tmp_path):
    path = tmp_path / "idea.py"
    shutil.copy(EXAMPLE, path)
    settings = ModelSettings(lookback=LOOKBACK, network="gru", residual="always", plugins=[path])
    path.unlink()
    frame = compute_features(fill_gaps(sample_bars(1400)), settings.plugins)
    rows = labelled_rows(frame, LOOKBACK)
    jobs = [training_set(frame, rows[first : first + 300], LOOKBACK) for first in (0, 100)]
    fitted = dict(fit_all(jobs, settings, TrainingObserver().progress, workers=2))
    assert [fitted[job].residual_decision.decision for job in (0, 1)] == [KEPT, KEPT]
    assert fitted[0].weights != fitted[1].weights
    served = forecaster.load(
        fitted[0].onnx, network="gru", lookback=LOOKBACK, volatility_floor=1e-8, name="gru"
    )
    windows = jobs[0].windows()
    assert windows.shape[2] == 15
    together = served.raw(windows)
    assert np.ptp(together) > 0
    for row in (0, 7, len(windows) - 1):
        assert served.raw(windows[row : row + 1]).tobytes() == together[row : row + 1].tobytes()
