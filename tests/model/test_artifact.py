from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from support.stub_models import planted_card, planted_network, sample_bars
from support.trained_models import SETTINGS, sample_frame, training_data

from crypto_refactor.errors import ModelError
from crypto_refactor.model import artifact
from crypto_refactor.model.artifact import Card, DamagedModelError


@pytest.fixture(scope="module")
def made():
    return planted_card(training_data(), SETTINGS, sample_bars())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "models" / "btc_usd_lstm_v2.keras"


def contents(folder):
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith(".lock")}


def test_what_was_written_is_read(made, path):
    card, files = made
    written = artifact.write(path, card, **files)
    found = artifact.read(path)
    assert found == written
    assert found.card == replace(card, sha256=found.card.sha256)
    assert (path.read_bytes(), found.onnx) == (files["keras"], files["onnx"])
    assert sorted(contents(path.parent)) == [
        "btc_usd_lstm_v2.json",
        "btc_usd_lstm_v2.keras",
        "btc_usd_lstm_v2.onnx",
    ]


def test_a_model_that_was_read_forecasts(made, path):
    artifact.write(path, made[0], **made[1])
    frame = sample_frame()
    forecast = artifact.read(path).forecaster().forecast_rows(frame, training_data().rows[-3:] + 400)
    assert forecast.shape == (3,)


def test_the_card_says_what_the_contract_names(made):
    card = json.loads(made[0].to_json())
    assert card["source"] == "sample"
    assert card["simulated"] is True
    assert (card["ticker"], card["timeframe"], card["horizon"]) == ("BTC/USD", "1h", 1)
    assert (card["lookback"], card["rows"], card["network"], card["seed"]) == (12, 150, "small", 0)
    assert card["trained_from"] < card["trained_through"]
    assert set(card["versions"]) >= {"keras", "tensorflow", "numpy"}
    assert len(card["evidence"]["error_quantiles"]) == 101
    assert {"n", "slope", "slope_se", "shrink"} < set(card["evidence"])
    for name in ("recipe", "catalogue", "created_at", "threshold_scale", "last_bars", "weights", "sha256"):
        assert card[name] is not None


def test_no_model_is_none(path):
    assert artifact.read(path) is None
    path.parent.mkdir()
    assert artifact.read(path) is None


@pytest.mark.parametrize("suffix", [".keras", ".onnx", ".json"])
class TestDamage:
    @pytest.fixture
    def file(self, made, path, suffix):
        artifact.write(path, made[0], **made[1])
        return path.with_suffix(suffix)

    def test_a_truncated_file_is_seen(self, file, path, suffix):
        file.write_bytes(file.read_bytes()[:-2])
        with pytest.raises(DamagedModelError, match="damaged"):
            artifact.read(path)

    def test_an_empty_file_is_seen(self, file, path, suffix):
        file.write_bytes(b"")
        with pytest.raises(DamagedModelError):
            artifact.read(path)

    def test_a_missing_file_is_seen(self, file, path, suffix):
        file.unlink()
        with pytest.raises(DamagedModelError):
            artifact.read(path)

    def test_one_flipped_bit_is_seen(self, file, path, suffix):
        content = bytearray(file.read_bytes())
        content[len(content) // 2] ^= 1
        file.write_bytes(bytes(content))
        with pytest.raises(DamagedModelError):
            artifact.read(path)

    def test_all_three_are_set_aside_and_can_be_looked_at(self, file, path, suffix):
        file.write_bytes(b"broken")
        before = contents(path.parent)
        artifact.quarantine_damaged(path)
        assert contents(path.parent) == {name + ".damaged": content for name, content in before.items()}
        assert artifact.read(path) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trained_through", 0),  # would let it decide on bars it has seen
        ("threshold_scale", 0.0),
        ("ticker", "ETH/USD"),
        ("schema", 4),
        ("lookback", "12"),
        ("unknown", 1),
        ("sha256", {}),
        ("evidence", None),
    ],
)
def test_an_edited_card_is_seen(made, path, name, value):
    artifact.write(path, made[0], **made[1])
    file = path.with_suffix(".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    with pytest.raises(DamagedModelError):
        artifact.read(path)


def test_a_model_of_the_first_schema_is_read_and_never_taken_for_one_of_now(made, tmp_path):
    earlier = Path(__file__).parent.parent / "data" / "earlier_version" / "models" / "cache"
    (folder,) = earlier.iterdir()
    found = artifact.read(folder / "model.keras")
    assert (found.card.schema, found.card.ticker, found.card.data) == (1, "BTC/USD", "")
    with pytest.raises(DamagedModelError, match="that of another model, BTC/USD from sample through 2024-"):
        artifact.read(folder / "model.keras", folder.name)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '"card"', "{", "\x00\xff"])
