"""Replay real bars through the ledger and compare every row with the backtest of the same window.

    python benchmarks/replay_parity.py --data-dir DIR [--tickers BTC/USD ETH/USD SOL/USD] [--hours 720] [--multi]

Whole processes, as a user starts them.  For each ticker and each set of rules: `run_trading.py --demo --source
files --replay-hours N --json`, `crypto-refactor trades --csv`, and `models/app_backtester.py --trades
--signals --json` of the same window; models, signals, forecasts, targets, trades (fills, prices, fees) and the final
balance must be equal as text.  With ``--multi`` also `run_multi_ticker.py --mode demo` over all tickers of the
folder, compared with single backtests of an equal share of the balance.  Models are shared through the model folder
of the environment (CRYPTO_MODEL_DIR).
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RULES = {
    "long and short": [],
    "long only": ["--long-only"],
    "at Alpaca": ["--venue", "alpaca"],
}
BALANCE = 100_000.0


def run(script, *words, state):
    environment = {**os.environ, "CRYPTO_STATE_DIR": str(state)}
    start = time.perf_counter()
    completed = subprocess.run(
        [sys.executable, *script, *map(str, words)],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    if completed.returncode:
        sys.exit(f"{script} {words}: exit {completed.returncode}\n{completed.stderr}")
    return completed.stdout, time.perf_counter() - start


def tool(*words, state):
    return run(
        [
            "-c",
            f"import sys; sys.path.insert(0, {str(ROOT)!r}); from crypto_refactor.cli.main import run; run()",
        ],
        *words,
        state=state,
    )


def backtest(ticker, hours, balance, rules, data_dir, folder):
    trades, signals = folder / "trades.csv", folder / "signals.csv"
    out, seconds = run(
        [str(ROOT / "models" / "app_backtester.py")], "--ticker", ticker, "--hours", hours,
        "--initial-balance", repr(balance), *rules, "--source", "files", "--data-dir", data_dir,
        "--trades", trades, "--signals", signals, "--json", state=folder,
    )  # fmt: skip
    return json.loads(out), trades.read_text(), signals.read_text(), seconds


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def differences(entries, result, trades, ledger_trades, signals, final_equity):
    """Return the names of the values that differ."""
    decided = [entry for entry in entries if entry.get("decision") and entry["signal"] is not None]
    expected = rows(signals)
    pairs = {
        "bars decided": ([e["bar"] for e in decided], [r["made_at"] for r in expected]),
        "signals": ([str(e["signal"]) for e in decided], [r["signal"] for r in expected]),
        "forecasts": (
            [e["decision"]["predicted"] for e in decided],
            [float(r["predicted_price"]) for r in expected],
        ),
        "models": ([e["decision"]["model"] for e in decided], [r["model"] for r in expected]),
        "targets": ([str(e["target"]) for e in decided], [r["target"] for r in expected]),
        "trades": (rows(ledger_trades), rows(trades)),
        "final balance": (final_equity, result["metrics"]["final_balance"]),
    }
    return [name for name, (replayed, backtested) in pairs.items() if replayed != backtested]


def single(ticker, name, hours, data_dir):
    with tempfile.TemporaryDirectory() as temporary:
        state = Path(temporary)
        out, seconds = run(
            [str(ROOT / "run_trading.py")], "--ticker", ticker, "--demo", "--source", "files", "--data-dir", data_dir,
            "--replay-hours", hours, *RULES[name], "--json", state=state,
        )  # fmt: skip
        *entries, summary = map(json.loads, out.splitlines())
        ledger_csv = state / "trades_of_ledger.csv"
        tool("trades", "--csv", ledger_csv, state=state)
        result, trades, signals, back_seconds = backtest(ticker, hours, BALANCE, RULES[name], data_dir, state)
        (replayed,) = summary["tickers"]
        wrong = differences(entries, result, trades, ledger_csv.read_text(), signals, replayed["equity"])
        if not replayed["same_as_backtest"]:
            wrong.append("the replay's own comparison")
        metrics = result["metrics"]
        print(
            f"| {ticker} | {name} | {len(entries)} | {len(result['models'])} | {metrics['trades']} | "
            f"{metrics['fees_paid']:,.2f} | {metrics['final_balance']:,.2f} | "
            f"{'equal' if not wrong else 'DIFFER: ' + ', '.join(wrong)} | {seconds:.1f} s | {back_seconds:.1f} s |",
            flush=True,
        )
        return not wrong


def several(hours, data_dir):
    with tempfile.TemporaryDirectory() as temporary:
        state = Path(temporary)
        out, seconds = run(
            [str(ROOT / "run_multi_ticker.py")], "--mode", "demo", "--source", "files", "--data-dir", data_dir,
            "--replay-hours", hours, "--json", state=state,
        )  # fmt: skip
        *entries, summary = map(json.loads, out.splitlines())
        ledger_csv = state / "trades_of_ledger.csv"
        tool("trades", "--csv", ledger_csv, state=state)
        ledger_trades = ledger_csv.read_text()
        replays = [row for row in summary["tickers"] if "equity" in row]
        share, equal = BALANCE / len(replays), True
        for replayed in replays:
            ticker = replayed["ticker"]
            result, trades, signals, _ = backtest(ticker, hours, share, [], data_dir, state)
            own_entries = [entry for entry in entries if entry["ticker"] == ticker]
            head, *lines = ledger_trades.splitlines(keepends=True)
            of_ticker = head + "".join(line for line in lines if line.startswith(ticker))
            wrong = differences(own_entries, result, trades, of_ticker, signals, replayed["equity"])
            equal &= not wrong
            print(
                f"| {ticker} | {len(own_entries)} | {result['metrics']['trades']} | {result['metrics']['fees_paid']:,.2f} | "
                f"{result['metrics']['final_balance']:,.2f} | {'equal' if not wrong else 'DIFFER: ' + ', '.join(wrong)} |",
                flush=True,
            )
        print(f"\nAll tickers in one process: {seconds:.1f} s.")
        return equal


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--tickers", nargs="*", default=["BTC/USD", "ETH/USD", "SOL/USD"])
    parser.add_argument("--hours", type=int, default=720)
    parser.add_argument("--multi", action="store_true")
    arguments = parser.parse_args()
    print("| ticker | rules | bars | models | trades | fees | final balance | rows | replay | backtest |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    equal = [
        single(t, name, arguments.hours, arguments.data_dir) for t in arguments.tickers for name in RULES
    ]
    if arguments.multi:
        print("\n| ticker | bars | trades | fees | final balance | rows |\n|---|---|---|---|---|---|")
        equal.append(several(arguments.hours, arguments.data_dir))
    sys.exit(not all(equal))


if __name__ == "__main__":
    main()
