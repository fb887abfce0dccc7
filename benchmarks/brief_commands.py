"""Run the documented signal and backtest commands, cold and warm, and print them as one Markdown table.

    python benchmarks/brief_commands.py --data-dir DIR

Cold means an empty model folder shared by all commands in their order (a later backtest finds the models
an earlier one has trained); warm is the same command again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SIGNALS = (
    "--ticker BTC/USD --hours 240",
    "--ticker ETH/USD --hours 720 --lookback 168 --retrain-threshold 12",
    "--ticker AAVE/USD --hours 480 --lookback 60",
)
BACKTESTS = (
    "--ticker BTC/USD --hours 720",
    "--ticker ETH/USD --hours 1440 --initial-balance 50000 --fee 0.0015",
    "--ticker BTC/USD --hours 2160 --initial-balance 100000",
)


def run(script, options, extra, environment):
    """Return (seconds, parsed JSON, standard error) of one command."""
    command = [sys.executable, str(ROOT / "models" / script), *options.split(), *extra, "--json"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return time.perf_counter() - began, json.loads(done.stdout), done.stderr


def percent(value):
    return "–" if value is None else f"{value * 100:+.2f} %"


def signal_rows(extra, environment):
    yield "| `app_lstm.py` | model | signal | forecast | 90 % interval | slope ± SE | confidence | RMSE / zero (ridge) | rank corr. | cold | warm |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for options in SIGNALS:
        cold, found, _ = run("app_lstm.py", options, extra, environment)
        warm, again, _ = run("app_lstm.py", options, extra, environment)
        model, known = again["model_info"], again["model_info"]["evidence"]
        low, high = (percent(edge / found["current_price"] - 1) for edge in found["interval"])
        yield (
            f"| `{options}` | {found['model_info']['decision']}, then {model['decision']} | {found['direction']} "
            f"| {percent(found['price_difference'] / found['current_price'])} | {low} to {high} "
            f"| {known['slope']:.2f} ± {known['slope_se']:.2f} | {found['confidence']:.2f} "
            f"| {known['rmse_ratio']:.4f} ({known['ridge_rmse_ratio']:.4f}) | {known['rank_correlation']:+.3f} "
            f"| {cold:.1f} s | {warm:.2f} s |"
        )


def backtest_rows(extra, environment):
    yield "| `app_backtester.py` | models (trained cold) | trades | return | Sharpe ± error | at Alpaca | buy and hold | cold | warm |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for options in BACKTESTS:
        before = cached(environment)
        cold, found, _ = run("app_backtester.py", options, extra, environment)
        trained = cached(environment) - before
        warm, again, _ = run("app_backtester.py", options, extra, environment)
        if again != found:
            raise SystemExit(f"{options}: the second run differs from the first")
        metrics, alpaca, hold = found["metrics"], found["at_alpaca"], found["buy_and_hold"]
        sharpe = "–" if metrics["sharpe"] is None else f"{metrics['sharpe']:.2f} ± {metrics['sharpe_se']:.2f}"
        yield (
            f"| `{options}` | {len(found['models'])} ({trained}) | {metrics['trades']} | {percent(metrics['total_return'])} "
            f"| {sharpe} | {percent(alpaca and alpaca['total_return'])} | {percent(hold['total_return'])} "
            f"| {cold:.1f} s | {warm:.2f} s |"
        )


def cached(environment):
    return len(list(Path(environment["CRYPTO_MODEL_DIR"]).glob("cache/*/*.json")))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--network", default="documented")
    chosen = parser.parse_args()
    extra = ["--source", "files", "--data-dir", str(chosen.data_dir), "--network", chosen.network]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"CRYPTO_MODEL_DIR": folder}
        for rows in (signal_rows, backtest_rows):
            for line in rows(extra, environment):
                print(line, flush=True)
            print()


if __name__ == "__main__":
    main()
