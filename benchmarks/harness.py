"""Shared by all benchmarks: interleaved repeats, whole processes, bars, and one row per comparison.

A row holds the cost of this tool and of a peer for the same job in the same run, and their ratio; only the ratio
applies to other machines.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from crypto_refactor.features.frame import compute_features  # noqa: E402  # after the path
from crypto_refactor.market.bars import Bars, fill_gaps  # noqa: E402
from crypto_refactor.market.sources.csv_files import FilesSource  # noqa: E402
from crypto_refactor.market.sources.simulator import LAST_CLOSE, simulate_bars  # noqa: E402
from crypto_refactor.market.ticker import Ticker, read_tickers  # noqa: E402
from crypto_refactor.model.dataset import TrainingSet, labelled_rows, training_set  # noqa: E402

RATES = frozenset({"GFLOP/s", "GB/s"})
LONG = 43_800
"""Five years of hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One comparison.

    Attributes
    ----------
    job : str
        The job.
    ours, theirs : float
        Seconds, unless `unit` says otherwise.
    against : str
        The peer or the limit.
    goal : float or None
        The ratio to reach; ``theirs / ours`` for times.
    unit : str
        ``s``, ``MiB``, ``Huber``, or one of `RATES`, for which larger is better: ``ours / theirs``.
    at_most : bool
        Whether the goal is an upper limit of ``ours / theirs`` instead (a floor that can only be approached).
    note : str
        Context for the reader.
    """

    job: str
    ours: float
    against: str
    theirs: float
    goal: float | None = None
    unit: str = "s"
    at_most: bool = False
    note: str = ""

    @property
    def ratio(self) -> float:
        larger_is_better = self.at_most or self.unit in RATES
        return self.ours / self.theirs if larger_is_better else self.theirs / self.ours

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.ratio <= self.goal if self.at_most else self.ratio >= self.goal


def interleaved(
    jobs: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: int = 1
) -> dict[str, list[object]]:
    """Run every job once per repeat, in random order, and return the results without the warm-up."""
    order = random.Random(1)  # noqa: S311  # shuffles repeats, keeps no secret
    results: dict[str, list[object]] = {name: [] for name in jobs}
    for repeat in range(warm_up + repeats):
        names = list(jobs)
        order.shuffle(names)
        for name in names:
            result = jobs[name]()
            if repeat >= warm_up:
                results[name].append(result)
    return results


def median_seconds(
    jobs: Mapping[str, Callable[[], object]], repeats: int, *, warm_up: int = 1
) -> dict[str, float]:
    """Return the median of each job's wall time, in this process."""

    def timed(job):
        def once():
            start = time.perf_counter()
            job()
            return time.perf_counter() - start

        return once

    for job in jobs.values():
        job()
    # Otherwise collecting the garbage of one job's libraries would count as time of the others.
    gc.collect()
    gc.freeze()
    seconds = interleaved({name: timed(job) for name, job in jobs.items()}, repeats, warm_up=warm_up)
    gc.unfreeze()
    return {name: statistics.median(values) for name, values in seconds.items()}


@dataclass(frozen=True, slots=True)
class Process:
    """Wall time and peak memory of a finished process."""

    seconds: float
    mebibytes: float


def process(
    arguments: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    exit_codes: Sequence[int] = (0,),
) -> Process:
    """Run a Python process that must end with one of `exit_codes`; `arguments` follow the interpreter."""
    start = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT), "CRYPTO_JOURNAL": "false"} | dict(environment or {}),
    )
    stderr = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode not in exit_codes:
        sys.exit(f"{arguments}: exit {child.returncode}\n{stderr.decode()}")
    return Process(seconds, usage.ru_maxrss / 1024)


def processes(jobs: Mapping[str, Callable[[], Process]], repeats: int) -> dict[str, Process]:
    """Return the medians of time and memory of whole processes."""
    results = interleaved(jobs, repeats)
    return {
        name: Process(
            statistics.median(run.seconds for run in runs),
            statistics.median(run.mebibytes for run in runs),
        )
        for name, runs in results.items()
    }


def json_of_process(arguments: Sequence[object]) -> Any:
    """Run a Python process and return the JSON in the last line of its output."""
    completed = subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
    )
    if completed.returncode:
        sys.exit(f"{arguments}: exit {completed.returncode}\n{completed.stderr}")
    return json.loads(completed.stdout.splitlines()[-1])


def labelled_set(data_dir: Path, ticker: Ticker, hours: int, lookback: int) -> TrainingSet:
    """Return the last `hours` labelled rows of a ticker."""
    source = FilesSource(data_dir)
    end = source.now(ticker)
    frame = compute_features(fill_gaps(source.bars(ticker, end - hours - lookback - 700, end)))
    return training_set(frame, labelled_rows(frame, lookback)[-hours:], lookback)


def long_bars(count: int = LONG) -> Bars:
    """Return simulated BTC/USD bars: real series of that length are not available everywhere."""
    return simulate_bars(Ticker("BTC", "USD"), count=count, seed=1, last_close=LAST_CLOSE)


def tickers_of(data_dir: Path) -> list[Ticker]:
    """Return the tickers with bars in a folder."""
    names = sorted(path.name.removesuffix("_1h.csv") for path in data_dir.glob("*_1h.csv"))
    return [Ticker.parse(name.replace("_", "/")) for name in names]


def write_simulated(folder: Path) -> Path:
    """Write simulated bars of eight tickers as CSV files, in place of real ones."""
    import pandas as pd

    for ticker in read_tickers(ROOT / "tickers.txt")[:8]:
        bars = simulate_bars(ticker, count=6_000, seed=1, last_close=LAST_CLOSE)
        columns = {name: getattr(bars, name) for name in ("open", "high", "low", "close", "volume")}
        stamps = pd.to_datetime(bars.opened * 3600, unit="s").strftime("%Y-%m-%dT%H:%M:%SZ")
        pd.DataFrame({"timestamp": stamps, **columns}).to_csv(folder / f"{ticker.slug}_1h.csv", index=False)
    return folder


def arguments(description: str, *, bars: bool = True, **extra: int) -> argparse.Namespace:
    """Parse the options of every script and its own integer ones; `bars`: whether it needs a folder of bars."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=bars, help="folder of <base>_<quote>_1h.csv")
    parser.add_argument("--json", action="store_true", help="rows as JSON")
    for name, default in extra.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    return parser.parse_args()


def print_rows(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print rows as JSON or as a Markdown table."""
    if as_json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print(TABLE_HEAD)
    for row in rows:
        print(table_line(row))


TABLE_HEAD = "| job | this tool | against | it takes | ratio | goal |\n|---|---|---|---|---|---|"


def table_line(row: Row) -> str:
    """Return a row as a line of a Markdown table."""
    sign = "≤" if row.at_most else "≥"
    goal = "–"
    if row.goal is not None:
        goal = f"{sign} {row.goal:g} {'reached' if row.reached else '**not reached**'}"
    note = f" ({row.note})" if row.note else ""
    return (
        f"| {row.job} | {with_unit(row.ours, row.unit)} | {row.against}{note} | {with_unit(row.theirs, row.unit)} "
        f"| {row.ratio:.3g} x | {goal} |"
    )


def with_unit(value: float, unit: str) -> str:
    """Return a figure of three digits with its unit."""
    if unit == "Huber":
        return f"{value:.4f}"
    if unit != "s":
        return f"{value:,.0f} {unit}"
    for factor, name in ((1, "s"), (1e3, "ms"), (1e6, "µs")):
        if value * factor >= 1:
            return f"{value * factor:.3g} {name}"
    return f"{value:.1e} s"
