"""Time the warm commands of two checkouts side by side in one run.

    python benchmarks/compare_speed.py BEFORE AFTER [--repeats 15] [--fit]

BEFORE and AFTER are folders with a checkout each.  Each side trains its own small models first.  Then the commands
run as whole processes, in turn, in an order drawn anew for each repeat.  With --fit, each fits one documented network on 2,160 hours per repeat instead.  Printed are the medians of both sides in
seconds of CPU time (all threads and children) and of wall time, and the ratio AFTER / BEFORE; only ratios apply to
other machines.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SOURCE = ["--ticker", "BTC/USD", "--source", "sample", "--network", "small"]
FIT = [
    *("models/app_lstm.py", "--ticker", "BTC/USD", "--source", "sample", "--hours", "2160", "--retrain"),
    *("--network", "documented"),
]
COMMANDS = {
    "--help": ["-m", "crypto_refactor", "--help"],
    "warm signal": ["models/app_lstm.py", *SOURCE],
    "warm backtest": ["models/app_backtester.py", *SOURCE, "--train-hours", "720", "--refit-every", "240"],
}


def run(side: Path, home: Path, words: list[str]) -> tuple[float, float]:
    """Run one command of `side` and return its CPU and wall seconds."""
    environment = os.environ | {
        "PYTHONPATH": str(side),
        "CRYPTO_MODEL_DIR": str(home / "models"),
        "CRYPTO_STATE_DIR": str(home / "state"),
    }
    first = words if words[0] == "-m" else [str(side / words[0]), *words[1:]]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *first], env=environment, cwd=home, check=True, capture_output=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def main() -> None:
    """Compare two checkouts and print a row per command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument(
        "--fit", action="store_true", help="time a fit of the documented network on 2,160 hours instead"
    )
    options = parser.parse_args()
    sides = {"before": options.before.resolve(), "after": options.after.resolve()}
    commands = {"a fit": FIT} if options.fit else COMMANDS
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        homes = {name: Path(folder) / name for name in sides}
        for name, side in sides.items():
            homes[name].mkdir()
            for words in commands.values() if not options.fit else ():  # trains what is missing
                run(side, homes[name], words)
        jobs = [(job, name) for job in commands for name in sides]
        for _ in range(options.repeats):
            random.shuffle(jobs)
            for job, name in jobs:
                times.setdefault((job, name), []).append(run(sides[name], homes[name], commands[job]))
    for job in commands:
        for kind, column in (("CPU", 0), ("wall", 1)):
            before, after = (
                statistics.median(value[column] for value in times[job, name]) for name in ("before", "after")
            )
            print(f"{job:14} {kind:4} {before:6.3f} s {after:6.3f} s   ratio {after / before:.2f}")


if __name__ == "__main__":
    main()
