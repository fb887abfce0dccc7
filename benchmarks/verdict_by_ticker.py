"""Backtest the documented network on every ticker with bars, and print the tables of docs/results.md.

    python benchmarks/verdict_by_ticker.py --data-dir DIR [--hours 2160] [--exits] [--seeds 5]

Whole processes: `app_backtester.py --json` per ticker, twice (the second time nothing is trained); the three exits
by `crypto-refactor compare --vary exit=…`; BTC/USD with further seeds.  Calibration and coverage are pooled over
the closes of all tickers.  Models are kept in the model folder of the environment (CRYPTO_MODEL_DIR); if it is empty,
the first run is cold.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from harness import ROOT, tickers_of

from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.market.ticker import Ticker

TOOL = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from crypto_refactor.cli.main import run; run()"
SEEDED = "BTC/USD"
EXITS = ("neutral", "opposite", "fade")


def run(words):
    start = time.perf_counter()
    completed = subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, check=False
    )
    if completed.returncode:
        sys.exit(f"{words}: exit {completed.returncode}\n{completed.stderr}")
    return json.loads(completed.stdout), time.perf_counter() - start, completed.stderr


def backtest(ticker, hours, data_dir, *more):
    script = ROOT / "models" / "app_backtester.py"
    source = ["--source", "files", "--data-dir", data_dir]
    return run([script, "--ticker", ticker, "--hours", hours, *source, *more, "--json"])


def percent(value, decimals=1):
    return "–" if value is None else f"{value * 100:+.{decimals}f} %"


def plus_minus(value, error, decimals):
    return "–" if value is None or error is None else f"{value:+.{decimals}f} ± {error:.{decimals}f}"


def main_row(ticker, result, first, again, trained):
    metrics, significance = result["metrics"], result["significance"]
    low, high = significance["total_return_interval"]
    alpaca = result["at_alpaca"]
    null, rank = significance["random_entry"], significance["skill"]["model"]["spearman"]
    covered = significance["skill"]["coverage"]["overall"]["share"]
    return (
        f"| {ticker} | {metrics['trades']} | {percent(metrics['total_return'])} | {low * 100:+.1f} to {high * 100:+.1f} % "
        f"| {percent(None if alpaca is None else alpaca['total_return'])} | {percent(result['buy_and_hold']['total_return'])} "
        f"| {plus_minus(metrics['sharpe'], metrics['sharpe_se'], 1)} | {'–' if null is None else format(null['p'], '.3f')} "
        f"| {plus_minus(rank['value'], rank['se'], 3)} | {covered * 100:.1f} % | `{result['verdict']['code']}` "
        f"| {first:.1f} s ({trained} trained) | {again:.1f} s |"
    )


def pooled_bins(documents, name):
    rows = {}
    for result in documents:
        for part in result["significance"]["skill"][name]["bins"]:
            rows.setdefault((part["low"], part["high"]), []).append(part)
    for (low, high), parts in sorted(rows.items()):
        count = sum(part["n"] for part in parts)
        stated = sum(part["n"] * part["stated"] for part in parts) / count
        observed = sum(part["n"] * part["observed"] for part in parts) / count
        error = (observed * (1 - observed) / count) ** 0.5
        yield f"| {low:.2f} – {high:.2f} | {count:,} | {stated:.3f} | {observed:.3f} ± {error:.3f} |"


def pooled_brier(documents, name):
    parts = [(f["significance"]["skill"]["n"], f["significance"]["skill"][name]["brier"]) for f in documents]
    return sum(n * brier for n, brier in parts) / sum(n for n, _ in parts)


def pooled_coverage(documents):
    for name in ("overall", "calm", "middle", "wild"):
        parts = [result["significance"]["skill"]["coverage"][name] for result in documents]
        shares = [part["share"] for part in parts]
        count = sum(part["n"] for part in parts)
        pooled = sum(part["n"] * part["share"] for part in parts) / count
        yield f"| {name} | {count:,} | {pooled * 100:.1f} % | {min(shares) * 100:.1f} to {max(shares) * 100:.1f} % |"


def print_tickers(tickers, hours, data_dir):
    print("| ticker | trades | return | 95 % interval | at Alpaca | buy and hold | Sharpe ± error | random entry p | rank IC ± error | coverage | verdict | first run | again |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    documents = []
    for ticker in tickers:
        _, first, stderr = backtest(ticker, hours, data_dir)
        result, again, _ = backtest(ticker, hours, data_dir)
        trained = stderr.split("Training ", 1)[1].split()[0] if "Training " in stderr else 0
        documents.append(result)
        print(main_row(ticker, result, first, again, trained), flush=True)
    print(f"\nAudits passed: {sum(result['audit']['passed'] for result in documents)} of {len(documents)}.")
    return documents


def print_pooled(documents):
    for name, title in (("stated", "confidence as stated"), ("unshrunk", "before shrinking")):
        print(f"\n| {title} | closes | stated | correct direction |\n|---|---|---|---|")
        for row in pooled_bins(documents, name):
            print(row)
        print(f"\nBrier score {pooled_brier(documents, name):.5f} (a coin toss: 0.25).")
    print("\n| bars | closes | inside the 90 % interval | by ticker |\n|---|---|---|---|")
    for row in pooled_coverage(documents):
        print(row)


def common_end(tickers, data_dir):
    """Return the last hour that all tickers have bars of."""
    source = FilesSource(Path(data_dir))
    return to_iso(min(source.now(Ticker.parse(ticker)) for ticker in tickers))


def print_exits(tickers, hours, data_dir):
    options = [word for ticker in tickers for word in ("--ticker", ticker)]
    result, seconds, _ = run(
        ["-c", TOOL, "compare", *options, "--hours", hours, "--source", "files", "--data-dir", data_dir,
         "--end", common_end(tickers, data_dir), "--vary", f"exit={','.join(EXITS)}", "--json"]
    )  # fmt: skip
    cells = {(trial["ticker"], trial["setting"]): trial["metrics"] for trial in result["trials"]}
    names = sorted({ticker for ticker, _ in cells})
    print("\n| ticker | " + " | ".join(f"{name}: return, trades, fees" for name in EXITS) + " |")
    print("|---" * (len(EXITS) + 1) + "|")
    for ticker in names:
        print(
            f"| {ticker} | " + " | ".join(exit_cell(cells[ticker, f"exit={name}"]) for name in EXITS) + " |"
        )
    sums = {portfolio["setting"]: portfolio["metrics"] for portfolio in result["portfolios"]}
    print("| sum of all | " + " | ".join(exit_cell(sums[f"exit={name}"]) for name in EXITS) + " |")
    print(
        f"\nSelection bias: {json.dumps(result['luck'])}; {seconds:.1f} s, {result['trained']} models trained."
    )


def exit_cell(metrics):
    return f"{percent(metrics['total_return'])}, {metrics['trades']}, {metrics['fees_paid']:,.0f}"


def print_seeds(seeds, hours, data_dir):
    print(f"\n| {SEEDED}, seed | trades | return | Sharpe | rank IC |\n|---|---|---|---|---|")
    returns = []
    for seed in range(seeds):
        result, _, _ = backtest(SEEDED, hours, data_dir, "--seed", seed)
        metrics, rank = result["metrics"], result["significance"]["skill"]["model"]["spearman"]
        returns.append(metrics["total_return"])
        print(f"| {seed} | {metrics['trades']} | {percent(metrics['total_return'])} | {metrics['sharpe']:+.1f} | {rank['value']:+.3f} |", flush=True)  # fmt: skip
    if len(returns) > 1:
        print(f"\nReturn over seeds: mean {percent(statistics.mean(returns))}, standard deviation {statistics.stdev(returns) * 100:.1f} points.")  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--hours", type=int, default=2160)
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--tickers", nargs="*")
    parser.add_argument("--exits", action="store_true")
    arguments = parser.parse_args()
    offered = [str(ticker) for ticker in tickers_of(Path(arguments.data_dir))]
    tickers = offered if arguments.tickers is None else arguments.tickers
    if tickers:
        print_pooled(print_tickers(tickers, arguments.hours, arguments.data_dir))
    if arguments.exits:
        print_exits(tickers or offered, arguments.hours, arguments.data_dir)
    if arguments.seeds:
        print_seeds(arguments.seeds, arguments.hours, arguments.data_dir)


if __name__ == "__main__":
    main()
