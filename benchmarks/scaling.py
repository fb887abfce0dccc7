"""The cost of more bars, tickers, models and workers, and an estimate for 1,000 tickers.

    python benchmarks/scaling.py --data-dir DIR

Measured as far as one machine goes, in whole processes where it matters; the estimate uses these figures only.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from harness import LONG, ROOT, json_of_process, labelled_set, long_bars, median_seconds, process

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.ticker import Ticker, read_tickers

BARS = (2_160, 8_760, LONG, 200_000, 1_000_000)
TICKERS = (1, 3, 6, 13)
FIT_HOURS = (240, 720, 2_160)
MANY_TICKERS = 1_000
REFIT_HOURS = 720
REQUESTS_PER_MINUTE = 200
"""Alpaca's limit on market data without a subscription."""
BARS_PER_ANSWER = 10_000


def bars_table() -> list[str]:
    from engines import flipping_plan

    lines = ["| bars | features | per bar | engine, 5 % flips | per bar |", "|---|---|---|---|---|"]
    for count in BARS:
        bars, plan = long_bars(count), flipping_plan(count)
        jobs = {
            "features": lambda bars=bars: compute_features(bars),
            "engine": lambda bars=bars, plan=plan: simulate(
                bars, plan, ExecutionRules(), initial_balance=1e12
            ),
        }
        medians = median_seconds(jobs, 3)
        per_bar = {name: seconds / count * 1e9 for name, seconds in medians.items()}
        lines.append(
            f"| {count:,} | {medians['features'] * 1e3:.1f} ms | {per_bar['features']:.0f} ns "
            f"| {medians['engine'] * 1e3:.1f} ms | {per_bar['engine']:.0f} ns |"
        )
    return lines


def tickers_table() -> tuple[list[str], float, float]:
    """Return the table, and the seconds and MiB that one more ticker costs in a warm pass."""
    script, names = (
        str(ROOT / "run_multi_ticker.py"),
        [str(ticker) for ticker in read_tickers(ROOT / "tickers.txt")],
    )
    lines = ["| tickers in one warm pass | seconds | peak memory |", "|---|---|---|"]
    runs_by_count = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {"CRYPTO_MODEL_DIR": f"{folder}/models", "CRYPTO_STATE_DIR": f"{folder}/state"}
        common = ["--mode", "sequential", "--source", "sample", "--network", "small"]
        process([script, *common], environment)  # trains
        for count in TICKERS:
            options = [word for name in names[:count] for word in ("--ticker", name)]
            runs = [process([script, *common, *options], environment) for _ in range(3)]
            seconds = statistics.median(run.seconds for run in runs)
            memory = statistics.median(run.mebibytes for run in runs)
            runs_by_count.append((count, seconds, memory))
            lines.append(f"| {count} | {seconds:.2f} s | {memory:.0f} MiB |")
    first, last = runs_by_count[0], runs_by_count[-1]
    more = last[0] - first[0]
    return lines, (last[1] - first[1]) / more, (last[2] - first[2]) / more


def fits_table(data_dir: Path) -> tuple[list[str], dict[str, float]]:
    """Return the table, and the figures of a fit of the default length."""
    lines = [
        "| training hours | first fit in a process | the next one | peak memory |",
        "|---|---|---|---|",
    ]
    default = {}
    for hours in FIT_HOURS:
        fits = json_of_process([__file__, "--data-dir", data_dir, "--fit", hours])
        lines.append(
            f"| {hours:,} | {fits['first']:.1f} s | {fits['next']:.1f} s | {fits['memory']:,.0f} MiB |"
        )
        if hours == 2_160:
            default = fits
    return lines, default


def fit_twice(data_dir: Path, hours: int) -> dict[str, float]:
    from crypto_refactor.model.settings import ModelSettings
    from crypto_refactor.model.training.trainer import train

    data, seconds = labelled_set(data_dir, Ticker("BTC", "USD"), hours, 60), []
    for seed in (0, 1):
        start = time.perf_counter()
        fitted = train(data, ModelSettings(seed=seed))
        seconds.append(time.perf_counter() - start)
    return {
        "first": seconds[0],
        "next": seconds[1],
        "bytes": len(fitted.keras) + len(fitted.onnx),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def estimate_table(
    ticker_seconds: float, ticker_memory: float, fit: dict[str, float], bar_bytes: float
) -> list[str]:
    """Estimate 1,000 tickers from the measured figures."""
    fit_seconds, fit_memory, model_bytes = fit["next"], fit["memory"], fit["bytes"]
    fits = MANY_TICKERS * fit_seconds
    requests = MANY_TICKERS  # a pass requests the last bars of each ticker
    bars = 2_160 + REFIT_HOURS + 560
    return [
        f"| {MANY_TICKERS:,} tickers | figure | from |",
        "|---|---|---|",
        f"| a warm pass in one process | {MANY_TICKERS * ticker_seconds:.0f} s, {MANY_TICKERS * ticker_memory / 1024:.1f} GiB more than one ticker's | {ticker_seconds * 1e3:.0f} ms and {ticker_memory:.1f} MiB a ticker |",
        f"| all models once (every {REFIT_HOURS} h) | {fits / 3600:.1f} core-hours | {fit_seconds:.0f} s a fit |",
        f"| … within the hour after a cut-off | {fits / 3600:.0f} cores, {fits / 3600 * fit_memory / 1024:.0f} GiB | {fit_memory:,.0f} MiB a worker |",
        f"| models kept, one cut-off | {MANY_TICKERS * model_bytes / 1e9:.1f} GB | {model_bytes / 1e6:.1f} MB a model |",
        f"| bars kept, {bars:,} h each | {MANY_TICKERS * bars * bar_bytes / 1e6:.0f} MB | {bar_bytes:.0f} bytes a bar in the store |",
        f"| first history at Alpaca | {MANY_TICKERS * bars / BARS_PER_ANSWER / REQUESTS_PER_MINUTE:.1f} minutes | {BARS_PER_ANSWER:,} bars per answer, {REQUESTS_PER_MINUTE} requests per minute |",
        f"| new bars of each hour, one request per ticker | {requests / REQUESTS_PER_MINUTE:.0f} minutes | {REQUESTS_PER_MINUTE} requests per minute |",
    ]


def bytes_per_bar() -> float:
    """Return the size of a bar in the bar store."""
    from crypto_refactor.market.sources.bar_store import BarStore

    bars = replace(long_bars(), source="alpaca")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.sqlite"
        BarStore(path, source="alpaca").write(bars, int(bars.opened[0]), int(bars.closed[-1]))
        return path.stat().st_size / len(bars)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--fit", type=int)
    options = parser.parse_args()
    if options.fit is not None:
        print(json.dumps(fit_twice(options.data_dir, options.fit)))
        return
    # First, because the peak memory of a child starts at that of its parent.
    tickers, ticker_seconds, ticker_memory = tickers_table()
    print("\n".join(tickers), flush=True)
    fits, default = fits_table(options.data_dir)
    print("\n" + "\n".join(fits), flush=True)
    print("\n" + "\n".join(bars_table()), flush=True)
    print("\n" + "\n".join(estimate_table(ticker_seconds, ticker_memory, default, bytes_per_bar())))


if __name__ == "__main__":
    main()
