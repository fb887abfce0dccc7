"""What the models of a run look at, where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from support.stub_models import GAIN, sample_bars, walk_over

from crypto_refactor.backtest.significance.input_importance import InputImportance, input_importance
from crypto_refactor.features.catalogue import indicator_names
from crypto_refactor.model.recipe import huber_loss
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules

SETTINGS = ModelSettings(lookback=12, train_hours=240, refit_every=240, network="linear")


@pytest.fixture
def periods(fits, tmp_path):
    bars = sample_bars(2000)
    last = int(bars.closed[-1])
    return walk_over(bars, last - 480, last, SETTINGS, SignalRules(), tmp_path).periods


def test_only_what_they_look_at_is_missed(periods):
    found = input_importance(periods)
    assert tuple(found) == indicator_names()
    assert {name for name, figure in found.items() if figure.loss_rise} == {"ema_20"}
    assert found["rsi"] == InputImportance(loss_rise=0.0, se=0.0)
    assert not found["rsi"].clear


def test_the_rise_is_that_of_the_loss_with_the_days_exchanged(periods):
    """Hour by hour, with the same exchanges."""
    column, rises, zeros = indicator_names().index("ema_20"), [], []
    for part in periods:
        frame = part.period.frame
        bars = frame.bars
        rows = [
            row
            for row in range(len(frame) - 1)
            if int(bars.closed[row]) in part.signals.decided_at and int(bars.closed[row]) >= part.period.first
        ]
        volatility = frame.column("realised_volatility")[rows]
        outcome = np.log(bars.close[np.array(rows) + 1] / bars.close[rows]) / volatility
        forecast = GAIN * frame.inputs[rows, column]
        days = {}
        for place, row in enumerate(rows):
            days.setdefault(int(bars.closed[row]) // 24, []).append(place)
        blocks, rng, total = list(days.values()), np.random.default_rng(0), np.zeros(len(rows))
        for _ in range(3):
            order = [place for block in rng.permutation(len(blocks)) for place in blocks[block]]
            total += huber_loss(outcome - forecast[order]) - huber_loss(outcome - forecast)
        rises.append(total / 3)
        zeros.append(huber_loss(outcome))
    expected = np.concatenate(rises).mean() / np.concatenate(zeros).mean()
    assert input_importance(periods)["ema_20"].loss_rise == pytest.approx(expected, rel=1e-4)


def test_it_is_the_same_in_every_run(periods):
    assert input_importance(periods) == input_importance(periods)


def test_below_ten_days_there_is_no_error(fits, tmp_path):
    bars = sample_bars(1200)
    last = int(bars.closed[-1])
    walk = walk_over(bars, last - 100, last, SETTINGS, SignalRules(), tmp_path)
    figure = input_importance(walk.periods)["ema_20"]
    assert figure.loss_rise is not None
    assert figure.se is None
    assert not figure.clear


@pytest.mark.parametrize(
    ("rise", "error", "clear"), [(0.3, 0.1, True), (-0.3, 0.1, True), (0.1, 0.1, False), (None, None, False)]
)
def test_a_rise_is_clear_beyond_two_errors(rise, error, clear):
    assert InputImportance(loss_rise=rise, se=error).clear is clear
