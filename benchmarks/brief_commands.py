"""Run the documented signal and backtest commands, cold and warm, and print them as one Markdown table.

    python benchmarks/brief_commands.py --data-dir DIR

Cold starts with an empty model folder that all commands share in this order (a later backtest finds the models of an
earlier one); warm is the same command again.
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
    start = time.perf_counter()
    completed = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return time.perf_counter() - start, json.loads(completed.stdout), completed.stderr


def percent(value):
    return "–" if value is None else f"{value * 100:+.2f} %"


def correlation(figures):
    value = figures["rank_correlation"]
    return "–" if value is None else f"{value:+.3f}"


def signal_rows(extra, environment):
    yield (
        "| `app_lstm.py` | model | signal | forecast | 90 % interval | slope of direction | confidence | RMSE / zero | rank corr. "
        "| that of minus_last_return | cold | warm |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|---|"
    for options in SIGNALS:
        cold, result, _ = run("app_lstm.py", options, extra, environment)
        warm, again, _ = run("app_lstm.py", options, extra, environment)
        model, evidence = again["model_info"], again["model_info"]["evidence"]
        low, high = (percent(bound / result["current_price"] - 1) for bound in result["interval"])
        yield (
            f"| `{options}` | {result['model_info']['decision']}, then {model['decision']} | {result['direction']} "
            f"| {percent(result['price_difference'] / result['current_price'])} | {low} to {high} "
            f"| {evidence['slope']:.2f} ± {evidence['slope_se']:.2f} | {result['confidence']:.2f} "
            f"| {evidence['rmse_ratio']:.4f} | {correlation(evidence)} "
            f"| {correlation(evidence['baselines']['minus_last_return'])} | {cold:.1f} s | {warm:.2f} s |"
        )


def backtest_rows(extra, environment):
    yield "| `app_backtester.py` | models (trained cold) | trades | return | Sharpe ± error | at Alpaca | buy and hold | cold | warm |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for options in BACKTESTS:
        before = cached(environment)
        cold, result, _ = run("app_backtester.py", options, extra, environment)
        trained = cached(environment) - before
        warm, again, _ = run("app_backtester.py", options, extra, environment)
        if again != result:
            raise SystemExit(f"{options}: the second run differs from the first")
        metrics, alpaca, hold = result["metrics"], result["at_alpaca"], result["buy_and_hold"]
        sharpe = "–" if metrics["sharpe"] is None else f"{metrics['sharpe']:.2f} ± {metrics['sharpe_se']:.2f}"
        yield (
            f"| `{options}` | {len(result['models'])} ({trained}) | {metrics['trades']} | {percent(metrics['total_return'])} "
            f"| {sharpe} | {percent(alpaca and alpaca['total_return'])} | {percent(hold['total_return'])} "
            f"| {cold:.1f} s | {warm:.2f} s |"
        )


def cached(environment):
    return len(list(Path(environment["CRYPTO_MODEL_DIR"]).glob("cache/*/*.json")))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--network", default="documented")
    arguments = parser.parse_args()
    extra = ["--source", "files", "--data-dir", str(arguments.data_dir), "--network", arguments.network]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"CRYPTO_MODEL_DIR": folder, "CRYPTO_JOURNAL": "false"}
        for rows in (signal_rows, backtest_rows):
            for line in rows(extra, environment):
                print(line, flush=True)
            print()


if __name__ == "__main__":
    main()
