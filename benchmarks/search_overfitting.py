"""What a search finds where there is nothing to find: a choice, its test on the rest, the probability of overfitting.

    python benchmarks/search_overfitting.py [--searches 100] [--workers 2] [--fraction 0.7]

Each search is `compare --select-then-test` of 20 settings (two threshold scales, five numbers of confirmations, two exits)
on 2,160 hours of one simulated world: BTC/USD bars whose expected return is 0 in every hour.  There is no fee, so that an
honest test expects a Sharpe ratio of 0: what the chosen setting shows on the hours that chose it is luck, and so is what
it shows on the rest.  Models are the linear skip alone, trained every 720 hours as the tool does, and shared by all
settings.  A world whose models forecast nothing trades nothing, and so chooses nothing: it is counted, and the next one
is drawn in its place.

Expected: a mean probability of overfitting near 0.5 (Bailey, Borwein, Lopez de Prado and Zhu 2017, section 2), a Sharpe
ratio of the chosen setting that is clearly positive on the hours that chose it, about 0 on the rest, and a place among
the 20 there that is as often above the median as below.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from false_positive_rate import BTC, END, HOURS, SETTINGS, world

from crypto_refactor.backtest.comparison import (
    ComparisonRequest,
    ParameterSet,
    combinations,
    parse_axis,
    runner,
    select_then_test,
    selection,
)
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.sources.memory import MemorySource
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.signals.conditions import SignalRules

BASE = ParameterSet(
    settings=replace(SETTINGS, refit_every=720), signal_rules=SignalRules(), options=ExecutionOptions(fee=0.0)
)
SEARCH = combinations(
    BASE,
    [
        parse_axis("threshold-scale=0,0.1"),
        parse_axis("min-confirmations=2,3,4,5,6"),
        parse_axis("exit=neutral,opposite"),
    ],
)


def search(seed, fraction):
    """Return the figures of one search; without a choice, the reason."""
    # Audits take nine tenths of the time, and are measured elsewhere.
    runner.audited = lambda trials, _end, _pinned: list(trials)
    selection.assessed = lambda result: result
    bars, _ = world(seed, 0.0)
    with tempfile.TemporaryDirectory() as folder:
        found = select_then_test(
            ComparisonRequest(
                tickers=(BTC,),
                explicitly_requested=True,
                settings=SEARCH,
                source=MemorySource([bars]),
                hours=HOURS,
                end=END,
                initial_balance=100_000.0,
                model=None,
                model_dir=Path(folder),
                allow_gaps=False,
                observer=TrainingObserver(),
            ),
            fraction,
        )
    if found.choice_trial is None or found.choice.overfitting.probability is None:
        return {"seed": seed, "why": found.choice.overfitting.why_none or "no trial traded"}
    best, bias = found.best_in_hindsight, found.choice.selection_bias
    inside, outside = found.choice_trial.scenarios.requested.metrics, found.chosen.requested.metrics
    return {
        "seed": seed,
        "why": None,
        "probability": found.choice.overfitting.probability,
        "trials": found.choice.overfitting.trials,
        "inside": inside.sharpe,
        "expected": bias.expected_best_sharpe,
        "deflated": bias.deflated_sharpe,
        "outside": outside.sharpe,
        "error": outside.sharpe_se,
        "hindsight": None if best is None else best.scenarios.requested.metrics.sharpe,
        "above": place(found),
    }


def place(found):
    """Return 1 where the chosen trial lies in the upper half on the rest, 0 in the lower one, 0.5 in between."""
    sharpes = [trial.scenarios.requested.metrics.sharpe or 0.0 for trial in found.rest.trials]
    chosen, median = found.chosen.requested.metrics.sharpe or 0.0, np.median(sharpes)
    return 0.5 if chosen == median else float(chosen > median)


def mean(values):
    values = np.array(values, dtype=np.float64)
    return f"{values.mean():+.2f} ± {values.std(ddof=1) / np.sqrt(len(values)):.2f}"


def share(rows, condition):
    return f"{sum(map(condition, rows))} of {len(rows)}"


def print_table(rows, idle):
    tested = [row for row in rows if row["outside"] is not None]
    probability = np.array([row["probability"] for row in rows])
    deciles = " / ".join(f"{value:.2f}" for value in np.quantile(probability, (0.1, 0.5, 0.9)))
    lines = {
        "searches (worlds in which fewer than two settings traded differently)": f"{len(rows)} ({idle})",
        "different trials of the 20 (median)": f"{np.median([row['trials'] for row in rows]):.0f}",
        "probability of overfitting, mean ± error": mean(probability).lstrip("+"),
        "the same: 10 % / median / 90 %": deciles,
        "Sharpe ratio of the chosen setting on the hours that chose it": mean(
            [row["inside"] for row in rows]
        ),
        "best Sharpe ratio expected by chance there": mean([row["expected"] for row in rows]),
        "deflated Sharpe ratio of 0.95 or more there": share(
            rows, lambda row: (row["deflated"] or 0) >= 0.95
        ),
        "Sharpe ratio of the chosen setting on the rest": f"{mean([row['outside'] for row in tested])} "
        f"({len(tested)} that traded there)",
        "best in hindsight on the rest": mean([row["hindsight"] for row in tested]),
        "chosen setting above the median of all on the rest": mean([row["above"] for row in rows]).lstrip(
            "+"
        ),
    }
    print("| 20 settings, no fee, driftless bars | |\n|---|---|")
    for label, text in lines.items():
        print(f"| {label} | {text} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--fraction", type=float, default=0.7)
    parser.add_argument("--workers", type=int, default=-1, help="processes, by default one per core")
    arguments = parser.parse_args()
    start, rows, idle = time.perf_counter(), [], 0
    parallel = Parallel(n_jobs=arguments.workers, return_as="generator", pre_dispatch="n_jobs")
    for row in parallel(delayed(search)(seed, arguments.fraction) for seed in count(1)):
        print(row, file=sys.stderr, flush=True)
        if row["why"] is None:
            rows.append(row)
        else:
            idle += 1
        if len(rows) == arguments.searches:
            break
    print_table(rows, idle)
    print(f"\n{time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
