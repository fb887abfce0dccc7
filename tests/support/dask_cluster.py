"""A Dask cluster on this machine: a scheduler and workers that are processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from crypto_refactor.model.training.cluster import Cluster

TESTS = Path(__file__).resolve().parents[1]
PATIENCE = 60.0
LOOPBACK = "127.0.0.1"


class DaskCluster:
    """A scheduler, and whatever workers are started; all end with `stop`."""

    def __init__(self, folder, **environment):
        self._folder = folder
        self._environment = environment
        self._started = []
        at = folder / "scheduler.json"
        self.scheduler = self._start("scheduler", "--port", "0", "--scheduler-file", str(at))
        self._wait_until(lambda: at.exists() and at.read_text())
        self.address = json.loads(at.read_text())["address"]

    @property
    def cluster(self):
        return Cluster(self.address)

    def worker(self, threads=1, **environment):
        return self._start("worker", self.address, "--nthreads", str(threads), "--no-nanny", **environment)

    def wait_for_workers(self, count):
        self._wait_until(lambda: self.log().count("Register worker") >= count)

    def log(self):
        return "".join(path.read_text() for path in sorted(self._folder.glob("*.log")))

    def stop(self):
        for process in self._started:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()

    def _wait_until(self, holds):
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert self.scheduler.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.02)

    def _start(self, what, *options, **environment):
        paths = os.pathsep.join([str(TESTS.parent), str(TESTS), *sys.path])
        with (self._folder / f"{what}{len(self._started)}.log").open("w") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", what, *options, "--host", LOOPBACK, "--no-dashboard"],
                env={**os.environ, "PYTHONPATH": paths, **self._environment, **environment},
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        self._started.append(process)
        return process


@contextmanager
def dask_cluster(folder, workers=0, **environment):
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskCluster(folder, **environment)
    try:
        for _ in range(workers):
            cluster.worker()
        cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.stop()


def die():
    """Kill the process this is called in."""
    os.kill(os.getpid(), signal.SIGKILL)


def weights_and_evidence(trained):
    """Return what must not depend on where a model was trained; its files hold dates."""
    return {
        name: getattr(trained, name)
        for name in ("weights", "evidence", "threshold_scale", "volatility_floor", "epochs", "stop_loss")
    }


def refused(results):
    return [error.what for _, error in results]
