"""Cold fits in parallel on this machine, compared with the same fits on a Dask cluster of this machine.

    python benchmarks/dask_cluster.py [--data-dir DIR] [--tickers 4] [--workers 2] [--repeats 3] [--network small]

The models of the latest cut-off of several tickers, fitted by two of joblib's processes and by a Dask cluster of two
workers on loopback, in turn and in one run; the order alternates.  A fit that is not counted warms both, so that
starting processes and importing TensorFlow are excluded; the start of the cluster and the first fits are reported
separately.  Bars come from the bundled simulation, or from the hourly CSV files of DIR.
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
from harness import Row, print_rows

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
    """Return the training sets of the latest cut-off of the first `count` tickers with bars."""
    sets = {}
    for ticker in read_tickers(ROOT / "tickers.txt"):
        if len(sets) == count:
            break
        try:
            now = source.now(ticker)
        except UnavailableError:
            continue
        bars = source.bars(ticker, now - hours_needed(1, settings), now)
        (period,) = refit_periods(bars, now, now, settings)
        sets[str(ticker)] = training_rows(period, settings)
    return sets


@contextmanager
def dask_cluster(folder, workers):
    """Start a scheduler and `workers` workers of one thread; yield the cluster and the seconds it took."""
    launched_at = time.perf_counter()
    address_file, started = folder / "scheduler.json", []
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
        start("scheduler", "--port", "0", "--scheduler-file", str(address_file))
        while not (address_file.exists() and address_file.read_text()):
            if started[0].poll() is not None or time.perf_counter() - launched_at > START_SECONDS:
                raise SystemExit((folder / "scheduler.log").read_text())
            time.sleep(0.02)
        address = json.loads(address_file.read_text())["address"]
        for _ in range(workers):
            start("worker", address, "--nthreads", "1", "--no-nanny")
        with distributed.Client(address) as client:
            client.wait_for_workers(workers, timeout=START_SECONDS)
        yield Cluster(address), time.perf_counter() - launched_at
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
    """Return the weights of every fit, in order, and the seconds for all of them."""
    start = time.perf_counter()
    models = dict(fit_all(jobs, settings, lambda _progress: None, **where))
    seconds = time.perf_counter() - start
    return [models[position].weights for position in range(len(jobs))], seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--tickers", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--network", choices=["documented", "small"], default="documented")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    options = parser.parse_args()
    settings = ModelSettings(network=options.network)
    source = SampleSource() if options.data_dir is None else FilesSource(options.data_dir)
    sets = training_sets(source, options.tickers, settings)
    jobs = list(sets.values())
    small = ModelSettings(network="small", train_hours=240)
    # One per worker, or some would stay cold.
    warm_up = list(training_sets(source, 1, small).values()) * options.workers
    with (
        tempfile.TemporaryDirectory() as folder,
        dask_cluster(Path(folder), options.workers) as (cluster, start),
    ):
        ways = {
            f"{options.workers} processes of this machine": {"workers": options.workers},
            f"{options.workers} Dask workers on loopback": {"cluster": cluster},
        }
        first = {name: timed(warm_up, small, **where)[1] for name, where in ways.items()}
        seconds, weights = {name: [] for name in ways}, {name: set() for name in ways}
        for repeat in range(options.repeats):
            for name in list(ways) if repeat % 2 == 0 else reversed(ways):
                trained, elapsed = timed(jobs, settings, **ways[name])
                seconds[name].append(elapsed)
                weights[name].add(tuple(trained))
                print(f"turn {repeat + 1}, {name}: {elapsed:.1f} s", file=sys.stderr, flush=True)
    home, spread = ways
    same = weights[home] == weights[spread] and len(weights[home]) == 1
    if options.json:
        if not same:
            sys.exit(f"the weights differ: {weights}")
        local, remote = (statistics.median(seconds[name]) for name in (home, spread))
        job = f"fits of {len(jobs)} models ({settings.train_hours:,} h each), processes warm, by {spread}"
        print_rows(
            [Row(job=job, ours=remote, against=home, theirs=local, goal=0.9, note="same weights")],
            as_json=True,
        )
        return
    ratios = [remote / local for local, remote in zip(seconds[home], seconds[spread], strict=True)]
    print(f"{len(jobs)} models ({', '.join(sets)}), network {options.network}, {os.cpu_count()} cores\n")
    print(f"| where | median of {options.repeats} | range | against this machine | first small fits, cold |")
    print("|---|---|---|---|---|")
    for name, values in seconds.items():
        ratio = "1" if name == home else f"{statistics.median(ratios):.3f}"
        print(
            f"| {name} | {statistics.median(values):.1f} s | {min(values):.1f} to {max(values):.1f} s | {ratio} | {first[name]:.1f} s |"
        )
    print(f"\nWeights: {'identical in every turn' if same else f'DIFFERENT: {weights}'}")
    print(f"Not counted: starting the scheduler and its workers, {start:.1f} s")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
