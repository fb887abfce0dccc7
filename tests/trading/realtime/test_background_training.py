"""Training beside the deciding process."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from multiprocessing import resource_tracker, spawn
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock, Timeout
from support.stub_models import sample_bars
from support.trained_models import SETTINGS, training_data

from crypto_refactor.model import artifact
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.schedule import model_key
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.trading.realtime.background_training import BackgroundTrainer

PATIENCE = 300.0


def job(**changed):
    return TrainingJob(data=replace(training_data(), **changed), bars=sample_bars())


def key_of_job():
    """Return the key under which the model of `job()` is read again; any other only tells fits apart."""
    return model_key(sample_bars(), training_data(), SETTINGS)


def models_in(folder, **options):
    return ModelProvider(folder=folder, settings=SETTINGS, **options)


# With processes that are none


class Process:
    """A process of the test: it ends when it is told to."""

    def __init__(self, context, args):
        (self.pipe,) = args
        self.context, self.exitcode, self.killed, self.closed = context, None, False, False

    def start(self):
        if self.context.refuses:
            raise OSError(12, "Cannot allocate memory")
        self.pipe.reader = self
        self.context.started.append(self)
        self.context.most = max(
            self.context.most, sum(each.exitcode is None for each in self.context.started)
        )

    def is_alive(self):
        time.sleep(0)  # lets other threads in, as a system call does
        return self.exitcode is None

    def kill(self):
        self.killed, self.exitcode = True, -9

    def join(self):
        assert self.exitcode is not None

    def close(self):
        assert not self.is_alive()
        self.closed = True

    def train(self):
        self.models.get_or_train(self.key, self.job)
        self.exitcode = 0

    def fail(self, code=1, error=None):
        self.context.ends[self].error = error
        self.exitcode = code


class End:
    """One end of a pipe; the other one's reader knows at once what is sent."""

    error, reader = None, None
    other = None

    def send(self, what):
        self.other.reader.models, self.other.reader.key, self.other.reader.job = what

    def poll(self):
        return self.error is not None

    def recv(self):
        return self.error

    def close(self):
        pass


class Context:
    """Takes the place of `get_context("spawn")`."""

    def __init__(self):
        self.started, self.refuses, self.ends, self.most = [], False, {}, 0

    def Pipe(self):
        self.latest = End()
        self.latest.other = End()
        return self.latest, self.latest.other

    def Process(self, target, args, daemon):
        assert daemon
        process = Process(self, args)
        self.ends[process] = self.latest
        return process

    @property
    def keys(self):
        return [process.key for process in self.started]


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def context(monkeypatch):
    context = Context()
    monkeypatch.setattr("crypto_refactor.trading.realtime.background_training.get_context", lambda _: context)
    return context


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def trainer(context, clock, tmp_path, fits):
    return BackgroundTrainer(models_in(tmp_path), workers=2, monotonic=clock)


def test_a_model_is_trained_by_one_process_however_often_it_is_asked_for(trainer, context, tmp_path):
    key = key_of_job()
    for _ in range(3):
        trainer.begin(key, job())
    assert context.keys == [key]
    context.started[0].train()
    trainer.begin(key, job())
    assert context.keys == [key]
    assert trainer.failure(key) is None
    assert models_in(tmp_path).get(key) is not None
    assert context.started[0].closed


def test_the_process_is_told_which_cluster_trains(context, tmp_path, fits):
    cluster = Cluster("tcp://127.0.0.1:8786")
    BackgroundTrainer(models_in(tmp_path, cluster=cluster), workers=2).begin("a", job())
    assert context.started[0].models.cluster == cluster


def test_what_is_at_hand_is_not_trained(trainer, context, tmp_path):
    key = key_of_job()
    models_in(tmp_path).get_or_train(key, job())
    trainer.begin(key, job())
    assert context.keys == []


def test_no_more_than_the_workers_train_at_a_time(trainer, context):
    for key in "abcd":
        trainer.begin(key, job())
    assert context.keys == ["a", "b"]
    context.started[1].train()
    trainer.failure("a")  # any question looks after the others
    assert context.keys == ["a", "b", "c"]
    context.started[0].fail()
    context.started[2].train()
    trainer.begin("d", job())
    assert context.keys == ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("error", "failure"), [("It diverged.", "It diverged."), (None, "its process ended with -9")]
)
def test_a_fit_that_failed_is_told_and_tried_again_after_ten_minutes(trainer, context, clock, error, failure):
    trainer.begin("a", job())
    context.started[0].fail(-9 if error is None else 1, error)
    assert trainer.failure("a") == failure
    clock.now = 599
    trainer.begin("a", job())
    assert context.keys == ["a"]
    clock.now = 601
    trainer.begin("a", job())
    assert context.keys == ["a", "a"]
    assert trainer.failure("a") == failure
    context.started[1].train()
    assert trainer.failure("a") is None


def test_a_failure_holds_up_no_other_fit(trainer, context):
    trainer.begin("a", job())
    context.started[0].fail()
    trainer.begin("b", job())
    assert context.keys == ["a", "b"]
    assert trainer.failure("b") is None


