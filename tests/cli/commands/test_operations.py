"""`doctor` and `status --max-age`, and a machine where nothing that trains is installed."""

from __future__ import annotations

import json
import subprocess

import pytest
from support.cli_runner import PATIENCE, words

from crypto_refactor.cli.command_table import load_command

TRADE = "--demo --source sample --network linear --train-hours 240"


@pytest.fixture
def examine(invoke):
    def call(line="", **options):
        done = invoke(load_command("doctor"), f"{line} --json", **options)
        document = json.loads(done.out)
        assert document["code"] == done.code
        return document, {finding["check"]: finding for finding in document["findings"]}

    return call


def test_before_a_first_run_the_source_is_checked_and_the_rest_is_said_to_be_open(examine, home):
    document, found = examine("--source sample")
    assert document["code"] == 0
    assert document["account"] is None
    assert "not checked" in found["account"]["text"]
    assert found["source"]["state"] == "ok"
    assert not home.folder.joinpath("state").exists()


def test_an_account_is_followed_to_the_model_of_its_next_close(examine, run, fits):
    run(load_command("trade"), f"{TRADE} --once")
    document, found = examine()
    assert document["account"] == "demo/sample"
    assert document["counts"]["failed"] == 0
    assert found["model of BTC/USD"]["state"] == "ok"
    assert found["bars of BTC/USD"]["state"] == "ok"
    assert found["cash"]["state"] == "ok"


def test_a_model_that_is_gone_is_trained_by_the_run(examine, run, fits, home):
    run(load_command("trade"), f"{TRADE} --once")
    for file in home.models.glob("cache/*/model.onnx"):
        file.unlink()
    document, found = examine()
    assert document["code"] == 0
    assert found["model of BTC/USD"]["state"] == "warning"
    assert "not trained yet" in found["model of BTC/USD"]["text"]


def test_a_pinned_model_that_is_missing_fails_with_the_code_of_models(examine, run, fits, home):
    run(load_command("trade"), f"{TRADE} --once")
    from crypto_refactor.trading.account_names import ledger_of

    ledger = ledger_of(home.folder / "state")
    (row,) = ledger.accounts()
    ledger.open_account(row.name, row.traded_at, row.about | {"model": "gone"})
    document, found = examine()
    assert document["code"] == 4
    assert "is missing" in found["model of BTC/USD"]["text"]


def test_plugins_of_which_only_hashes_are_kept_are_said_and_not_guessed(examine, run, fits, home):
    run(load_command("trade"), f"{TRADE} --once")
    from crypto_refactor.trading.account_names import ledger_of

    ledger = ledger_of(home.folder / "state")
    (row,) = ledger.accounts()
    settings = row.about["settings"] | {"plugins": [{"name": "x", "hash": "y"}]}
    ledger.open_account(row.name, row.traded_at, row.about | {"settings": settings})
    _, found = examine()
    assert "plug-ins" in found["next hour"]["text"]


@pytest.mark.slow
def test_a_source_that_cannot_be_reached_fails_alone_and_names_what_is_not_checked(examine, monkeypatch):
    monkeypatch.setenv("CRYPTO_ALPACA_DATA_URL", "http://127.0.0.1:9")
    document, found = examine("--source alpaca")
    assert document["code"] == 3
    assert found["source"]["state"] == "failed"
    assert found["clock"]["state"] == "warning"
    assert "not checked" in found["clock"]["text"]
    assert found["ledger"]["state"] == "ok"


def test_a_halt_is_a_warning_and_no_failure(examine, run):
    run(load_command("halt"), "--why travelling")
    document, found = examine("--source sample")
    assert document["code"] == 0
    assert "travelling" in found["halt"]["text"]


def test_the_text_has_every_finding_and_every_remedy(run, invoke, fits):
    run(load_command("trade"), f"{TRADE} --once")
    run(load_command("halt"), "")
    out = invoke(load_command("doctor"), "").out
    assert "Checks for demo/sample" in out
    assert "-> `crypto-refactor resume` allows entries again." in out
    assert " 0 failed, 1 warning." in out


def test_a_damaged_ledger_is_said_once_with_commands_that_can_be_copied(examine, run, invoke, fits, home):
    run(load_command("trade"), f"{TRADE} --once")
    run(load_command("trade"), f"{TRADE} --ticker ETH/USD --once")
    ledger = home.folder / "state" / "ledger.sqlite"
    content = bytearray(ledger.read_bytes())
    content[4096:12288] = b"\xff" * 8192
    ledger.write_bytes(content)
    for extra in ("-wal", "-shm"):
        ledger.with_name(ledger.name + extra).unlink(missing_ok=True)
    document, found = examine("--source sample")
    assert document["code"] == 5
    assert (found["ledger"]["state"], found["account"]["state"]) == ("failed", "warning")
    assert found["ledger"]["remedy"] in invoke(load_command("doctor"), "--source sample").out


