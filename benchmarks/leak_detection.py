"""In how many windows the audit of a sample finds a leak that looks four hours ahead.

    python benchmarks/leak_detection.py [--windows 12]

Each window is one world of `false_positive_rate.py` (2,160 hours of simulated bars, one small network).  A leak is planted
into the decision path, where it acts on the run and on the audit alike, as it would if it stood in the code:

- veto: a signal is dropped if the close four hours later lies on its wrong side;
- rare veto: the same on every tenth hour only, so that it prevents about a twentieth of the entries;
- condition: the `volume` condition fails where the close four hours later lies on the wrong side of the forecast;
- entry: every tenth forecast that stays within its threshold becomes a signal if it comes true within four hours.

"16 closes" is how likely a sample of 16 closes, evenly spread, would have found it: 1 - (1 - share changed)^16.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
from false_positive_rate import BTC, END, HOURS, SETTINGS, GivenBars, world

from crypto_refactor.backtest.audit.auditor import audit
from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.signals import pipeline
from crypto_refactor.signals.conditions import CONDITIONS, SignalRules

AHEAD = 4
RULES = SignalRules(min_confirmations=4)
HONEST = pipeline.evaluate


def move_ahead(frame, rows, made):
    """Return the sign of the move of the next hours; 0 at the end of what the caller knows."""
    close = frame.bars.close
    return np.sign(close[np.minimum(rows + AHEAD, len(close) - 1)] - made.close)


def tenth(made):
    return (made.decided_at * 2_654_435_761 >> 8) % 10 == 0


def veto(frame, rows, forecast, **options):
    made = HONEST(frame, rows, forecast, **options)
    wrong = move_ahead(frame, rows, made) * made.signal < 0
    return replace(made, signal=np.where(wrong, 0, made.signal).astype(np.int8))


def rare_veto(frame, rows, forecast, **options):
    made = HONEST(frame, rows, forecast, **options)
    wrong = (move_ahead(frame, rows, made) * made.signal < 0) & tenth(made)
    return replace(made, signal=np.where(wrong, 0, made.signal).astype(np.int8))


def condition(frame, rows, forecast, **options):
    made = HONEST(frame, rows, forecast, **options)
    place, ahead = CONDITIONS.index("volume"), move_ahead(frame, rows, made)
    long, short = made.long.copy(), made.short.copy()
    long[:, place] &= ahead >= 0
    short[:, place] &= ahead <= 0
    least = options["rules"].min_confirmations
    is_long, is_short = (side[:, 0] & (side[:, 1:].sum(axis=1) >= least) for side in (long, short))
    signal = is_long.astype(np.int8) - is_short.astype(np.int8)
    return replace(made, long=long, short=short, signal=signal)


def entry(frame, rows, forecast, **options):
    made = HONEST(frame, rows, forecast, **options)
    side = np.sign(forecast)
    comes = (made.signal == 0) & (move_ahead(frame, rows, made) * side > 0) & tenth(made)
    return replace(made, signal=np.where(comes, side, made.signal).astype(np.int8))


def entries(result):
    return {fill.at for fill in result.requested.simulation.fills if fill.reason == "entry"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=12)
    count = parser.parse_args().windows
    leaks = {"none": HONEST, "veto": veto, "rare veto": rare_veto, "condition": condition, "entry": entry}
    rows = {name: [] for name in leaks}
    start = time.perf_counter()
    for seed in range(1, count + 1):
        bars, _ = world(seed, 0.0)
        with tempfile.TemporaryDirectory() as folder:
            honest = None
            for name, leak in leaks.items():
                tester = Backtester(
                    BTC,
                    source=GivenBars(bars),
                    settings=SETTINGS,
                    signal_rules=RULES,
                    options=ExecutionOptions(fee=0.0),
                    model_dir=Path(folder),
                )
                with mock.patch.object(pipeline, "evaluate", leak):
                    result = tester.run(HOURS, end=END, assess=False)
                    cost = time.process_time()
                    found = audit(result)
                    cost = time.process_time() - cost
                honest = honest or result
                changed = result.walk.signals.signal != honest.walk.signals.signal
                rows[name].append(
                    {
                        "found": not found.passed,
                        "checked": found.bars_checked,
                        "changed": int(changed.sum()),
                        "closes": len(changed),
                        "entries": len(entries(result)),
                        "prevented": len(entries(honest) - entries(result)),
                        "cost": cost,
                    }
                )
                print(seed, name, rows[name][-1], file=sys.stderr, flush=True)
    print(
        "| leak | windows | **found** | by 16 closes (expected) | signals changed (median) | entries prevented (median) of "
        "| closes recomputed (median) | CPU time of the audit |\n|---|---|---|---|---|---|---|---|"
    )
    for name, group in rows.items():
        middle = {key: np.median([row[key] for row in group]) for key in group[0]}
        chance = sum(1 - (1 - row["changed"] / row["closes"]) ** 16 for row in group)
        print(
            f"| {name} | {count} | {sum(row['found'] for row in group)} | {chance:.1f} | {middle['changed']:.0f} "
            f"| {middle['prevented']:.0f} of {np.median([row['entries'] for row in rows['none']]):.0f} "
            f"| {middle['checked']:.0f} | {middle['cost']:.1f} s |"
        )
    print(f"\n{time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
