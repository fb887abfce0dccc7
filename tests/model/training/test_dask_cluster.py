"""Fits on a Dask cluster: the weights of a fit at home, or an error that says why not."""

from __future__ import annotations

import gc
import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path

import distributed
import pytest
from support.dask_cluster import TESTS, dask_cluster, die, refused, weights_and_evidence
from support.trained_models import SETTINGS, once, tampered, training_data

from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.model.training import dask_client as module
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.dask_client import on_cluster
from crypto_refactor.model.training.dask_worker import (
    numeric_environment,
    require_same_environment,
    run_in_process,
)
from crypto_refactor.model.training.parallel import fit_all

PATIENCE = 120.0


def ignore(_progress):
    pass


def wait_until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


class TestAddress:
    @pytest.mark.parametrize("text", ["tcp://10.0.0.7:8786", "tls://scheduler.lan:8786", "tcp://[::1]:8786"])
    def test_a_schedulers_address_is_one(self, text):
        assert Cluster(text).address == text

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "localhost:8786",
            "tcp://host",
            "tcp://:8786",
            "tcp://host:port",
            "http://host:80",
            "tcp://[::1:8786",
            "tcp://host:8786/x",
            "tcp://host:0",
            "tcp://user:secret@host:8786",
            "tcp://host:8786/?x=1",
        ],
    )
    def test_anything_else_is_not(self, text):
        with pytest.raises(UsageError, match="tcp://host:port"):
            Cluster(text)

    def test_without_the_extra_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr("crypto_refactor.model.training.cluster.find_spec", lambda _name: None)
        with pytest.raises(UsageError) as caught:
            Cluster("tcp://127.0.0.1:8786")
        assert caught.value.exit_code == 2
        assert "pip install 'crypto-refactor[cluster]'" in caught.value.remedy


class TestTheSameArithmetic:
    def test_this_process_has_its_own(self):
        require_same_environment(numeric_environment())

    def test_it_holds_what_decides_the_weights(self):
        own = numeric_environment()
        assert {"keras", "numpy", "tensorflow", "recipe", "processor", "crypto-refactor"} <= own.keys()
        assert all(own.values())

    @pytest.mark.parametrize("name", sorted(numeric_environment()))
    def test_any_difference_is_refused_and_named_from_both_sides(self, name):
        with pytest.raises(ModelError) as caught:
            require_same_environment(numeric_environment() | {name: "another"})
        assert f"{name} {numeric_environment()[name]} there, another here" in caught.value.what
        assert caught.value.exit_code == 4

    def test_what_only_one_side_knows_is_a_difference(self):
        with pytest.raises(ModelError, match="abacus unknown there, 1 here"):
            require_same_environment(numeric_environment() | {"abacus": "1"})


class TestApart:
    def test_a_call_is_made_in_another_process_which_is_kept(self):
        first, second = run_in_process(os.getpid), run_in_process(os.getpid)
        assert first == second != os.getpid()

    def test_calls_at_the_same_time_have_a_process_each(self, tmp_path):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(run_in_process(partial(_meet, tmp_path))))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set(found)) == 2

    def test_what_it_prints_does_not_stand_among_its_answers(self):
        assert run_in_process(partial(os.system, "echo noise")) == 0
        assert run_in_process(partial(print, "noise")) is None
        assert run_in_process(partial(abs, -3)) == 3

    def test_one_that_dies_is_an_error_and_the_next_call_has_another(self):
        with pytest.raises(ModelError, match="has died with -9") as caught:
            run_in_process(die)
        assert caught.value.exit_code == 4
        assert run_in_process(partial(abs, -3)) == 3

    def test_one_ends_after_a_few_calls_because_fits_leave_memory_behind(self, monkeypatch):
        monkeypatch.setattr("crypto_refactor.model.training.dask_worker._MAX_CALLS", 3)
        monkeypatch.setattr("crypto_refactor.model.training.dask_worker._idle", kept := deque())
        first, *others = [run_in_process(os.getpid) for _ in range(4)]
        kept.pop().end()
        assert [other == first for other in others] == [True, True, False]
        assert gone(first)

    def test_one_that_died_between_two_calls_is_replaced(self):
        number = run_in_process(os.getpid)
        os.kill(number, signal.SIGKILL)
        wait_until(lambda: os.waitid(os.P_PID, number, os.WEXITED | os.WNOHANG | os.WNOWAIT))
        assert run_in_process(os.getpid) not in {number, os.getpid()}

    @pytest.mark.slow
    def test_it_ends_with_whoever_asked_in_the_middle_of_a_call(self, tmp_path):
        said = tmp_path / "pid"
        paths = os.pathsep.join([str(Path(__file__).parent), str(TESTS), *sys.path])
        parent = subprocess.Popen(
            [sys.executable, "-c", ASK_FOR_A_LONG_CALL, str(said)], env=os.environ | {"PYTHONPATH": paths}
        )
        wait_until(lambda: said.exists() and said.read_text())
        child = int(said.read_text())
        assert not gone(child)
        parent.kill()
        parent.wait()
        wait_until(lambda: gone(child))