def test_a_replay_has_no_next_hour(examine, run, fits):
    run(load_command("trade"), f"{TRADE} --replay-hours 2")
    _, found = examine()
    assert "replay" in found["next hour"]["text"]


def test_an_unknown_account_is_a_finding(examine, run, fits, monkeypatch):
    run(load_command("trade"), f"{TRADE} --once")
    monkeypatch.setenv("CRYPTO_SOURCE", "sample")
    document, found = examine("--account paper/none")
    assert document["code"] == 5
    assert "no account paper/none" in found["account"]["text"]


# status --max-age


def test_an_account_that_decided_in_time_is_well(run, fits):
    status = load_command("status")
    run(load_command("trade"), f"{TRADE} --once")
    done = json.loads(run(status, "--max-age 2h --json").out)
    assert done["recent"]
    assert 0 <= done["age_seconds"] < 7200
    assert done["max_age_seconds"] == 7200
    assert "allowed" in run(status, "--max-age 1d").out
    assert "age_seconds" not in json.loads(run(status, "--json").out)


def test_one_that_never_decided_ends_with_5(run):
    status = load_command("status")
    assert json.loads(run(status, "--max-age 2h --json", code=5).out)["age_seconds"] is None
    assert "No decision was ever recorded" in run(status, "--max-age 2h", code=5).out
    run(status, "--max-age soon", code=2)


# Where nothing that trains is installed

HIDDEN = """
import importlib.abc, importlib.metadata, sys
NAMES = ("tensorflow", "keras", "tf2onnx", "onnx")

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in NAMES:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Hidden())
installed = importlib.metadata.version

def version(name):
    if name in NAMES:
        raise importlib.metadata.PackageNotFoundError(name)
    return installed(name)

importlib.metadata.version = version
"""


@pytest.fixture
def serve(tmp_path):
    """Run a command line where TensorFlow, Keras and the exporters do not exist."""
    (tmp_path / "sitecustomize.py").write_text(HIDDEN, encoding="utf-8")

    def call(home, line, code=0):
        options = home.options(PYTHONPATH=str(tmp_path))
        done = subprocess.run(words(line), timeout=PATIENCE, check=False, **options)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call


def test_what_was_trained_elsewhere_is_served_without_what_trains(warm_copy, warm, serve):
    for line, before in ((warm.signal_line, warm.signal), (warm.backtest_line, warm.backtest)):
        after = json.loads(serve(warm_copy, f"{line} --json").stdout)
        assert after["end"] == before["end"] if "end" in before else True
        if "metrics" in before:
            assert after["metrics"] == before["metrics"]
            assert after["audit"] == before["audit"]
        else:
            assert after["predicted_price"] == before["predicted_price"]


def test_a_replay_is_served_without_what_trains(warm_copy, serve):
    done = serve(
        warm_copy, "run_trading --demo --source sample --network linear --train-hours 240 --replay-hours 24"
    )
    assert "Equal to the backtest of the same window, to the last cent" in done.stdout


def test_a_model_that_is_missing_there_is_an_error_with_a_remedy(home, serve):
    done = serve(home, "app_lstm --source sample --network linear --hours 120", code=4)
    assert "none can be trained here: tensorflow, keras, tf2onnx, onnx not installed" in done.stderr
    assert "CRYPTO_MODEL_DIR" in done.stderr


@pytest.mark.slow
def test_doctor_says_there_whether_the_next_model_is_at_hand(warm_copy, serve):
    serve(warm_copy, "run_trading --demo --source sample --network linear --train-hours 240 --once")
    found = json.loads(serve(warm_copy, "crypto-refactor doctor --json").stdout)["findings"]
    states = {finding["check"]: finding["state"] for finding in found}
    assert states["training"] == "warning"
    assert states["model of BTC/USD"] == "ok"
    for file in warm_copy.models.glob("cache/*/model.onnx"):
        file.unlink()
    failed = json.loads(serve(warm_copy, "crypto-refactor doctor --json", code=4).stdout)["findings"]
    (model,) = [finding for finding in failed if finding["state"] == "failed"]
    assert "cannot be trained here" in model["text"]
