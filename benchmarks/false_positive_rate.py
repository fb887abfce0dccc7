"""How often the verdict sees an edge where there is none, and how often where there is one.

    python benchmarks/false_positive_rate.py [--seeds 100] [--workers 2] [--patterns]

Each seed is a world of its own: simulated BTC/USD bars whose expected return is 0 in every hour.  A small
network is trained on the hours before a window of 2,160 hours, decides every hour of it, and the run is
judged whole: audit, significance, skill, verdict.  Whatever comes out as ``evidence`` is a false alarm.

With ``--patterns`` the expected return of an hour is s of its hourly volatilities, upwards where the close
before it lies above its EMA 20 and downwards where it lies below: a trend that the model's inputs show.
A break-even fee counts as 0 where a run loses before fees.

Settings are chosen so that most windows trade often enough to be judged and a world costs seconds: fewer
confirmations than the default, a shorter lookback and training span, and one model for a whole window.
Without a fee a false alarm is likeliest, because luck has to earn nothing first.  A threshold scale of 0
trades every forecast that is confirmed, not only those that exceed what the model's calibration hours saw.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest, spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.significance.verdict import EVIDENCE, FALSE_POSITIVE_RATE, IC_ERRORS, TOO_FEW
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.price_indicators import realised_volatility
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.sources.simulator import LAST_CLOSE, simulate_bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import hours_needed
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules

BTC = Ticker("BTC", "USD")
HOURS = 2160
REFIT_EVERY = HOURS + 1  # decisions of a window, the close before its first hour included: one model for all
END = LAST_CLOSE // REFIT_EVERY * REFIT_EVERY
SETTINGS = ModelSettings(network="small", lookback=24, train_hours=720, refit_every=REFIT_EVERY)
MIN_CONFIRMATIONS = 4
BARS = hours_needed(HOURS, SETTINGS) + MAX_FILLED_GAP_HOURS
EMA_WEIGHT = 2 / 21  # of the newest close in an EMA 20
STRENGTHS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
TESTS = ("sharpe", "entries", "ic")
VARIANTS = ((0.0, None), (0.0, 0.0), (0.001, 0.0))
"""(fee, threshold scale; None: the model's own) of each backtest of a world."""


class Held:
    """A source of given bars."""

    def __init__(self, bars):
        self.held = bars
        self.name = bars.source

    def bars(self, _ticker, start, end):
        return self.held.between(start, end)

    def latest_price(self, ticker):
        return LatestPrice(price=float(self.held.close[-1]), at=to_iso(self.now(ticker)))

    def now(self, _ticker):
        return int(self.held.closed[-1])


def world(seed, strength):
    """Return the bars of a world, and the expected return of each of their hours."""
    driftless = simulate_bars(BTC, count=BARS, seed=seed, last_close=END)
    if strength == 0:
        return driftless, np.zeros(BARS)
    drift = trend(driftless, strength)
    return simulate_bars(BTC, count=BARS, seed=seed, last_close=END, drift=drift), drift


def trend(driftless, strength):
    """Return `strength` volatilities an hour, away from the EMA of the closes that the drift itself gives."""
    # The drift is added to the driftless log returns, so it can be followed hour by hour without bars.
    moves = np.diff(np.log(driftless.close), prepend=np.log(driftless.close[0]))
    volatility = realised_volatility(driftless.close, 24)
    drift, above = np.zeros(BARS), 0.0
    for hour in range(1, BARS):
        if hour > WARMUP // 2:
            drift[hour] = strength * volatility[hour - 1] * np.sign(above)
        above = (1 - EMA_WEIGHT) * (above + moves[hour] + drift[hour])
    return drift


def judged(seed, strength):
    """Return what the backtests of one world came to, one row for each variant; the model is trained once."""
    began = time.perf_counter()
    bars, drift = world(seed, strength)
    moves = np.diff(np.log(bars.close))[-HOURS:]
    perfect = spearmanr(drift[-HOURS:], moves).statistic if strength else None
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS:
            row = figures(backtest(bars, *variant, Path(folder)))
            rows.append(row | {"seed": seed, "strength": strength, "variant": variant, "perfect": perfect})
    rows[0]["seconds"] = time.perf_counter() - began
    return rows


def backtest(bars, fee, threshold_scale, folder):
    tester = Backtester(
        BTC,
        source=Held(bars),
        settings=SETTINGS,
        signal_rules=SignalRules(min_confirmations=MIN_CONFIRMATIONS, threshold_scale=threshold_scale),
        options=ExecutionOptions(fee=fee),
        model_dir=folder,
    )
    result = tester.run(HOURS, end=END)
    if len(result.walk.periods) != 1:
        raise SystemExit(
            "more than one model decided the window: fits would start processes inside processes"
        )
    return result


def figures(result):
    found, ic = result.significance, result.significance.skill.model.spearman
    chance, entry = found.probabilistic_sharpe, found.random_entry
    return {
        "code": result.verdict.code,
        "text": result.verdict.text,
        "audit": result.audit.passed,
        "trades": result.requested.metrics.trades,
        "ic": ic.value,
        "break_even": found.break_even.fee or 0.0,
        "passed": {
            "sharpe": chance is not None and chance >= 1 - FALSE_POSITIVE_RATE,
            "entries": entry is not None and entry.p <= FALSE_POSITIVE_RATE,
            "ic": None not in {ic.value, ic.se} and ic.value - IC_ERRORS * ic.se > 0,
        },
    }


def run(cases, workers):
    """Return the rows of each (strength, seed), and tell of each on standard error as it is done."""
    done = []
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
    for rows in parallel(delayed(judged)(seed, strength) for strength, seed in cases):
        for row in rows:
            passed = " ".join(name for name in TESTS if row["passed"][name]) or "none"
            print(
                f"seed {row['seed']} | s {row['strength']:g} | {cells(row['variant'])} | {row['trades']} trades "
                f"| passed: {passed} | {row['code']} | {row['text']}",
                file=sys.stderr,
                flush=True,
            )
        done += rows
    return done


def cells(variant):
    """Return the fee and the threshold scale as two cells of a table."""
    fee, scale = variant
    return f"{fee * 100:.1f} % | {'own' if scale is None else f'{scale:g}'}"


def share(hits):
    """Return how many hits there are, and the exact 95 % interval (Clopper and Pearson 1934) of their share."""
    hits = list(hits)
    found = binomtest(sum(hits), len(hits)).proportion_ci(0.95, method="exact")
    return f"{sum(hits)} ({found.low * 100:.1f} to {found.high * 100:.1f} %)"


def count(rows, code):
    return sum(row["code"] == code for row in rows)


def median(rows, name):
    return np.median([row[name] for row in rows])


def print_false_alarms(rows):
    print(
        "| fee | threshold scale | worlds | trades (median) | too few | **evidence** "
        "| Sharpe passes | random entry passes | IC passes | all three pass | audits passed |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for variant in VARIANTS:
        own = [row for row in rows if row["variant"] == variant]
        alone = " | ".join(share(row["passed"][name] for row in own) for name in TESTS)
        print(
            f"| {cells(variant)} | {len(own)} | {median(own, 'trades'):.0f} | {count(own, TOO_FEW)} "
            f"| {share(row['code'] == EVIDENCE for row in own)} | {alone} "
            f"| {share(all(row['passed'].values()) for row in own)} | {sum(row['audit'] for row in own)} |"
        )


def print_patterns(rows):
    print(
        "| s | worlds | IC of the pattern | IC found ± error | fee | threshold scale | trades (median) | too few "
        "| **evidence** | break-even fee (median) |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for strength in STRENGTHS:
        for variant in VARIANTS:
            own = [row for row in rows if (row["strength"], row["variant"]) == (strength, variant)]
            planted = f"{np.mean([row['perfect'] for row in own]):.3f}" if strength else "–"
            ic = np.array([row["ic"] for row in own if row["ic"] is not None])
            error = ic.std(ddof=1) / np.sqrt(len(ic)) if len(ic) > 1 else float("nan")
            print(
                f"| {strength:g} | {len(own)} | {planted} | {ic.mean():+.3f} ± {error:.3f} "
                f"| {cells(variant)} | {median(own, 'trades'):.0f} "
                f"| {count(own, TOO_FEW)} | {count(own, EVIDENCE)} | {median(own, 'break_even') * 100:.2f} % |"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patterns", action="store_true", help="plant trends of several strengths")
    parser.add_argument("--seeds", type=int, help="worlds, by default 100; with --patterns 10 per strength")
    parser.add_argument("--workers", type=int, default=-1, help="processes, by default one per core")
    chosen = parser.parse_args()
    strengths, show, seeds = (0.0,), print_false_alarms, 100
    if chosen.patterns:
        strengths, show, seeds = STRENGTHS, print_patterns, 10
    print(
        f"Windows of {HOURS:,} h of simulated {BTC} up to {to_iso(END)}; network {SETTINGS.network}, seed "
        f"{SETTINGS.seed}, lookback {SETTINGS.lookback}, {SETTINGS.train_hours} h to train, one model per window; "
        f"{MIN_CONFIRMATIONS} confirmations, exit {ExecutionOptions().exit}, long and short.\n"
    )
    began = time.perf_counter()
    cases = [(strength, seed) for strength in strengths for seed in range(1, (chosen.seeds or seeds) + 1)]
    rows = run(cases, chosen.workers)
    show(rows)
    spent = np.median([row["seconds"] for row in rows if "seconds" in row])
    print(f"\n{time.perf_counter() - began:.0f} s in all; {spent:.1f} s for a world (median).")


if __name__ == "__main__":
    main()
