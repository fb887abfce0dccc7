"""How long a comparison of many tickers over a long window takes, from files and with an empty model folder.

    python benchmarks/year_of_tickers.py [--tickers 13] [--hours 8760] [--options "..."] [--no-halves]

The bars are simulated, one seed a ticker, and written as CSV files first.  The command trains a linear model at every
cut-off, decides every hour, audits every trial and judges the forecasts of all tickers together.  It is run on all of it,
on half of the hours and on half of the tickers, so that growth shows.  Other options, such as ``--cluster ADDRESS``, are added
to the command.
"""

from __future__ import annotations

import argparse
import os
import shlex
import tempfile
from dataclasses import replace
from pathlib import Path

from harness import process

from crypto_refactor.market.sources.csv_files import file_path, write_csv
from crypto_refactor.market.sources.simulator import simulate_bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings

BTC = Ticker("BTC", "USD")
SETTINGS = ModelSettings(network="linear")


def write_bars(folder, count, hours):
    """Write the bars of `count` tickers, and return the tickers."""
    tickers = [Ticker(f"T{number:04d}", "USD") for number in range(count)]
    bars = hours_needed(hours, SETTINGS) + 24
    for seed, ticker in enumerate(tickers):
        simulated = simulate_bars(BTC, count=bars, seed=seed)
        write_csv(replace(simulated, ticker=ticker, source="files"), file_path(Path(folder), ticker))
    return tickers


def compared(folder, tickers, hours, options):
    """Return the seconds of one cold comparison, and its peak memory."""
    line = f"-m crypto_refactor compare --network linear --source files --data-dir {folder} --hours {hours} --json"
    asked = [word for ticker in tickers for word in ("--ticker", str(ticker))]
    with tempfile.TemporaryDirectory() as models:
        environment = {"CRYPTO_MODEL_DIR": models, "CRYPTO_STATE_DIR": models}
        return process([*shlex.split(line), *asked, *shlex.split(options)], environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tickers", type=int, default=13)
    parser.add_argument("--hours", type=int, default=8760)
    parser.add_argument("--options", default="", help="further options of the command")
    parser.add_argument("--no-halves", action="store_true")
    arguments = parser.parse_args()
    runs = [(arguments.tickers, arguments.hours)]
    if not arguments.no_halves:
        runs += [(arguments.tickers, arguments.hours // 2), (arguments.tickers // 2, arguments.hours)]
    print(f"| tickers | hours | seconds ({os.cpu_count()} cores) | seconds a ticker and 1,000 h | peak memory of the command |\n|---|---|---|---|---|")  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        tickers = write_bars(folder, arguments.tickers, arguments.hours)
        for count, hours in runs:
            done = compared(folder, tickers[:count], hours, arguments.options)
            each = done.seconds / count / hours * 1000
            print(
                f"| {count:,} | {hours:,} | {done.seconds:.1f} | {each:.2f} | {done.mebibytes:,.0f} MiB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
