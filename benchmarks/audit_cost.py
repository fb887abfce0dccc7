"""The cost of the audit and the significance tests in a warm backtest.

    python benchmarks/audit_cost.py --data-dir DIR [--ticker BTC/USD] [--repeats 7]

In one process, interleaved, medians: the backtest alone (bars, features, models from the cache, forecasts, engine,
three account runs), significance tests, audit; and the whole process.  The models must be in the cache.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crypto_refactor.backtest.assessment import significance
from crypto_refactor.backtest.audit.auditor import audit
from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.market.sources.csv_files import FilesSource

ROOT = Path(__file__).resolve().parent.parent


def timed(job):
    start = time.perf_counter()
    return job(), time.perf_counter() - start


def whole_process(ticker, hours, data_dir):
    script = ROOT / "models" / "app_backtester.py"
    words = ["--ticker", ticker, "--hours", str(hours), "--source", "files", "--data-dir", data_dir, "--json"]
    command = [sys.executable, str(script), *words]
    return timed(lambda: subprocess.run(command, capture_output=True, check=True))[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--ticker", default="BTC/USD")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    print("| hours | backtest alone | significance | audit | whole process | audit / process without it |")
    print("|---|---|---|---|---|---|")
    for hours in (720, 2160):
        rows = []
        for _ in range(options.repeats):
            tester = Backtester(options.ticker, source=FilesSource(Path(options.data_dir)))
            result, alone = timed(lambda tester=tester, hours=hours: tester.run(hours, assess=False))
            _, tested = timed(lambda result=result: significance(result))
            _, audited = timed(lambda result=result: audit(result))
            rows.append((alone, tested, audited, whole_process(options.ticker, hours, options.data_dir)))
        alone, tested, audited, process = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"| {hours} | {alone:.2f} s | {tested:.2f} s | {audited:.2f} s | {process:.2f} s | {audited / (process - audited):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
