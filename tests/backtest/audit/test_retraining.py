"""One model of a run is trained again: what a card alone cannot show."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import pytest
from support.heard_training import HeardTraining
from support.stub_models import HeldBars, planted_network, sample_bars
from support.trained_models import SETTINGS

from crypto_refactor.backtest.audit.auditor import audit
from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules


@pytest.fixture
def result(tmp_path, fits, monkeypatch):
    monkeypatch.setattr("crypto_refactor.backtest.audit.retraining.fit_all", fits)
    backtester = Backtester(
        "BTC/USD",
        model_dir=tmp_path,
        source=HeldBars(sample_bars(1400)),
        settings=SETTINGS,
        signal_rules=SignalRules(min_confirmations=4),
    )
    return backtester.run(100, assess=False)


def most_filled(result):
    """Return the position of the period whose decisions led to most fills."""
    counts = Counter(
        position
        for position, part in enumerate(result.walk.periods)
        for fill in result.requested.simulation.fills
        if part.period.first <= fill.at <= part.period.last
    )
    return max(counts, key=lambda position: (counts[position], -position))


def with_model(result, position, **changed):
    """Return the result with another card or network in one period; the card has the hash of its network."""
    part = result.walk.periods[position]
    model = replace(part.model, **changed)
    hashes = model.card.sha256 | {".onnx": hashlib.sha256(model.onnx).hexdigest()}
    model = replace(model, card=replace(model.card, sha256=hashes))
    parts = list(result.walk.periods)
    parts[position] = replace(part, model=model)
    return replace(result, walk=replace(result.walk, periods=tuple(parts)))


def retrained(result):
    (check,) = [
        each for each in audit(result, retrain=TrainingObserver()).checks if each.name == "retraining"
    ]
    return check


def test_an_honest_model_is_the_same_when_it_is_trained_again(result, fits):
    before, progress = fits.trained, HeardTraining()
    found = audit(result, retrain=progress)
    assert found.passed
    assert [check.name for check in found.checks][-1] == "retraining"
    assert "are the same to the last bit" in found.checks[-1].detail
    assert fits.trained == before + 1
    assert progress.heard == [("begin", 1), ("finished", 0), "end"]


def test_it_learns_from_the_bars_up_to_the_cut_off_of_the_model_behind_most_fills(result, fits):
    retrained(result)
    (data,) = fits.calls[-1]
    period = result.walk.periods[most_filled(result)].period
    assert data.trained_through <= period.cutoff
    assert data.trained_through == result.walk.periods[most_filled(result)].model.card.trained_through


def test_nothing_is_trained_unless_it_is_asked_for(result, fits):
    before = fits.trained
    assert "retraining" not in [check.name for check in audit(result).checks]
    assert fits.trained == before


@pytest.mark.parametrize(
    ("name", "value", "column"),
    [
        ("weights", "0123456789abcdef", "weights after training again"),
        ("threshold_scale", 0.06, "threshold scale after training again"),
        ("volatility_floor", 1e-7, "volatility floor after training again"),
    ],
)
def test_a_card_with_other_figures_fails(result, name, value, column):
    position = most_filled(result)
    card = replace(result.walk.periods[position].model.card, **{name: value})
    check = retrained(with_model(result, position, card=card))
    assert not check.passed
    assert (check.difference.column, check.difference.run) == (column, value)


def test_a_card_with_better_evidence_fails(result):
    position = most_filled(result)
    card = result.walk.periods[position].model.card
    card = replace(card, evidence=replace(card.evidence, shrink=1.0))
    check = retrained(with_model(result, position, card=card))
    assert check.difference.column == "evidence after training again: shrink"


def test_another_network_under_an_honest_card_fails(result):
    position = most_filled(result)
    check = retrained(with_model(result, position, onnx=planted_network(SETTINGS.lookback, gain=20.001)))
    assert not check.passed
    assert check.difference.column == "forecast at training row 0"
    assert "Another processor may round differently" in check.detail


def test_a_pinned_model_cannot_be_trained_again(result):
    with pytest.raises(UsageError, match="--retrain") as caught:
        audit(replace(result, pinned="mine"), retrain=TrainingObserver())
    assert caught.value.exit_code == 2


def test_a_fit_that_fails_is_an_error_and_no_finding(result, monkeypatch):
    def fit_all(jobs, settings, on_progress):
        yield 0, ModelError("Training diverged.", expected="finite losses.", remedy="another --seed.")

    monkeypatch.setattr("crypto_refactor.backtest.audit.retraining.fit_all", fit_all)
    with pytest.raises(ModelError, match="diverged"):
        retrained(result)
