"""Signals, full disks, readers that leave and neighbours that train the same model."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
from filelock import FileLock
from support.cli_runner import PATIENCE, Home, one_document, with_small_files, words

pytestmark = pytest.mark.slow  # real processes that are ended

SIGNAL = "app_lstm --source sample --network small --hours 120"
BACKTEST = "app_backtester --source sample --network small --hours 100 --train-hours 240 --refit-every 72"
MODEL_FILES = {".keras", ".onnx", ".json"}


def model_files(home):
    return [path for path in home.models.rglob("*") if path.suffix in MODEL_FILES or "writing" in path.name]


def locks(home):
    return list(home.models.rglob("*.lock"))


def assert_unlocked(home):
    assert locks(home) != []
    for path in locks(home):
        with FileLock(path, timeout=0):
            pass


def wait_for(what, process):
    """Wait until `what()` holds, as long as the process runs."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def running_in_group(group):
    """Return the processes of a group that have not ended."""
    listed = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    return [row for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")],
)
def test_a_signal_that_is_interrupted_leaves_no_model_and_no_lock(home, number, code, says):
    process = home.start(SIGNAL)
    assert process.stderr.readline() == "Training 1 model …\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (code, "")
    assert err.strip() == says
    assert model_files(home) == []
    assert_unlocked(home)


@pytest.mark.slow
def test_after_an_interruption_the_same_command_works(home, warm):
    process = home.start(warm.signal_line)
    process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    again = home.json(warm.signal_line)
    assert again["model_info"]["decision"] == "trained"
    assert again["predicted_price"] == warm.signal["predicted_price"]


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=pytest.mark.slow)],
    ids=["Ctrl-C", "terminate"],
)
def test_a_backtest_interrupted_while_its_workers_train_takes_them_along(home, tmp_path, number, code):
    notes = tmp_path / "temporary"
    notes.mkdir()
    process = home.start(BACKTEST, TMPDIR=str(notes))
    # Each worker notes its finished epochs in a file of its own: the first one means that training runs.
    wait_for(
        lambda: any("fitting 1 " in file.read_text() for file in notes.glob("crypto-refactor-*/*")), process
    )
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # what a terminal does on Ctrl-C
    else:
        process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out) == (code, "")
    assert "Traceback" not in err
    assert [path for path in model_files(home) if "writing" in path.name] == []
    assert_unlocked(home)
    deadline = time.monotonic() + PATIENCE
    while running_in_group(process.pid):
        assert time.monotonic() < deadline, running_in_group(process.pid)
        time.sleep(0.05)
    assert list(notes.glob("crypto-refactor-*")) == []


@pytest.mark.slow
def test_two_processes_that_want_the_same_model_train_it_once(home):
    running = [home.start(f"{SIGNAL} --json") for _ in range(2)]
    answers = [process.communicate(timeout=PATIENCE) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    models = [one_document(out)["model_info"] for out, _ in answers]
    assert sorted(model["decision"] for model in models) == ["reused", "trained"]
    assert len({model["fingerprint"] for model in models}) == 1
    assert "".join(err for _, err in answers).count("Training 1 model") == 1
    assert len(model_files(home)) == 3


def full_disk(home, line, limit):
    done = subprocess.run(
        with_small_files(words(line), limit), timeout=PATIENCE, check=False, **home.options()
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.slow
def test_a_disk_that_fills_while_a_model_is_saved_ends_with_4_and_leaves_nothing(home):
    done = full_disk(home, SIGNAL, 20_000)
    assert done.returncode == 4, done.stderr
    assert "File too large" in done.stderr
    assert "Expected:" in done.stderr
    assert "Remedy:" in done.stderr
    assert done.stdout == ""
    assert model_files(home) == []
    assert_unlocked(home)


@pytest.mark.slow
def test_a_disk_that_fills_leaves_the_model_at_hand_as_it_was(warm_copy, warm):
    before = {path: path.read_bytes() for path in model_files(warm_copy)}
    done = full_disk(warm_copy, f"{warm.signal_line} --retrain", 20_000)
    assert done.returncode == 4, done.stderr
    assert {path: path.read_bytes() for path in model_files(warm_copy)} == before


def test_a_disk_that_fills_while_a_table_is_written_ends_with_3_and_leaves_nothing(warm_copy, warm):
    table = warm_copy.work / "signals.csv"
    done = full_disk(warm_copy, f"{warm.backtest_line} --signals {table}", 500)
    assert done.returncode == 3, done.stderr
    assert f"{table} cannot be written: File too large." in done.stderr
    assert list(warm_copy.work.iterdir()) == []


@pytest.mark.parametrize(
    "line",
    ["app_lstm --help", "data --source sample", "data --source sample --json", "data --hours 0 --json"],
)
def test_a_reader_who_leaves_early_is_no_fault(home, line):
    process = home.start(line)
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE) == (2 if "--hours 0" in line else 0)
    assert err == ""


@pytest.mark.parametrize("option", ["", "--json"])
def test_a_full_device_behind_stdout_is_named(home, option):
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        options = home.options() | {"stdout": full}
        done = subprocess.run(words(f"data --source sample {option}"), check=False, **options)
    assert done.returncode == 3
    assert done.stderr.startswith("Error: The results cannot be written: No space left on device.")
    assert "Exception ignored" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("redirection", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_a_closed_stream_keeps_no_command_from_its_work(home, redirection):
    line = "app_lstm --source sample --network linear --hours 120"
    script = f"exec {shlex.join(words(line))} {redirection}"
    done = subprocess.run(["bash", "-c", script], timeout=PATIENCE, check=False, **home.options())
    assert done.returncode == 0
    assert ("BTC/USD" in done.stdout) == (redirection == "2>&-")
    assert len(model_files(home)) == 3


def test_two_homes_are_strangers(warm, tmp_path):
    assert Home(tmp_path / "other").json("crypto-refactor models")["models"] == []
    assert len(warm.home.json("crypto-refactor models")["models"]) == 2
