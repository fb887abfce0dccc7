"""Cold fits side by side on this machine, and the same ones on a Dask cluster of this machine.

    python benchmarks/dask_cluster.py [--data-dir DIR] [--tickers 4] [--workers 2] [--repeats 3] [--network small]

The models of the latest cut-off of several tickers, fitted by two of joblib's own processes and by a Dask cluster
of two workers on loopback, in turn and in one run; every other turn begins with the other one.  Both are warmed by
a fit that is not counted, so that starting processes and importing TensorFlow are left out; starting the cluster
and what the first fit of either costs are stated apart.  Bars are the bundled simulation, or the hourly CSV files
of DIR.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import distributed
from harness import Row, tell

from crypto_refactor.errors import UnavailableError
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.market.sources.sample import SampleSource
from crypto_refactor.market.ticker import read_tickers
from crypto_refactor.model.schedule import hours_needed, refit_periods, training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.cluster import Cluster
from crypto_refactor.model.training.parallel import fit_all

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0


def training_sets(source, count, settings):
    """Return what the models of the latest cut-off of the first `count` tickers that have bars learn from."""
    found = {}
    for ticker in read_tickers(ROOT / "tickers.txt"):
        if len(found) == count:
            break
        try:
            now = source.now(ticker)
        except UnavailableError:
            continue
        bars = source.bars(ticker, now - hours_needed(1, settings), now)
        (period,) = refit_periods(bars, now, now, settings)
        found[str(ticker)] = training_rows(period, settings)
    return found


@contextmanager
def dask_cluster(folder, workers):
    """Start a scheduler and `workers` workers of one thread; yield the cluster and the seconds it took."""
    began = time.perf_counter()
    at, started = folder / "scheduler.json", []
    paths = os.pathsep.join([str(ROOT), *(path for path in sys.path if path)])

    def start(*words):
        with (folder / f"{words[0]}.log").open("a") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"],
                env=os.environ | {"PYTHONPATH": paths},
                cwd=folder,
                stdout=log,
                stderr=log,
            )
        started.append(process)

    try:
        start("scheduler", "--port", "0", "--scheduler-file", str(at))
        while not (at.exists() and at.read_text()):
            if started[0].poll() is not None or time.perf_counter() - began > START_SECONDS:
                raise SystemExit((folder / "scheduler.log").read_text())
            time.sleep(0.02)
        address = json.loads(at.read_text())["address"]
        for _ in range(workers):
            start("worker", address, "--nthreads", "1", "--no-nanny")
        with distributed.Client(address) as client:
            client.wait_for_workers(workers, timeout=START_SECONDS)
        yield Cluster(address), time.perf_counter() - began
    finally:
        # Workers first: one whose scheduler has gone may wait for it without end while it closes.
        for process in reversed(started):
            process.terminate()
            try:
                process.wait(START_SECONDS / 4)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def timed(jobs, settings, **where):
    """Return the weights of every fit, in order, and the seconds all of them took."""
    began = time.perf_counter()
    found = dict(fit_all(jobs, settings, lambda _progress: None, **where))
    seconds = time.perf_counter() - began
    return [found[position].weights for position in range(len(jobs))], seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--tickers", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--network", choices=["documented", "small"], default="documented")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    chosen = parser.parse_args()
    settings = ModelSettings(network=chosen.network)
    source = SampleSource() if chosen.data_dir is None else FilesSource(chosen.data_dir)
    sets = training_sets(source, chosen.tickers, settings)
    jobs = list(sets.values())
    small = ModelSettings(network="small", train_hours=240)
    # As many as there are workers, or some would stay cold.
    warm_up = list(training_sets(source, 1, small).values()) * chosen.workers
    with (
        tempfile.TemporaryDirectory() as folder,
        dask_cluster(Path(folder), chosen.workers) as (cluster, start),
    ):
        ways = {
            f"{chosen.workers} processes of this machine": {"workers": chosen.workers},
            f"{chosen.workers} Dask workers on loopback": {"cluster": cluster},
        }
        first = {name: timed(warm_up, small, **where)[1] for name, where in ways.items()}
        seconds, weights = {name: [] for name in ways}, {name: set() for name in ways}
        for repeat in range(chosen.repeats):
            for name in list(ways) if repeat % 2 == 0 else reversed(ways):
                trained, took = timed(jobs, settings, **ways[name])
                seconds[name].append(took)
                weights[name].add(tuple(trained))
                print(f"turn {repeat + 1}, {name}: {took:.1f} s", file=sys.stderr, flush=True)
    home, spread = ways
    same = weights[home] == weights[spread] and len(weights[home]) == 1
    if chosen.json:
        if not same:
            sys.exit(f"the weights differ: {weights}")
        here, there = (statistics.median(seconds[name]) for name in (home, spread))
        job = f"fits of {len(jobs)} models ({settings.train_hours:,} h each), processes warm, by {spread}"
        tell(
            [Row(job=job, ours=there, against=home, theirs=here, goal=0.9, note="same weights")], as_json=True
        )
        return
    ratios = [there / here for here, there in zip(seconds[home], seconds[spread], strict=True)]
    print(f"{len(jobs)} models ({', '.join(sets)}), network {chosen.network}, {os.cpu_count()} cores\n")
    print(f"| where | median of {chosen.repeats} | range | against this machine | first small fits, cold |")
    print("|---|---|---|---|---|")
    for name, taken in seconds.items():
        ratio = "1" if name == home else f"{statistics.median(ratios):.3f}"
        print(
            f"| {name} | {statistics.median(taken):.1f} s | {min(taken):.1f} to {max(taken):.1f} s | {ratio} | {first[name]:.1f} s |"
        )
    print(f"\nWeights: {'identical, in every turn' if same else f'DIFFERENT: {weights}'}")
    print(f"Not counted: starting the scheduler and its workers, {start:.1f} s")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
