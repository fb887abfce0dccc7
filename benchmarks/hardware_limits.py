"""The limits of this machine: matrix products, memory copies, starting Python.

    python benchmarks/hardware_limits.py

Each figure needs its own process, because the import of NumPy fixes the number of threads.
"""

from __future__ import annotations

import os
import subprocess
import sys

from harness import Row, arguments, print_rows, process, processes

_MATRIX = """
import time
import numpy as np
a, b = (np.random.default_rng(seed).random((2048, 2048), dtype=np.float32) for seed in (1, 2))
a @ b
best = float("inf")
for _ in range(12):
    start = time.perf_counter()
    a @ b
    best = min(best, time.perf_counter() - start)
print(2 * 2048**3 / best / 1e9)
"""
_COPY = """
import time
import numpy as np
a = np.ones({mebibytes} * 2**17)
b = np.empty_like(a)
np.copyto(b, a)
best = float("inf")
for _ in range(12):
    start = time.perf_counter()
    np.copyto(b, a)
    best = min(best, time.perf_counter() - start)
print(2 * a.nbytes / best / 1e9)
"""


def _figure(program: str, threads: int) -> float:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    completed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    return float(completed.stdout)


def matrix_rate(threads: int) -> float:
    """Return the fastest float32 matrix product of NumPy, GFLOP/s."""
    return _figure(_MATRIX, threads)


def copy_rate(mebibytes: int) -> float:
    """Return the fastest copy of that much memory, GB/s read and written."""
    return _figure(_COPY.format(mebibytes=mebibytes), 1)


def measure(repeats: int) -> list[Row]:
    cores = os.cpu_count() or 1
    medians = processes(
        {
            "bare": lambda: process(["-c", "pass"]),
            "pandas": lambda: process(["-c", "import pandas"]),
            "serving": lambda: process(["-c", "import pandas, ta, onnxruntime"]),
        },
        repeats,
    )
    one, all_cores = matrix_rate(1), matrix_rate(cores)
    return [
        Row(
            job=f"NumPy float32 product, {cores} threads",
            ours=all_cores,
            against="1 thread",
            theirs=one,
            unit="GFLOP/s",
        ),
        Row(
            job="copy of 256 MiB, read and written",
            ours=copy_rate(256),
            against="1 MiB, in the cache",
            theirs=copy_rate(1),
            unit="GB/s",
        ),
        Row(
            job="bare interpreter",
            ours=medians["bare"].seconds,
            against="import pandas",
            theirs=medians["pandas"].seconds,
        ),
        Row(
            job="import pandas, ta, onnxruntime",
            ours=medians["serving"].seconds,
            against="import pandas",
            theirs=medians["pandas"].seconds,
        ),
    ]


if __name__ == "__main__":
    options = arguments(__doc__, bars=False, repeats=9)
    print_rows(measure(options.repeats), as_json=options.json)
