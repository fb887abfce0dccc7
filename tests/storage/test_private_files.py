"""What the tool writes can be read by its owner alone, whatever the umask."""

from __future__ import annotations

import os
import stat

import pytest
from support.stub_models import planted_card, sample_bars
from support.trained_models import SETTINGS, training_data

from crypto_refactor.execution.stepper import new_state
from crypto_refactor.market.sources.bar_store import BarStore
from crypto_refactor.market.sources.csv_files import write_csv
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.cache import ModelProvider, cache_path
from crypto_refactor.storage.output_file import write_text
from crypto_refactor.trading.kill_switch import halt
from crypto_refactor.trading.ledger import Ledger
from crypto_refactor.trading.locks import locked

BTC = Ticker("BTC", "USD")


@pytest.fixture(params=[0o000, 0o022, 0o277], ids="umask {:03o}".format)
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def open_to_others(folder):
    """Return what below `folder` anybody but its owner could use, or its owner could not."""
    expected = {True: 0o700, False: 0o600}
    return [str(path) for path in folder.rglob("*") if mode(path) != expected[path.is_dir()]]


def test_state_is_for_its_owner_alone(tmp_path, umask, random_bars):
    state = tmp_path / "deep" / "state"
    ledger = Ledger(state / "ledger.sqlite")
    ledger.open_account("demo/sample", "2024-05-01T00:00:00Z")
    with locked(state, "demo/sample", BTC), ledger.transaction("demo/sample", BTC) as writer:
        writer.open(new_state(10.0, 100))
        assert {path.name for path in state.glob("ledger.sqlite-*")} == {
            "ledger.sqlite-wal",
            "ledger.sqlite-shm",
        }
        assert open_to_others(tmp_path) == []
    BarStore(state / "bars.sqlite", source="files").write(random_bars(5, first=100), 100, 105)
    ledger.open_account("demo/files", "2024-05-01T00:00:00Z")
    halt(state, at="2024-05-01T00:00:00Z", why="")
    assert {"backups", "locks", "halt.json", "bars.sqlite"} <= {path.name for path in state.iterdir()}
    assert open_to_others(tmp_path) == []


def test_models_and_outputs_are_for_their_owner_alone(tmp_path, umask, random_bars):
    card, files = planted_card(training_data(), SETTINGS, sample_bars(800))
    models = ModelProvider(folder=tmp_path / "models", settings=SETTINGS)
    path = cache_path(models.folder, "key")
    with artifact.lock(path):
        artifact.write(path, card, **files)
    models.keep_for_ledger("key", tmp_path / "ledger.sqlite")
    write_csv(random_bars(5), tmp_path / "bars" / "btc_usd_1h.csv")
    write_text(tmp_path / "report.html", "x")
    assert open_to_others(tmp_path) == []


def test_what_a_person_has_opened_stays_open(tmp_path):
    """A folder is left alone, and so are the permissions of a file that is written anew."""
    state = tmp_path / "state"
    state.mkdir()
    state.chmod(0o755)
    Ledger(state / "ledger.sqlite").open_account("demo/sample", "2024-05-01T00:00:00Z")
    assert mode(state) == 0o755
    report = tmp_path / "report.html"
    write_text(report, "first")
    report.chmod(0o644)
    write_text(report, "second")
    assert (mode(report), report.read_text()) == (0o644, "second")
