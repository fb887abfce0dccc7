"""Run every benchmark in turn and print one table: `make bench`.

    python benchmarks/bench.py [--data-dir DIR] [--only signal_latency engines] [--write docs/benchmarks.md]

Each script runs in its own process.  Without a folder of bars it uses the bundled simulation, and the table says so.
With ``--write`` the table replaces the one between the marks in the file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness import ROOT, TABLE_HEAD, Row, table_line, write_simulated

HERE = Path(__file__).resolve().parent
JOBS = (
    "hardware_limits",
    "signal_latency",
    "backtests",
    "forecasts",
    "indicators",
    "engines",
    "multi_ticker_pass",
    "training",
    "parallel_training",
    "dask_cluster",
)
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
LIBRARIES = (
    "numpy",
    "pandas",
    "ta",
    "TA-Lib",
    "onnxruntime",
    "tensorflow",
    "keras",
    "vectorbt",
    "backtesting",
    "distributed",
)


def rows_of(job: str, data_dir: Path) -> list[Row]:
    start = time.perf_counter()
    completed = subprocess.run(
        [sys.executable, str(HERE / f"{job}.py"), "--data-dir", str(data_dir), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        sys.exit(f"{job}: exit {completed.returncode}\n{completed.stderr}")
    print(f"{job}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    return [Row(**row) for row in json.loads(completed.stdout.splitlines()[-1])]


def machine() -> str:
    """Return the machine and the versions of libraries."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        names = [
            line.partition(":")[2].strip()
            for line in info.read_text().splitlines()
            if line.startswith("model name")
        ]
        model = names[0] if names else model
    versions = ", ".join(f"{name} {number}" for name in LIBRARIES if (number := _version(name)))
    return f"{os.cpu_count()} cores of {model}, Python {platform.python_version()}; {versions}."


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, help="folder of <base>_<quote>_1h.csv")
    parser.add_argument("--only", nargs="*", choices=JOBS, default=JOBS)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data_dir = options.data_dir or write_simulated(Path(folder))
        bars = "bundled simulation" if options.data_dir is None else "real bars"
        lines = [f"{machine()} Bars: {bars}.", "", TABLE_HEAD]
        for job in options.only:
            for row in rows_of(job, data_dir):
                lines.append(table_line(row))
                print(lines[-1], flush=True)
    if options.write is not None:
        page = options.write if options.write.is_absolute() else ROOT / options.write
        text = page.read_text(encoding="utf-8")
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        table = "\n".join(lines)
        page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
