"""What this machine can do at most: matrix products, memory copies, starting Python.

    python benchmarks/hardware_limits.py

Each figure in a process of its own, because the number of threads is decided when NumPy is imported.
"""

from __future__ import annotations

import os
import subprocess
import sys

from harness import Row, arguments, process, processes, tell

_MATRIX = """
import time
import numpy as np
a, b = (np.random.default_rng(seed).random((2048, 2048), dtype=np.float32) for seed in (1, 2))
a @ b
best = float("inf")
for _ in range(12):
    began = time.perf_counter()
    a @ b
    best = min(best, time.perf_counter() - began)
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
    began = time.perf_counter()
    np.copyto(b, a)
    best = min(best, time.perf_counter() - began)
print(2 * a.nbytes / best / 1e9)
"""


def _figure(program: str, threads: int) -> float:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment
    )
    return float(done.stdout)


def matrix_rate(threads: int) -> float:
    """Return the fastest float32 matrix product of NumPy, GFLOP/s."""
    return _figure(_MATRIX, threads)


def copy_rate(mebibytes: int) -> float:
    """Return the fastest copy of so much memory, GB/s read and written."""
    return _figure(_COPY.format(mebibytes=mebibytes), 1)


def measure(repeats: int) -> list[Row]:
    cores = os.cpu_count() or 1
    found = processes(
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
            ours=found["bare"].seconds,
            against="import pandas",
            theirs=found["pandas"].seconds,
        ),
        Row(
            job="import pandas, ta, onnxruntime",
            ours=found["serving"].seconds,
            against="import pandas",
            theirs=found["pandas"].seconds,
        ),
    ]


if __name__ == "__main__":
    chosen = arguments(__doc__, bars=False, repeats=9)
    tell(measure(chosen.repeats), as_json=chosen.json)
