"""One warm pass over 13 tickers in one process, compared with 13 processes.

    python benchmarks/multi_ticker_pass.py [--repeats 5]

`run_multi_ticker.py --mode sequential` on the bundled simulation, which has bars of all 13 tickers, with the small
network: start-up and serving hardly depend on the network.
"""

from __future__ import annotations

import tempfile

from harness import ROOT, Process, Row, arguments, print_rows, process, processes

from crypto_refactor.market.ticker import read_tickers

SCRIPT = str(ROOT / "run_multi_ticker.py")
COMMON = ["--mode", "sequential", "--source", "sample", "--network", "small"]


def measure(repeats: int) -> list[Row]:
    tickers = [str(ticker) for ticker in read_tickers(ROOT / "tickers.txt")]
    with tempfile.TemporaryDirectory() as folder:
        environment = {"CRYPTO_MODEL_DIR": f"{folder}/models", "CRYPTO_STATE_DIR": f"{folder}/state"}

        def together() -> Process:
            return process([SCRIPT, *COMMON], environment)

        def separate() -> Process:
            single = [process([SCRIPT, *COMMON, "--ticker", ticker], environment) for ticker in tickers]
            return Process(sum(run.seconds for run in single), max(run.mebibytes for run in single))

        together()  # trains
        medians = processes({"together": together, "separate": separate}, repeats)
    ours, theirs = medians["together"], medians["separate"]
    count = len(tickers)
    return [
        Row(
            job=f"one warm pass over {count} tickers",
            ours=ours.seconds,
            against=f"{count} single processes",
            theirs=theirs.seconds,
            goal=8,
        ),
        Row(
            job=f"one warm pass over {count} tickers, peak memory",
            ours=ours.mebibytes,
            against="the largest of them",
            theirs=theirs.mebibytes,
            unit="MiB",
        ),
    ]


if __name__ == "__main__":
    options = arguments(__doc__, bars=False, repeats=5)
    print_rows(measure(options.repeats), as_json=options.json)
