from __future__ import annotations

import os
from dataclasses import fields, replace

import pytest
from support.stub_models import planted_model, sample_bars
from support.trained_models import SETTINGS

from crypto_refactor.errors import ModelError
from crypto_refactor.model import artifact
from crypto_refactor.model.cache import ModelProvider, cache_entries, cache_path, prune_cache
from crypto_refactor.model.identity import Identity
from crypto_refactor.model.schedule import model_key, refit_periods, training_rows
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.model.training.parallel import TrainingObserver


@pytest.fixture(scope="module")
def wanted():
    """Three models of three cut-offs."""
    bars = sample_bars(1200)
    last = int(bars.closed[-1])
    data = [training_rows(part, SETTINGS) for part in refit_periods(bars, last - 96, last, SETTINGS)]
    assert len(data) == 3
    return {model_key(bars, rows, SETTINGS): rows for rows in data}


def jobs(wanted):
    return {key: TrainingJob(data=data, bars=sample_bars(1200)) for key, data in wanted.items()}


@pytest.fixture
def ask(tmp_path):
    def ask(wanted, settings=SETTINGS):
        return Answer(ModelProvider(folder=tmp_path, settings=settings), wanted)

    return ask


class Answer:
    """The models in the order asked for, whichever came first, and how many were trained."""

    def __init__(self, models, wanted):
        found = {cached.key: cached for cached in models.get_or_train_all(jobs(wanted))}
        self.trained = sum(cached.trained for cached in found.values())
        self.models = [found[key].model for key in wanted]


def through(found):
    return [model.card.trained_through for model in found.models]


def test_every_key_has_its_own_model(ask, fits, wanted):
    keys = list(wanted)
    order = [keys[1], keys[2], keys[0]]
    found = ask({key: wanted[key] for key in order})
    assert through(found) == [wanted[key].trained_through for key in order]
    assert found.trained == 3


def test_a_second_run_trains_nothing(ask, fits, wanted):
    first, second = ask(wanted), ask(wanted)
    assert (first.trained, second.trained) == (3, 0)
    assert second.models == first.models
    assert len(fits.calls) == 1


def test_only_what_is_missing_is_trained(ask, fits, wanted):
    keys = list(wanted)
    one = ask({keys[1]: wanted[keys[1]]})
    found = ask(wanted)
    assert (one.trained, found.trained) == (1, 2)
    assert through(found) == [data.trained_through for data in wanted.values()]
    assert [data.trained_through for data in fits.calls[1]] == [
        wanted[keys[0]].trained_through,
        wanted[keys[2]].trained_through,
    ]


@pytest.mark.parametrize("suffix", [".keras", ".onnx", ".json"])
def test_a_damaged_model_is_set_aside_and_trained_again(ask, fits, wanted, tmp_path, suffix):
    ask(wanted)
    path = cache_path(tmp_path, list(wanted)[1])
    path.with_suffix(suffix).write_bytes(b"half")
    found = ask(wanted)
    assert found.trained == 1
    assert through(found) == [data.trained_through for data in wanted.values()]
    assert path.with_suffix(suffix + ".damaged").read_bytes() == b"half"
    assert ask(wanted).trained == 0


FORGED = {
    "source": "alpaca",
    "simulated": False,
    "ticker": "ETH/USD",
    "timeframe": "4h",
    "lookback": 13,
    "horizon": 4,
    "network": "documented",
    "residual": "never",
    "seed": 7,
    "recipe": "another",
    "catalogue": "another",
    "plugins": {"another": "0123456789abcdef"},
    "versions": {"keras": "1.0"},
    "trained_from": 0,
    "trained_through": 1,
    "rows": 3,
    "last_bars": "others",
    "data": "others",
}


def test_every_part_of_the_identity_is_forged_below():
    assert set(FORGED) == {part.name for part in fields(Identity)}


class Notes(TrainingObserver):
    def __init__(self):
        self.heard = []

    def note(self, text):
        self.heard.append(text)


@pytest.mark.parametrize("name", FORGED)
def test_a_card_of_another_model_is_never_served(ask, fits, wanted, tmp_path, name):
    """The card fits its checksum and its files; only what it says is not what its key stands for."""
    first = ask(wanted)
    path = cache_path(tmp_path, list(wanted)[1])
    honest = artifact.read(path)
    forged = replace(honest.card, **{name: FORGED[name]})
    artifact.write(path, forged, keras=path.read_bytes(), onnx=honest.onnx)
    notes = Notes()
    models = ModelProvider(folder=tmp_path, settings=SETTINGS, observer=notes)
    assert models.get(path.parent.name) is None
    found = Answer(models, wanted)
    assert found.trained == 1
    assert [model.card.key for model in found.models] == list(wanted)
    assert [model.card.weights for model in found.models] == [model.card.weights for model in first.models]
    assert artifact.Card.from_json(path.with_suffix(".json.damaged").read_text()).key == forged.key
    (note,) = [text for text in notes.heard if "damaged" in text]
    assert "its card is that of another model" in note