ASK_FOR_A_LONG_CALL = """
import sys
from functools import partial
from test_dask_cluster import _tell_and_sleep
from crypto_refactor.model.training.dask_worker import run_in_process
run_in_process(partial(_tell_and_sleep, sys.argv[1]))
"""


def _slow_pid(seconds):
    time.sleep(seconds)
    return os.getpid()


def _meet(folder):
    """Return only when two calls run at the same time."""
    (folder / str(os.getpid())).touch()
    wait_until(lambda: len(list(folder.iterdir())) == 2)
    return os.getpid()


def _append(path, number):
    with Path(path).open("a") as file:
        file.write(f"{number} ")


def _tell_and_sleep(path):
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    with dask_cluster(tmp_path_factory.mktemp("two"), workers=2) as running:
        yield running


@pytest.fixture(autouse=True)
def nothing_stays_open():
    """An open client that the garbage collector closes can lock all later ones out, and a thread would hold one."""
    yield
    open_clients = [
        client
        for client in gc.get_objects()
        if isinstance(client, distributed.Client) and client.status != "closed"
    ]
    assert open_clients == []
    assert [thread.name for thread in threading.enumerate() if thread.name == "dask client"] == []


class TestWork:
    @pytest.mark.slow
    def test_every_call_is_made_on_the_cluster(self, two):
        found = list(on_cluster(two.cluster, [partial(_slow_pid, 0.2) for _ in range(6)]))
        assert len(found) == 6
        assert os.getpid() not in found
        assert len(set(found)) == 2

    def test_one_worker_does_all_of_it(self, tmp_path):
        with dask_cluster(tmp_path, workers=1) as one:
            found = set(on_cluster(one.cluster, [os.getpid, os.getpid]))
        assert len(found) == 1
        assert os.getpid() not in found

    @pytest.mark.slow
    def test_calls_begin_in_their_order(self, tmp_path):
        order = tmp_path / "order"
        with dask_cluster(tmp_path, workers=1) as one:
            list(on_cluster(one.cluster, [partial(_append, str(order), n) for n in range(12)]))
        assert order.read_text().split() == [str(n) for n in range(12)]

    @pytest.mark.slow
    def test_a_worker_that_comes_late_is_waited_for(self, tmp_path):
        with dask_cluster(tmp_path) as late:
            threading.Timer(2, late.worker).start()
            assert list(on_cluster(late.cluster, [partial(abs, -3)])) == [3]

    def test_nothing_to_do_is_done_at_once(self, two):
        assert list(on_cluster(two.cluster, [])) == []

    def test_what_a_call_raises_says_that_the_cluster_cannot(self, two):
        with pytest.raises(ModelError, match=r"cannot train: .*nowhere") as caught:
            list(on_cluster(two.cluster, [partial(os.stat, "/nowhere")]))
        assert caught.value.exit_code == 4

    def test_a_scheduler_that_lacks_the_package_is_told(self, two, tmp_path, monkeypatch):
        (tmp_path / "only_here.py").write_text("def call():\n    return 1\n")
        monkeypatch.syspath_prepend(tmp_path)
        from only_here import call

        with pytest.raises(ModelError, match="cannot train: No module named 'only_here'") as caught:
            list(on_cluster(two.cluster, [call]))
        assert "crypto-refactor[cluster]" in caught.value.remedy


def abs_of_three():
    return abs(-3)


