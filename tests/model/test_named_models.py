"""When app_lstm's model answers as it is, and when it is trained anew: every reason of the contract."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from support.heard_training import HeardTraining
from support.stub_models import planted_card, remade, sample_bars
from support.trained_models import SETTINGS

from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.dataset import labelled_rows, training_set
from crypto_refactor.model.named_models import (
    load_or_train,
    model_name,
    model_path,
    pinned_model,
    require_training_bars,
)
from crypto_refactor.model.reuse_policy import ModelRequest, retrain_reason
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.parallel import TrainingObserver

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
ROWS = 150
NOW = 900
WISH = ModelRequest(settings=SETTINGS, seed_given=False, rows=ROWS, retrain_threshold=24, retrain=False)


def rows_of(bars, count=ROWS):
    frame = compute_features(fill_gaps(bars))
    return training_set(frame, labelled_rows(frame, SETTINGS.lookback)[-count:], SETTINGS.lookback)


def bars_up_to(count):
    return sample_bars(count)


@pytest.fixture(scope="module")
def card():
    """The card of a model trained when 900 bars had closed."""
    bars = bars_up_to(NOW)
    return planted_card(rows_of(bars), SETTINGS, bars)[0]


def test_a_model_of_the_last_closed_bar_is_reused(card):
    assert card.trained_through == int(bars_up_to(NOW).closed[-1])
    assert retrain_reason(card, bars_up_to(NOW), WISH) is None


@pytest.mark.parametrize(
    ("card_says", "wish_says", "reason"),
    [
        ({"source": "files"}, {}, "another source (files, not sample)"),
        ({"ticker": "ETH/USD"}, {}, "another ticker (ETH/USD, not BTC/USD)"),
        ({"timeframe": "4h"}, {}, "another timeframe (4h, not 1h)"),
        ({"horizon": 4}, {}, "another horizon (4, not 1)"),
        ({}, {"settings": replace(SETTINGS, lookback=20)}, "another lookback (12, not 20)"),
        ({"catalogue": "older"}, {}, "another catalogue (older, not"),
        (
            {},
            {"settings": replace(SETTINGS, network="documented")},
            "another network (small, not documented)",
        ),
        ({"recipe": "older"}, {}, "another recipe (older, not"),
        (
            {},
            {"settings": replace(SETTINGS, seed=7), "seed_given": True},
            "another seed (0, not 7)",
        ),
        ({"last_bars": "otherwise"}, {}, "the last 24 bars it was trained on have been revised"),
        ({}, {"rows": 151}, "it was trained on 150 rows, 151 are asked for"),
    ],
)
def test_it_is_trained_anew_where_it_is_not_what_is_asked_for(card, card_says, wish_says, reason):
    decision, said = retrain_reason(replace(card, **card_says), bars_up_to(NOW), replace(WISH, **wish_says))
    assert decision == "trained"
    assert reason in said


@pytest.mark.parametrize(
    "wish_says",
    [
        {"settings": replace(SETTINGS, seed=7)},
        {"rows": 149},
        {"settings": replace(SETTINGS, train_hours=300)},
    ],
)
def test_what_does_not_matter_does_not_train(card, wish_says):
    assert retrain_reason(card, bars_up_to(NOW), replace(WISH, **wish_says)) is None


def test_the_first_reason_is_given(card):
    wrong = replace(card, source="files", last_bars="otherwise", rows=1)
    decision, said = retrain_reason(wrong, bars_up_to(NOW + 100), replace(WISH, seed_given=True))
    assert (decision, "another source" in said) == ("trained", True)
    changed = replace(card, last_bars="otherwise", rows=1)
    assert "have been revised" in retrain_reason(changed, bars_up_to(NOW + 100), WISH)[1]
    assert "1 rows" in retrain_reason(replace(card, rows=1), bars_up_to(NOW + 100), WISH)[1]


def test_a_revised_bar_among_the_last_24_trains(card):
    bars = bars_up_to(NOW)
    for row, trains in ((-1, True), (-24, True), (-25, False)):
        volume = bars.volume.copy()
        volume[row] += 1
        assert (retrain_reason(card, remade(bars, volume=volume), WISH) is not None) == trains


def test_its_last_bars_are_looked_up_where_they_lie_before_those_at_hand(card):
    bars = bars_up_to(NOW + 300)
    late = bars.rows(NOW + 100, NOW + 300)
    patient = replace(WISH, retrain_threshold=5000)
    assert retrain_reason(card, late, replace(patient, older_bars=bars.between)) is None
    changed = remade(bars, volume=bars.volume * 3)
    said = retrain_reason(card, late, replace(patient, older_bars=changed.between))
    assert "have been revised" in said[1]


def test_a_model_that_knows_the_future_of_the_bars_is_not_used(card):
    decision, said = retrain_reason(card, bars_up_to(NOW - 1), WISH)
    assert decision == "trained"
    assert f"it was trained on later bars (through {to_iso(card.trained_through)})" in said


@pytest.mark.parametrize(
    ("age", "threshold", "retrained"),
    [(0, 0, False), (1, 0, True), (24, 24, False), (25, 24, True), (12, 12, False), (13, 12, True)],
)
def test_a_model_older_than_the_threshold_is_retrained(card, age, threshold, retrained):
    must = retrain_reason(card, bars_up_to(NOW + age), replace(WISH, retrain_threshold=threshold))
    assert must == (
        ("retrained", f"the last one was trained {age:,} h ago; retrained after {threshold} h")
        if retrained
        else None
    )


def test_age_is_counted_to_the_last_closed_bar_not_the_wall_clock(card):
    assert (
        retrain_reason(replace(card, created_at="1999-01-01T00:00:00+00:00"), bars_up_to(NOW), WISH) is None
    )


def test_retrain_is_obeyed(card):
    assert retrain_reason(card, bars_up_to(NOW), replace(WISH, retrain=True)) == (
        "retrained",
        "--retrain was given",
    )


class TestSmartModel:
    @pytest.fixture
    def path(self, tmp_path):
        (tmp_path / "sample").mkdir()
        return tmp_path / "sample" / "btc_usd_lstm_v2.keras"

    def ask(self, path, bars=None, wish=WISH, observer=None):
        bars = bars_up_to(NOW) if bars is None else bars
        folder, observer = path.parent.parent, observer or TrainingObserver()
        return load_or_train(folder, "lstm_v2", bars, wish, lambda: rows_of(bars), observer)

    def test_a_missing_model_is_trained_then_reused(self, fits, path):
        first, second = self.ask(path), self.ask(path)
        assert (first.decision, first.reason) == ("trained", "there was no model btc_usd_lstm_v2.keras yet")
        assert (second.decision, second.reason) == (
            "reused",
            "trained 0 h ago; retrained after 24 h",
        )
        assert second.model == first.model
        assert fits.trained == 1

    def test_nothing_is_collected_for_a_model_that_is_reused(self, fits, path):
        self.ask(path)
        bars = bars_up_to(NOW + 24)
        load_or_train(
            path.parent.parent, "lstm_v2", bars, WISH, lambda: pytest.fail("collected"), TrainingObserver()
        )

    def test_a_day_later_it_is_retrained_on_what_came_since(self, fits, path):
        first, later = self.ask(path), self.ask(path, bars_up_to(NOW + 25))
        assert later.decision == "retrained"
        assert later.model.card.trained_through == first.model.card.trained_through + 25
        assert artifact.read(path) == later.model

    @pytest.mark.parametrize("suffix", [".keras", ".onnx", ".json"])
    def test_a_damaged_model_is_set_aside_and_trained_anew(self, fits, path, suffix):
        whole = self.ask(path).model
        path.with_suffix(suffix).write_bytes(b"half")
        answer = self.ask(path)
        assert answer.decision == "trained"
        assert "is damaged" in answer.reason
        assert answer.reason.startswith("the existing model was renamed to .damaged")
        assert artifact.read(path).card.weights == whole.card.weights
        assert path.with_suffix(suffix + ".damaged").read_bytes() == b"half"

    def test_a_keras_file_of_another_tool_is_not_overwritten(self, fits, path):
        path.write_bytes(b"from elsewhere")
        assert self.ask(path).decision == "trained"
        assert path.with_name(path.name + ".damaged").read_bytes() == b"from elsewhere"

    def test_a_fit_that_fails_leaves_the_model_at_hand(self, fits, path, monkeypatch):
        whole = self.ask(path).model

        def fails(*_arguments, **_options):
            raise ModelError("Training diverged.", expected="finite losses.", remedy="another --seed.")
            yield

        monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", fails)
        notes = HeardTraining()
        with pytest.raises(ModelError, match="diverged"):
            self.ask(path, bars_up_to(NOW + 30), observer=notes)
        assert artifact.read(path) == whole
        assert notes.heard == [("begin", 1), "end"]

    def test_a_fit_that_fails_at_first_saves_nothing(self, path, monkeypatch):
        def fails(*_arguments, **_options):
            raise ModelError("Training diverged.", expected="finite losses.", remedy="another --seed.")
            yield

        monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", fails)
        with pytest.raises(ModelError):
            self.ask(path)
        assert [file.name for file in path.parent.iterdir()] == [".btc_usd_lstm_v2.lock"]

    def test_an_observer_follows_training(self, fits, path):
        notes = HeardTraining()
        self.ask(path, observer=notes)
        assert notes.heard == [("begin", 1), ("finished", 0), "end"]

    def test_a_model_folder_that_is_a_file_is_an_error(self, fits, tmp_path):
        (tmp_path / "file").mkdir()
        (tmp_path / "file" / "sample").write_text("")
        with pytest.raises(ModelError, match="cannot be written") as caught:
            self.ask(tmp_path / "file" / "sample" / "btc_usd_lstm_v2.keras")
        assert caught.value.exit_code == 4
        assert fits.trained == 0


DEFAULTS = ModelSettings()


class TestKept:
    """What `lstm_v2` holds, and what lies beside it, as options are tried."""

    @pytest.fixture
    def ask(self, fits, tmp_path):
        def ask(count=NOW, name="lstm_v2", bars=None, **wish):
            bars = bars_up_to(count) if bars is None else bars
            settings = wish.pop("settings", DEFAULTS)
            wish = replace(WISH, settings=settings, **{"rows": 240, **wish})
            frame = compute_features(fill_gaps(bars))
            rows = labelled_rows(frame, settings.lookback)[-wish.rows :]
            data = training_set(frame, rows, settings.lookback)
            return load_or_train(tmp_path, name, bars, wish, lambda: data, TrainingObserver())

        return ask

    @pytest.mark.parametrize(
        ("tried", "name"),
        [
            ({"settings": replace(DEFAULTS, network="small")}, "lstm_v2_small"),
            ({"settings": replace(DEFAULTS, lookback=24)}, "lstm_v2_lookback-24"),
            ({"settings": replace(DEFAULTS, residual="never")}, "lstm_v2_residual-never"),
            ({"settings": replace(DEFAULTS, seed=7), "seed_given": True}, "lstm_v2_seed-7"),
            ({"rows": 260}, "lstm_v2_hours-260"),
            (
                {"settings": replace(DEFAULTS, network="small", lookback=24), "rows": 150},
                "lstm_v2_lookback-24_hours-150_small",
            ),
        ],
    )
    def test_a_try_leaves_the_model_of_the_default_options_as_it_is(self, ask, fits, tried, name):
        first = ask()
        other, again, back = ask(**tried), ask(**tried), ask()
        assert (other.decision, other.name) == ("trained", name)
        assert (again.decision, again.model) == ("reused", other.model)
        assert (back.decision, back.name, back.model) == ("reused", "lstm_v2", first.model)
        assert fits.trained == 2

    def test_the_first_model_of_a_ticker_has_the_default_name_until_the_default_options_need_it(
        self, ask, fits
    ):
        small = {"settings": replace(DEFAULTS, network="small")}
        first = ask(**small)
        assert (first.name, ask(**small).decision) == ("lstm_v2", "reused")
        default = ask()
        assert (default.decision, default.name) == ("trained", "lstm_v2")
        assert default.reason == (
            "the existing model has another network (small, not documented); that one is kept as "
            "btc_usd_lstm_v2_small.keras"
        )
        kept = ask(**small)
        assert (kept.decision, kept.name, kept.model.card) == ("reused", "lstm_v2_small", first.model.card)
        assert fits.trained == 2

    def test_more_hours_than_asked_for_serve_and_are_kept_when_they_grow_old(self, ask):
        first = ask(rows=300)
        assert ask().model == first.model
        assert not ask().exact
        later = ask(NOW + 30)
        assert (later.decision, later.name, later.model.card.rows) == ("retrained", "lstm_v2", 240)
        assert ask(rows=300).name == "lstm_v2_hours-300"
        assert ask(rows=300).model.card == first.model.card

    def test_an_earlier_hour_has_a_model_of_its_own_and_the_current_one_stays(self, ask, fits):
        now = ask()
        past = ask(NOW - 50)
        assert (past.decision, past.name) == ("trained", "lstm_v2_past")
        assert past.model.card.trained_through == now.model.card.trained_through - 50
        assert ask(NOW - 48).model == past.model  # within the threshold, as ever
        assert ask(NOW - 99).name == "lstm_v2_past"
        assert (ask().decision, ask().model) == ("reused", now.model)
        assert fits.trained == 3

    def test_a_model_of_other_bars_stays_where_it_is(self, ask):
        def held(folder, scale):
            bars = remade(bars_up_to(NOW), source="files")
            return {"bars": remade(bars, volume=bars.volume * scale), "origin": folder}

        first, other = ask(**held("/bars/mine", 1)), ask(**held("/bars/theirs", 2))
        assert first.name == "lstm_v2"
        assert re.fullmatch(r"lstm_v2_files-theirs-[0-9a-f]{4}", other.name)
        assert other.decision == "trained"
        assert ask(**held("/bars/mine", 1)).model == first.model
        assert ask(**held("/bars/theirs", 2)).model == other.model
        exchange = ask(bars=remade(bars_up_to(NOW), source="alpaca"))
        assert (exchange.decision, exchange.name) == ("trained", "lstm_v2_alpaca")

    def test_a_model_makes_way_although_one_of_other_bars_has_its_name(self, ask):
        small = {"settings": replace(DEFAULTS, network="small")}

        def held(folder, scale):
            bars = remade(bars_up_to(NOW), source="files")
            return {"bars": remade(bars, volume=bars.volume * scale), "origin": folder}

        mine, theirs = ask(**held("/bars/mine", 1), **small), ask(**held("/bars/theirs", 2), **small)
        assert (mine.name, theirs.name) == ("lstm_v2", "lstm_v2_small")
        assert ask(**held("/bars/mine", 1)).name == "lstm_v2"
        kept = ask(**held("/bars/mine", 1), **small)
        assert re.fullmatch(r"lstm_v2_small_files-mine-[0-9a-f]{4}", kept.name)
        assert (kept.decision, kept.model.card) == ("reused", mine.model.card)
        assert ask(**held("/bars/theirs", 2), **small).model == theirs.model

    def test_every_name_can_be_pinned(self, ask, tmp_path):
        settings = replace(DEFAULTS, lookback=24, network="small", residual="never", seed=2**31 - 1)
        ask()
        bars = remade(bars_up_to(NOW), source="files:" + "v" * 30)
        for folder in ("/a/" + "x" * 200, "/b/ä ö"):
            name = ask(bars=bars, origin=folder, settings=settings, rows=170).name
            assert model_name(name) == name

    def test_the_same_request_is_exact_where_nothing_else_could_answer_it(self, ask):
        first = ask()
        assert (first.exact, ask().exact, ask(NOW + 5).exact) == (True, True, False)

    def test_a_request_is_repeated_exactly_whatever_was_trained_since(self, ask):
        first = ask()
        ask(NOW + 30)
        ask(NOW - 3)
        again = ask(retrain_threshold=0)
        assert again.decision == "retrained"
        assert again.model.card.weights == first.model.card.weights

    def test_under_a_name_of_its_own_a_model_of_other_options_is_never_overwritten(self, ask, fits):
        mine = ask(name="mine")
        for wish, option in (
            ({"settings": replace(DEFAULTS, network="small")}, "--network documented, not small"),
            ({"settings": replace(DEFAULTS, lookback=24)}, "--lookback 60, not 24"),
            ({"rows": 300}, "--hours 240, not 300"),
            ({"count": NOW - 50}, "later bars, through"),
        ):
            with pytest.raises(ModelError, match=option) as caught:
                ask(name="mine", **wish)
            assert (caught.value.exit_code, "--retrain" in caught.value.remedy) == (4, True)
        assert ask(name="mine").model == mine.model
        assert fits.trained == 1

    def test_it_is_trained_again_as_it_was_and_replaced_where_that_is_asked_for(self, ask):
        mine = ask(name="mine")
        later = ask(NOW + 30, name="mine")
        assert (later.decision, later.name) == ("retrained", "mine")
        other = ask(name="mine", settings=replace(DEFAULTS, network="small"), retrain=True)
        assert (other.decision, other.model.path) == ("retrained", mine.model.path)
        assert artifact.read(mine.model.path).card.network == "small"

    def test_a_fit_that_fails_leaves_what_had_to_make_way(self, ask, monkeypatch):
        first = ask(settings=replace(DEFAULTS, network="small"))

        def fails(*_arguments, **_options):
            raise ModelError("Training diverged.", expected="finite losses.", remedy="another --seed.")
            yield

        with monkeypatch.context() as patch:
            patch.setattr("crypto_refactor.model.training.jobs.fit_all", fails)
            with pytest.raises(ModelError):
                ask()
        again = ask(settings=replace(DEFAULTS, network="small"))
        assert (again.decision, again.model.card) == ("reused", first.model.card)


class Waiting(TrainingObserver):
    def __init__(self):
        self.waits = threading.Event()

    def note(self, text):
        assert "waiting" in text
        self.waits.set()


def test_of_two_that_want_the_default_name_at_once_the_later_one_does_not_take_it(fits, tmp_path):
    path = model_path(tmp_path, BTC, "lstm_v2", simulated=True)
    bars, observer = bars_up_to(NOW), Waiting()
    made, files = planted_card(rows_of(bars, 240), DEFAULTS, bars)
    with ThreadPoolExecutor(1) as pool:
        with artifact.lock(path):
            waiting = pool.submit(
                load_or_train, tmp_path, "lstm_v2", bars, WISH, lambda: rows_of(bars), observer
            )
            assert observer.waits.wait(60)
            other = artifact.write(path, made, **files)
        tried = waiting.result(60)
    assert (tried.decision, tried.name) == ("trained", "lstm_v2_lookback-12_hours-150_small_residual-always")
    assert artifact.read(path) == other


TWO = """
import sys
from pathlib import Path
from support.stub_models import planted_model
from crypto_refactor.model.named_models import load_or_train
import crypto_refactor.model.training.jobs as jobs_module
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.parallel import TrainingObserver
import test_named_models as tests

