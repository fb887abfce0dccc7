"""How cost grows with bars, tickers, models and workers, and what 1,000 tickers would take.

    python benchmarks/scaling.py --data-dir DIR

Measured up to what one machine holds, in whole processes where it matters; then reckoned on from these figures alone.
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

from harness import LONG, ROOT, answer_of, labelled_set, long_bars, median_seconds, process

from crypto_refactor.backtest.engine import simulate
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.ticker import Ticker, read_tickers

BARS = (2_160, 8_760, LONG, 200_000, 1_000_000)
TICKERS = (1, 3, 6, 13)
FIT_HOURS = (240, 720, 2_160)
MANY = 1_000
REFIT_HOURS = 720
REQUESTS_PER_MINUTE = 200
"""Alpaca's limit on market data without a subscription."""
BARS_PER_ANSWER = 10_000


def of_bars() -> list[str]:
    from engines import flipping_plan

    lines = ["| bars | 14 features | a bar | engine, 5 % flips | a bar |", "|---|---|---|---|---|"]
    for count in BARS:
        bars, plan = long_bars(count), flipping_plan(count)
        jobs = {
            "features": lambda bars=bars: compute_features(bars),
            "engine": lambda bars=bars, plan=plan: simulate(
                bars, plan, ExecutionRules(), initial_balance=1e12
            ),
        }
        found = median_seconds(jobs, 3)
        each = {name: seconds / count * 1e9 for name, seconds in found.items()}
        lines.append(
            f"| {count:,} | {found['features'] * 1e3:.1f} ms | {each['features']:.0f} ns "
            f"| {found['engine'] * 1e3:.1f} ms | {each['engine']:.0f} ns |"
        )
    return lines


def of_tickers() -> tuple[list[str], float, float]:
    """Return the table, and seconds and MiB that one more ticker costs in a warm pass."""
    script, names = (
        str(ROOT / "run_multi_ticker.py"),
        [str(each) for each in read_tickers(ROOT / "tickers.txt")],
    )
    lines = ["| tickers in one warm pass | seconds | peak memory |", "|---|---|---|"]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {"CRYPTO_MODEL_DIR": f"{folder}/models", "CRYPTO_STATE_DIR": f"{folder}/state"}
        common = ["--mode", "sequential", "--source", "sample", "--network", "small"]
        process([script, *common], environment)  # trains
        for count in TICKERS:
            asked = [word for name in names[:count] for word in ("--ticker", name)]
            runs = [process([script, *common, *asked], environment) for _ in range(3)]
            seconds = statistics.median(run.seconds for run in runs)
            memory = statistics.median(run.mebibytes for run in runs)
            found.append((count, seconds, memory))
            lines.append(f"| {count} | {seconds:.2f} s | {memory:.0f} MiB |")
    (first, last) = found[0], found[-1]
    more = last[0] - first[0]
    return lines, (last[1] - first[1]) / more, (last[2] - first[2]) / more


def of_fits(data_dir: Path) -> tuple[list[str], dict[str, float]]:
    """Return the table, and the figures of a fit of the default length."""
    lines = [
        "| hours to learn from | first fit in a process | the next one | peak memory |",
        "|---|---|---|---|",
    ]
    default = {}
    for hours in FIT_HOURS:
        said = answer_of([__file__, "--data-dir", data_dir, "--fit", hours])
        lines.append(
            f"| {hours:,} | {said['first']:.1f} s | {said['next']:.1f} s | {said['memory']:,.0f} MiB |"
        )
        if hours == 2_160:
            default = said
    return lines, default


def fit_twice(data_dir: Path, hours: int) -> dict[str, float]:
    from crypto_refactor.model.settings import ModelSettings
    from crypto_refactor.model.training.trainer import train

    data, seconds = labelled_set(data_dir, Ticker("BTC", "USD"), hours, 60), []
    for seed in (0, 1):
        began = time.perf_counter()
        fitted = train(data, ModelSettings(seed=seed))
        seconds.append(time.perf_counter() - began)
    return {
        "first": seconds[0],
        "next": seconds[1],
        "bytes": len(fitted.keras) + len(fitted.onnx),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def on_paper(a_ticker: float, ticker_memory: float, fit: dict[str, float], bar_bytes: float) -> list[str]:
    """Reckon 1,000 tickers from the figures measured above."""
    a_fit, fit_memory, model_bytes = fit["next"], fit["memory"], fit["bytes"]
    fits = MANY * a_fit
    requests = MANY  # a pass asks for each ticker's last bars; several fit one answer, one at least is needed
    bars = 2_160 + REFIT_HOURS + 560
    return [
        f"| {MANY:,} tickers | figure | from |",
        "|---|---|---|",
        f"| a warm pass in one process | {MANY * a_ticker:.0f} s, {MANY * ticker_memory / 1024:.1f} GiB more than one ticker's | {a_ticker * 1e3:.0f} ms and {ticker_memory:.1f} MiB a ticker |",
        f"| all models once (every {REFIT_HOURS} h) | {fits / 3600:.1f} core-hours | {a_fit:.0f} s a fit |",
        f"| … within the hour that a cut-off leaves for it | {fits / 3600:.0f} cores, {fits / 3600 * fit_memory / 1024:.0f} GiB | {fit_memory:,.0f} MiB a worker |",
        f"| models kept, one cut-off | {MANY * model_bytes / 1e9:.1f} GB | {model_bytes / 1e6:.1f} MB a model |",
        f"| bars kept, {bars:,} h each | {MANY * bars * bar_bytes / 1e6:.0f} MB | {bar_bytes:.0f} bytes a bar in the store |",
        f"| first history at Alpaca | {MANY * bars / BARS_PER_ANSWER / REQUESTS_PER_MINUTE:.1f} minutes | {BARS_PER_ANSWER:,} bars an answer, {REQUESTS_PER_MINUTE} requests a minute |",
        f"| new bars of each hour, asked for ticker by ticker | {requests / REQUESTS_PER_MINUTE:.0f} minutes | {REQUESTS_PER_MINUTE} requests a minute |",
    ]


def bytes_of_a_bar() -> float:
    """Return what a bar takes in the bar store."""
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
    chosen = parser.parse_args()
    if chosen.fit is not None:
        print(json.dumps(fit_twice(chosen.data_dir, chosen.fit)))
        return
    # Before anything here grows: a child's peak memory begins with its parent's.
    tickers, a_ticker, ticker_memory = of_tickers()
    print("\n".join(tickers), flush=True)
    fits, default = of_fits(chosen.data_dir)
    print("\n" + "\n".join(fits), flush=True)
    print("\n" + "\n".join(of_bars()), flush=True)
    print("\n" + "\n".join(on_paper(a_ticker, ticker_memory, default, bytes_of_a_bar())))


if __name__ == "__main__":
    main()