def test_the_files_of_another_entry_are_not_served(ask, fits, wanted, tmp_path):
    ask(wanted)
    one, other = (cache_path(tmp_path, key) for key in list(wanted)[:2])
    for suffix in (".keras", ".onnx", ".json"):
        one.with_suffix(suffix).write_bytes(other.with_suffix(suffix).read_bytes())
    found = ask(wanted)
    assert found.trained == 1
    assert through(found) == [data.trained_through for data in wanted.values()]


def test_what_was_trained_before_a_fit_failed_is_kept(ask, wanted, monkeypatch, fits):
    def second_fails(jobs, settings, _on_progress, *, workers, cluster):
        yield 1, planted_model(jobs[1], settings)
        raise ModelError("Training diverged.", expected="finite losses.", remedy="another --seed.")

    with monkeypatch.context() as failing:
        failing.setattr("crypto_refactor.model.training.jobs.fit_all", second_fails)
        with pytest.raises(ModelError, match="diverged"):
            ask(wanted)
    assert ask(wanted).trained == 2


def test_a_model_folder_that_is_a_file_is_an_error(fits, wanted, tmp_path):
    (tmp_path / "models").write_text("")
    with pytest.raises(ModelError, match="cannot be written") as caught:
        Answer(ModelProvider(folder=tmp_path / "models", settings=SETTINGS), wanted)
    assert caught.value.exit_code == 4


def used(tmp_path, *order):
    """Say that the entries were used in this order, a minute apart."""
    for minute, key in enumerate(order):
        for file in cache_path(tmp_path, key).parent.iterdir():
            os.utime(file, (60 * minute, 60 * minute))


class TestPruning:
    @pytest.fixture
    def keys(self, ask, fits, wanted, tmp_path):
        ask(wanted)
        keys = list(wanted)
        used(tmp_path, keys[1], keys[2], keys[0])
        return keys

    def left(self, tmp_path):
        return [entry.key for entry in cache_entries(tmp_path)]

    def test_entries_are_listed_least_recently_used_first(self, keys, tmp_path):
        entries = cache_entries(tmp_path)
        assert [entry.key for entry in entries] == [keys[1], keys[2], keys[0]]
        for entry in entries:
            assert entry.size == sum(file.stat().st_size for file in entry.folder.iterdir())

    def test_nothing_goes_while_all_of_it_fits(self, keys, tmp_path):
        total = sum(entry.size for entry in cache_entries(tmp_path))
        assert prune_cache(tmp_path, total, keep=set()) == []
        assert len(self.left(tmp_path)) == 3

    def test_the_least_recently_used_goes_first(self, keys, tmp_path):
        total = sum(entry.size for entry in cache_entries(tmp_path))
        removed = prune_cache(tmp_path, total - 1, keep=set())
        assert [entry.key for entry in removed] == [keys[1]]
        assert self.left(tmp_path) == [keys[2], keys[0]]
        assert not removed[0].folder.exists()

    def test_what_this_run_needs_stays_whatever_its_size(self, keys, tmp_path):
        removed = prune_cache(tmp_path, 0, keep={keys[1]})
        assert [entry.key for entry in removed] == [keys[2], keys[0]]
        assert self.left(tmp_path) == [keys[1]]

    def test_what_another_process_is_training_stays(self, keys, tmp_path):
        with artifact.lock(cache_path(tmp_path, keys[1]).parent):
            prune_cache(tmp_path, 0, keep=set())
        assert self.left(tmp_path) == [keys[1]]

    def test_use_counts_as_use(self, keys, ask, wanted, tmp_path):
        ask({keys[1]: wanted[keys[1]]})
        assert self.left(tmp_path) == [keys[2], keys[0], keys[1]]

    def test_training_makes_room_but_never_at_its_own_cost(self, keys, ask, wanted, tmp_path, monkeypatch):
        monkeypatch.setattr("crypto_refactor.model.cache.CACHE_BYTES", 1)
        data = wanted[keys[0]]
        settings = replace(SETTINGS, seed=3)
        new = {model_key(sample_bars(1200), data, settings): data}
        found = ask(new, settings)
        assert found.trained == 1
        assert self.left(tmp_path) == list(new)
        assert found.models[0] == artifact.read(found.models[0].path)

    def test_what_a_ledger_names_stays_as_long_as_that_ledger_exists(self, keys, tmp_path):
        ledger = tmp_path / "ledger.sqlite"
        ledger.touch()
        for _ in range(2):
            ModelProvider(folder=tmp_path, settings=SETTINGS).keep_for_ledger(keys[1], ledger)
        assert [entry.key for entry in cache_entries(tmp_path) if entry.in_ledger] == [keys[1]]
        assert sorted(entry.key for entry in prune_cache(tmp_path, 0, keep=set())) == sorted(keys[0::2])
        assert self.left(tmp_path) == [keys[1]]
        ledger.unlink()
        assert [entry.key for entry in prune_cache(tmp_path, 0, keep=set())] == [keys[1]]
        assert self.left(tmp_path) == []


def test_an_empty_cache_has_no_entries(tmp_path):
    assert cache_entries(tmp_path) == []
    assert prune_cache(tmp_path, 0, keep=set()) == []