def fit_all(jobs, settings, on_progress, *, workers=None, cluster=None):
    print("fitting", flush=True)
    sys.stdin.readline()  # until the other process has been seen waiting
    yield 0, planted_model(jobs[0], settings)

class Observer(TrainingObserver):
    def note(self, text):
        print("waiting" if "waiting" in text else text, flush=True)

jobs_module.fit_all = fit_all
bars = tests.bars_up_to(tests.NOW)
answer = load_or_train(Path(sys.argv[1]), "lstm_v2", bars, tests.WISH, lambda: tests.rows_of(bars), Observer())
print(answer.decision, answer.model.card.fingerprint, flush=True)
"""


def test_two_processes_that_want_the_same_model_train_it_once(tmp_path):
    path = tmp_path / "sample" / "btc_usd_lstm_v2.keras"
    script = tmp_path / "two.py"
    script.write_text(TWO)
    here = Path(__file__).resolve().parent
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(here), str(here.parent), *sys.path])}
    start = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": env}
    command = [sys.executable, str(script), str(tmp_path)]
    with subprocess.Popen(command, **start) as first:
        assert first.stdout.readline() == "fitting\n"
        with subprocess.Popen(command, **start) as second:
            assert second.stdout.readline() == "waiting\n"
            trained = first.communicate("\n", timeout=60)[0].split()
            reused = second.communicate("", timeout=60)[0].split()
    assert (first.returncode, second.returncode) == (0, 0)
    assert trained[0] == "trained"
    assert reused == ["reused", trained[1]]
    assert artifact.read(path).card.fingerprint == trained[1]
    assert sorted(file.suffix for file in path.parent.glob("btc*")) == [".json", ".keras", ".onnx"]


class TestNames:
    @pytest.mark.parametrize(
        ("given", "name"),
        [
            ("lstm_v2", "lstm_v2"),
            ("my-best.1", "my-best.1"),
            ("mine.keras", "mine"),
            ("a.keras.keras", "a.keras"),
        ],
    )
    def test_a_trailing_keras_is_dropped(self, given, name):
        assert model_name(given) == name

    @pytest.mark.parametrize(
        "given", ["", ".keras", "a/b", "../x", "a b", "a\\b", "ä", "a\n", "/etc/x.keras", "~x"]
    )
    def test_anything_that_might_be_a_path_is_refused(self, given):
        with pytest.raises(UsageError, match="--model") as caught:
            model_name(given)
        assert caught.value.exit_code == 2

    def test_files_are_named_after_the_ticker(self, tmp_path):
        real = model_path(tmp_path, BTC, "lstm_v2", simulated=False)
        assert real == tmp_path / "btc_usd_lstm_v2.keras"
        assert model_path(tmp_path, ETH, "mine", simulated=False).name == "eth_usd_mine.keras"

    def test_models_of_simulated_bars_have_a_folder_of_their_own(self, tmp_path):
        simulated = model_path(tmp_path, BTC, "lstm_v2", simulated=True)
        assert simulated == tmp_path / "sample" / "btc_usd_lstm_v2.keras"


def test_a_model_of_simulated_bars_never_decides_real_ones(card):
    real = remade(bars_up_to(NOW), source="files")
    assert "another source (sample, not files)" in retrain_reason(card, real, WISH)[1]


class TestPinned:
    @pytest.fixture
    def pinned(self, tmp_path, card):
        bars = bars_up_to(NOW)
        made, files = planted_card(rows_of(bars), SETTINGS, bars)
        return artifact.write(tmp_path / "btc_usd_mine.keras", made, **files)

    def test_it_answers_from_its_last_training_bar_on(self, pinned):
        through = pinned.card.trained_through
        assert pinned_model(pinned.path, bars_up_to(NOW + 9), SETTINGS, through) == pinned

    def test_it_does_not_decide_what_it_has_seen(self, pinned):
        through = pinned.card.trained_through
        with pytest.raises(ModelError, match="was trained on bars up to") as caught:
            pinned_model(pinned.path, bars_up_to(NOW), SETTINGS, through - 1)
        assert caught.value.exit_code == 4
        assert to_iso(through) in caught.value.what

    def test_a_missing_one_is_refused(self, tmp_path):
        with pytest.raises(ModelError, match="There is no model"):
            pinned_model(tmp_path / "btc_usd_none.keras", bars_up_to(NOW), SETTINGS, 10**6)

    def test_a_damaged_one_is_refused_and_left_where_it_is(self, pinned):
        pinned.path.write_bytes(b"half")
        with pytest.raises(ModelError, match="damaged"):
            pinned_model(pinned.path, bars_up_to(NOW), SETTINGS, 10**6)
        assert pinned.path.read_bytes() == b"half"

    @pytest.mark.parametrize(
        ("what", "bars", "settings"),
        [
            ("source", {"source": "files"}, SETTINGS),
            ("ticker", {"ticker": ETH}, SETTINGS),
            ("lookback", {}, replace(SETTINGS, lookback=13)),
        ],
    )
    def test_one_of_something_else_is_refused(self, pinned, what, bars, settings):
        with pytest.raises(ModelError, match=f"has the {what}"):
            pinned_model(pinned.path, remade(bars_up_to(NOW), **bars), settings, 10**6)

    def test_one_whose_training_bars_are_others_is_refused_where_the_past_is_traded(self, pinned):
        bars = bars_up_to(NOW + 9)
        require_training_bars(pinned, bars)
        early = replace(pinned, card=replace(pinned.card, trained_through=pinned.card.trained_through - 100))
        for model, held in ((early, bars), (pinned, remade(bars, volume=bars.volume * 2))):
            with pytest.raises(ModelError, match="was trained on other bars than these") as caught:
                require_training_bars(model, held)
            assert caught.value.exit_code == 4
            assert "models/app_lstm.py" in caught.value.remedy

    def test_training_bars_that_are_not_at_hand_are_not_compared(self, pinned):
        require_training_bars(pinned, sample_bars(NOW + 300).rows(NOW + 100, NOW + 300))

    def test_one_of_another_catalogue_is_refused(self, pinned, monkeypatch):
        monkeypatch.setattr("crypto_refactor.model.reuse_policy.catalogue_hash", lambda _: "newer")
        with pytest.raises(ModelError, match="has the catalogue"):
            pinned_model(pinned.path, bars_up_to(NOW), SETTINGS, 10**6)

    @pytest.mark.parametrize("changed", [{"network": "documented"}, {"seed": 5}, {"train_hours": 999}])
    def test_how_it_was_trained_does_not_matter(self, pinned, changed):
        assert pinned_model(pinned.path, bars_up_to(NOW), replace(SETTINGS, **changed), 10**6) == pinned