def test_anything_else_is_no_card(text):
    with pytest.raises(ValueError, match=r"card|Expecting"):
        Card.from_json(text)


def test_files_of_two_models_are_not_one(made, path):
    card, files = made
    artifact.write(path, card, **files)
    other = path.with_name("btc_usd_other.keras")
    artifact.write(other, card, keras=b"another", onnx=planted_network(12, gain=3.0))
    other.with_suffix(".onnx").replace(path.with_suffix(".onnx"))
    with pytest.raises(DamagedModelError, match=r"\.onnx does not match the hash"):
        artifact.read(path)


class Killed(BaseException):
    pass


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("replacing", [False, True])
def test_a_process_killed_between_renames_leaves_no_wrong_model(made, path, monkeypatch, step, replacing):
    card, files = made
    old = artifact.write(path, card, **files) if replacing else None
    done = []

    def step_or_die(real):
        def act(self, *arguments, **options):
            if len(done) == step:
                raise Killed
            done.append(self)
            return real(self, *arguments, **options)

        return act

    # Writing takes one removal (of the card) and three renames.
    monkeypatch.setattr(Path, "unlink", step_or_die(Path.unlink))
    monkeypatch.setattr(Path, "replace", step_or_die(Path.replace))
    with pytest.raises(Killed):
        artifact.write(path, card, keras=b"new", onnx=planted_network(12, gain=2.0))
    monkeypatch.undo()
    try:
        found = artifact.read(path)
    except DamagedModelError:
        return
    assert found == (old if step == 0 else None)


def full_disk(monkeypatch, at):
    """Let the disk be full when the file number `at` is flushed to it."""
    flushed = []

    def fsync(handle):
        flushed.append(handle)
        if len(flushed) == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("at", [1, 2, 3])
def test_a_full_disk_is_an_error_that_leaves_everything_as_it_was(made, path, monkeypatch, at):
    card, files = made
    artifact.write(path, card, **files)
    before = contents(path.parent)
    full_disk(monkeypatch, at)
    with pytest.raises(ModelError, match="No space left") as caught:
        artifact.write(path, card, keras=b"new", onnx=b"new")
    assert caught.value.exit_code == 4
    assert "free space" in caught.value.remedy
    assert contents(path.parent) == before


def test_an_interrupted_write_leaves_no_temporary_file(made, path, monkeypatch):
    def interrupted(_handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        artifact.write(path, made[0], **made[1])
    assert contents(path.parent) == {}


def test_a_model_folder_that_is_a_file_is_an_error(made, tmp_path):
    folder = tmp_path / "models"
    folder.write_text("not a folder")
    path = folder / "btc_usd_lstm_v2.keras"
    assert artifact.read(path) is None
    for act in (lambda: artifact.write(path, made[0], **made[1]), lambda: artifact.lock(path)):
        with pytest.raises(ModelError, match="cannot be written") as caught:
            act()
        assert caught.value.exit_code == 4


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_an_error(made, path):
    path.parent.mkdir()
    path.parent.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(ModelError, match="Permission denied"):
        artifact.write(path, made[0], **made[1])