class TestTrouble:
    """Each ends with an error that says what is wrong; Dask alone would wait without end."""

    @pytest.fixture
    def impatient(self, monkeypatch):
        """Return what shortens the limits: only once everything that should answer has answered."""

        def shorten(**seconds):
            for name, value in seconds.items():
                monkeypatch.setattr(module, name, value)

        return shorten

    def refusal(self, cluster, call=abs_of_three):
        with pytest.raises(ModelError) as caught:
            list(on_cluster(cluster, [call]))
        assert caught.value.exit_code == 4
        return caught.value.what

    def begun(self, running):
        """Return the results of two calls, of which the second takes too long, after the first."""
        results = on_cluster(running.cluster, [partial(abs, -3), partial(time.sleep, 600)])
        assert next(results) == 3
        return results

    def test_nobody_listens(self, impatient):
        impatient(CONNECT_SECONDS=1.5)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        assert "cannot be reached" in self.refusal(Cluster(f"tcp://127.0.0.1:{port}"))

    @pytest.mark.slow
    def test_somebody_listens_and_says_nothing(self, impatient):
        impatient(CONNECT_SECONDS=1.5)
        with socket.create_server(("127.0.0.1", 0)) as silent:
            what = self.refusal(Cluster(f"tcp://127.0.0.1:{silent.getsockname()[1]}"))
        assert what.endswith("cannot be reached: no answer in time.")

    def test_it_talks_at_once_and_is_no_scheduler(self):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def greet():
                connection, _ = server.accept()
                with connection:
                    connection.sendall(b"220 mail.example ESMTP ready, and more\r\n")

            thread = threading.Thread(target=greet, daemon=True)
            thread.start()
            assert "cannot be reached" in self.refusal(Cluster(f"tcp://127.0.0.1:{server.getsockname()[1]}"))
            thread.join()

    def test_tls_without_certificates(self, capfd):
        what = self.refusal(Cluster("tls://127.0.0.1:9"))
        assert what.endswith("there are no certificates for tls://.")
        assert "Traceback" not in capfd.readouterr().err

    def test_there_is_no_worker(self, tmp_path, impatient):
        impatient(NO_WORKER_TIMEOUT=1.5)
        with dask_cluster(tmp_path) as empty:
            assert "has had no worker" in self.refusal(empty.cluster)

    def test_every_worker_has_gone(self, tmp_path, impatient):
        with dask_cluster(tmp_path) as running:
            worker = running.worker()
            results = self.begun(running)
            impatient(NO_WORKER_TIMEOUT=1.5)
            worker.kill()
            with pytest.raises(ModelError, match="has had no worker"):
                next(results)

    @pytest.mark.slow
    def test_whoever_begins_a_call_dies(self, tmp_path):
        with dask_cluster(tmp_path, workers=2, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="1") as running:
            assert "every worker that began it died, 2 in all" in self.refusal(running.cluster, die)

    @pytest.mark.slow
    def test_the_scheduler_has_gone(self, tmp_path):
        with dask_cluster(tmp_path, workers=1) as running:
            results = self.begun(running)
            running.scheduler.kill()
            with pytest.raises(ModelError, match="was lost during training"):
                next(results)

    @pytest.mark.slow
    def test_the_scheduler_says_nothing_any_more(self, tmp_path, impatient):
        with dask_cluster(tmp_path, workers=1) as running:
            results = self.begun(running)
            impatient(CONNECT_SECONDS=0.5, NO_WORKER_TIMEOUT=1.5)
            running.scheduler.send_signal(signal.SIGSTOP)
            with pytest.raises(ModelError, match="has not answered"):
                next(results)


@pytest.fixture(scope="session")
def at_home(shared_dir):
    """What the two training sets give in processes of this machine."""
    return once(
        shared_dir,
        "cluster_at_home",
        lambda: [
            weights_and_evidence(trained)
            for _, trained in sorted(fit_all([training_data(), tampered(training_data())], SETTINGS, ignore))
        ],
    )


@pytest.mark.slow
class TestFits:
    def test_a_fit_beside_other_users_of_random_numbers_is_the_same(self, at_home):
        # A worker's event loop draws from Python's global random numbers, as this thread does.
        done = threading.Event()
        thread = threading.Thread(
            target=lambda: [random.random() for _ in iter(lambda: done.wait(0.002), True)]
        )
        thread.start()
        try:
            found = run_in_process(partial(_train, training_data()))
        finally:
            done.set()
            thread.join()
        assert found == at_home[0]

    def test_a_worker_lost_in_the_middle_costs_nothing_but_time(self, tmp_path, at_home):
        data = training_data()
        lost, heard = threading.Event(), []
        with dask_cluster(tmp_path) as running:
            first = running.worker()
            results = []

            def follow(progress):
                heard.append(progress)
                if progress.epoch == 2 and not lost.is_set():
                    lost.set()
                    first.kill()
                    running.worker()

            results = dict(fit_all([data, tampered(data), data], SETTINGS, follow, cluster=running.cluster))
        assert lost.is_set()
        assert [weights_and_evidence(results[job]) for job in range(3)] == [*at_home, at_home[0]]
        # The workers share this machine's folders, so their epochs show as they end.
        assert {progress.job for progress in heard} == {0, 1, 2}
        assert sum(progress.epoch == 1 for progress in heard) > 3, "one fit was begun twice"

    def test_a_worker_with_several_threads_fits_side_by_side_and_the_same(self, tmp_path, at_home):
        data = training_data()
        with dask_cluster(tmp_path) as running:
            running.worker(threads=2)
            results = dict(fit_all([data, tampered(data)], SETTINGS, ignore, cluster=running.cluster))
        assert [weights_and_evidence(results[job]) for job in range(2)] == at_home


def _train(data):
    from crypto_refactor.model.training.trainer import train

    return weights_and_evidence(train(data, SETTINGS))


@pytest.mark.slow
def test_a_worker_that_would_train_other_weights_is_refused(tmp_path):
    with dask_cluster(tmp_path) as running:
        running.worker(TF_ENABLE_ONEDNN_OPTS="0")
        results = list(fit_all([training_data()], SETTINGS, ignore, cluster=running.cluster))
    (what,) = refused(results)
    assert "TF_ENABLE_ONEDNN_OPTS 0 there, 1 here" in what


def test_what_travels_is_the_training_set_once(two):
    # Scattered to one worker, it could be lost together with that worker.
    data = training_data()
    size = len(pickle.dumps(data))
    assert size < len(pickle.dumps(partial(_train, data))) < size + 1000
