"""Nothing sees the future, from bars to signal: what is said of a bar never changes with what follows it."""

from __future__ import annotations

import numpy as np
import pytest
from support.feature_contracts import read_real_bars
from support.stub_models import sample_bars, without
from support.trained_models import LOOKBACK, SETTINGS, training_data

from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.model import artifact
from crypto_refactor.model.reuse_policy import make_card
from crypto_refactor.signals.conditions import SIGNAL_ARRAYS, SignalRules
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals

pytestmark = pytest.mark.slow  # trains a network in a process of its own

EVER = 10**7
RULES = SignalRules(min_confirmations=4)


@pytest.fixture(scope="module")
def model(lab, tmp_path_factory):
    """A small network, really trained on the simulation, fixed for good."""
    data = training_data()
    card = make_card(lab.trained, data, sample_bars(), SETTINGS)
    folder = tmp_path_factory.mktemp("fixed")
    return artifact.write(folder / "fixed.keras", card, keras=lab.trained.keras, onnx=lab.trained.onnx)


@pytest.fixture(params=["sample", "holed sample", "real"])
def bars(request):
    if request.param == "real":
        return read_real_bars(request.getfixturevalue("real_bars_dir"), count=1400)
    bars = sample_bars(1400)
    if request.param == "sample":
        return bars
    first = int(bars.opened[0])
    return without(bars, (first + 700, first + 703), (first + 900, first + 940), (first + 1200, first + 1208))


def decided(model, bars):
    frame = compute_features(fill_gaps(bars))
    return frame, decide_signals(model, frame, decidable_rows(frame, LOOKBACK, 0, EVER), RULES)


@pytest.mark.slow  # 888 prefixes of one tape, a third of them of each other
def test_every_prefix_says_the_same_as_the_whole(model, bars, request):
    frame, whole = decided(model, bars)
    assert len(whole) > 700
    assert set(whole.signal.tolist()) >= {0, 1} or set(whole.signal.tolist()) >= {0, -1}
    step = 1 if request.node.callspec.params["bars"] == "sample" else 3
    for count in range(512, len(bars), step):
        part, made = decided(model, bars.prefix(count))
        known = len(part)
        assert part.values.tobytes() == frame.values[:known].tobytes()
        assert part.inputs.tobytes() == frame.inputs[:known].tobytes()
        for name in SIGNAL_ARRAYS:
            said, said_later = getattr(made, name), getattr(whole, name)[: len(made)]
            assert said.tobytes() == np.ascontiguousarray(said_later).tobytes(), (name, count)


def test_a_bar_alone_is_judged_as_in_a_crowd(model, bars):
    frame, whole = decided(model, bars)
    for place in range(0, len(whole), 37):
        hour = int(whole.decided_at[place])
        alone = decide_signals(model, frame, decidable_rows(frame, LOOKBACK, hour, hour), RULES)
        for name in SIGNAL_ARRAYS:
            assert (
                getattr(alone, name).tobytes()
                == np.ascontiguousarray(getattr(whole, name)[place : place + 1]).tobytes()
            )


def test_what_comes_later_may_be_anything(model, bars):
    """Prices after a bar multiplied by a thousand change nothing that was said of it."""
    _, whole = decided(model, bars)
    cut = len(bars) - 200
    wild = {name: getattr(bars, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for column in wild.values():
        column[cut:] *= 1000
    changed = type(bars)(ticker=bars.ticker, source=bars.source, opened=bars.opened, **wild)
    _, made = decided(model, changed)
    before = whole.decided_at <= bars.closed[cut - 1]
    assert 0 < before.sum() < len(whole)
    for name in SIGNAL_ARRAYS:
        assert (
            getattr(whole, name)[before].tobytes()
            == getattr(made, name)[made.decided_at <= bars.closed[cut - 1]].tobytes()
        )
    assert (whole.predicted[-1] == made.predicted[-1]) == np.False_
