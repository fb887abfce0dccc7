"""A warm signal beside what tools of this kind pay for first: importing TensorFlow.

    python benchmarks/serving.py [--repeats 5]

Whole processes, interleaved, medians; times and memory are the operating system's own figures for each
process.  The bars are the bundled simulation, the network is the small one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIGNAL = [str(ROOT / "models" / "app_lstm.py"), "--source", "sample", "--network", "small"]
FEATURES = """
import time
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.simulation import simulate
from crypto_refactor.market.ticker import Ticker
bars = simulate(Ticker("BTC", "USD"), count=43_800, seed=1, last_close=482_136)
compute_features(bars.prefix(1_000))
began = time.perf_counter()
compute_features(bars)
print(time.perf_counter() - began)
"""
JOBS = {
    "bare interpreter": ["-c", "pass"],
    "import pandas, ta, onnxruntime": ["-c", "import pandas, ta, onnxruntime"],
    "import tensorflow": ["-c", "import tensorflow"],
    "app_lstm.py --help": [SIGNAL[0], "--help"],
    "warm signal": SIGNAL,
}


def measure(arguments, environment):
    """Return (seconds, peak memory in MiB) of one process."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments} failed")
    return seconds, usage.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"CRYPTO_MODEL_DIR": folder, "PYTHONPATH": str(ROOT)}
        measure(SIGNAL, environment)  # trains
        runs = {name: [] for name in JOBS}
        for repeat in range(repeats + 1):
            for name, arguments in JOBS.items():
                outcome = measure(arguments, environment)
                if repeat:  # the first round only warms the disk's cache
                    runs[name].append(outcome)
        features = subprocess.run(
            [sys.executable, "-c", FEATURES], capture_output=True, text=True, env=environment, check=True
        )
    seconds = {name: statistics.median(run[0] for run in found) for name, found in runs.items()}
    memory = {name: statistics.median(run[1] for run in found) for name, found in runs.items()}
    print(f"| process | median of {repeats} | peak memory | against a warm signal |")
    print("|---|---|---|---|")
    for name in JOBS:
        ratio = seconds[name] / seconds["warm signal"]
        print(f"| {name} | {seconds[name]:.2f} s | {memory[name]:.0f} MiB | {ratio:.2f} x |")
    print(f"\n14 features of 43,800 bars: {float(features.stdout) * 1000:.0f} ms")


if __name__ == "__main__":
    main()