def test_a_machine_that_starts_no_process_is_a_failure_and_no_end(trainer, context, clock):
    context.refuses = True
    trainer.begin("a", job())
    assert trainer.failure("a") == "no process could be started: Cannot allocate memory"
    context.refuses, clock.now = False, 601
    trainer.begin("a", job())
    assert context.keys == ["a"]


def test_a_signal_waits_until_a_process_that_is_being_started_can_be_stopped(trainer, context, monkeypatch):
    usual = Process.start

    def interrupted(process):
        signal.raise_signal(signal.SIGINT)
        usual(process)

    monkeypatch.setattr(Process, "start", interrupted)
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is deaf to it
    try:
        with pytest.raises(KeyboardInterrupt):
            trainer.begin("a", job())
    finally:
        signal.signal(signal.SIGINT, inherited)
    trainer.stop()
    assert [process.killed for process in context.started] == [True]


def test_stopping_ends_what_runs_and_forgets_what_waits(trainer, context):
    for key in "abcd":
        trainer.begin(key, job())
    trainer.stop()
    assert [process.killed for process in context.started] == [True, True]
    assert trainer.failure("c") is None
    assert context.keys == ["a", "b"]
    trainer.stop()


def test_many_threads_may_ask_at_once(trainer, context):
    shared_job, errors, together = job(), [], threading.Barrier(4)

    def ask(own):
        together.wait()
        try:
            for turn in range(100):
                trainer.begin(f"{own}{turn}", shared_job)
                for process in list(context.started):
                    if process.exitcode is None:
                        process.fail()
                trainer.failure(f"{own}{turn - 1}")
        except Exception as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(own,)) for own in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert context.most <= 2
    assert len(context.keys) == len(set(context.keys))


# With processes that train


@pytest.fixture
def real(tmp_path):
    trainer = BackgroundTrainer(models_in(tmp_path), workers=2)
    yield trainer
    trainer.stop()


def ended(trainer, key):
    """Wait until the fit of `key` has ended; return why it failed."""
    running = trainer._running.get(key)
    if running is not None:
        running.process.join(PATIENCE)
    return trainer.failure(key)


def wait_until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def locked(folder, key):
    try:
        with FileLock(folder / "cache" / f".{key}.lock", timeout=0):
            return False
    except (Timeout, OSError):
        return True


def model_files(folder):
    return [path for path in folder.rglob("*") if path.suffix in artifact.SUFFIXES or "writing" in path.name]


@pytest.mark.slow
def test_processes_of_their_own_train_models_that_serve_and_tell_what_fails(real, tmp_path, capfd):
    bad = job(returns=np.full(len(training_data()), np.nan))
    good = key_of_job()
    real.begin(good, job())
    real.begin("bad", bad)
    assert ended(real, good) is None
    assert "loss" in ended(real, "bad") or "diverged" in ended(real, "bad")
    model = models_in(tmp_path).get(good)
    assert model.card.network == "small"
    assert models_in(tmp_path).get("bad") is None
    assert "tensorflow" not in sys.modules
    assert capfd.readouterr() == ("", "")


def test_a_process_that_ends_before_it_has_read_its_job_holds_nobody_up(real, monkeypatch):
    resource_tracker.ensure_running()  # a process as well, which others need
    monkeypatch.setattr(spawn, "get_executable", lambda: b"/bin/false")
    assert len(pickle.dumps(job())) > 2**16  # more than a pipe holds
    real.begin("a", job())
    wait_until(lambda: real.failure("a"))
    assert real.failure("a") == "its process ended with 1"


@pytest.mark.slow
def test_stopping_in_the_middle_of_a_fit_leaves_no_process_no_lock_and_no_model(real, tmp_path):
    real.begin("a", job())
    wait_until(lambda: (tmp_path / "cache").is_dir() and locked(tmp_path, "a"))
    process = real._running["a"].process
    number = process.pid
    real.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    assert not locked(tmp_path, "a")
    assert model_files(tmp_path) == []
    assert models_in(tmp_path).get("a") is None


PARENT = """
import sys
from pathlib import Path
from support.trained_models import SETTINGS, training_data
from support.stub_models import sample_bars
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.trading.realtime.background_training import BackgroundTrainer
import time

if __name__ == "__main__":
    models = ModelProvider(folder=Path(sys.argv[1]), settings=SETTINGS)
    trainer = BackgroundTrainer(models, workers=1)
    trainer.begin("a", TrainingJob(data=training_data(), bars=sample_bars()))
    print(trainer._running["a"].process.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_a_fit_ends_with_a_parent_that_was_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    paths = os.pathsep.join([str(Path(__file__).resolve().parents[2]), *sys.path])
    parent = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(parent.stdout.readline())
    wait_until(lambda: (tmp_path / "cache").is_dir() and locked(tmp_path, "a"))
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_until(lambda: not running(child))
    assert not locked(tmp_path, "a")
    assert model_files(tmp_path) == []


def running(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
