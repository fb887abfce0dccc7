"""How often the verdict reports an edge without one, and how often it finds a real one.

    python benchmarks/false_positive_rate.py [--seeds 100] [--workers 2] [--patterns] [--strengths 0.1] [--refits]

Each seed is one simulated world: BTC/USD bars whose expected return is 0 in every hour.  A model is trained on the 2,160
hours before a window of 2,160 hours and decides every hour of it, and the run gets all tests: audit, significance, skill,
verdict.  Every ``evidence`` is a false positive, and so is every skill that the verdict on forecasts or trades shows.

With ``--patterns`` the expected return of an hour is s times its hourly volatility, up if the close before it lies
above its EMA 20 and down if it lies below: a trend that the inputs of the model show.  A break-even fee counts as 0
if a run loses before fees.

With ``--refits`` models are trained every 720 hours, as the tool does, and not once before the window.

With these settings most windows have enough trades for a verdict and a world takes a second: fewer confirmations than
the default, a shorter lookback, the linear skip alone and one model per window.  False positives are most likely without
a fee.  A threshold scale of 0 trades every confirmed forecast, not only those that exceed the calibration.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy.stats import binomtest, spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.significance.forecast_verdict import BELOW_COST, ERRORS, FALSE_POSITIVE_RATE
from crypto_refactor.backtest.significance.verdict import EVIDENCE, TOO_FEW
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
SETTINGS = ModelSettings(network="linear", lookback=24, train_hours=2160, refit_every=REFIT_EVERY)
MIN_CONFIRMATIONS = 4
BARS = hours_needed(HOURS, SETTINGS) + MAX_FILLED_GAP_HOURS
EMA_WEIGHT = 2 / 21  # of the newest close in an EMA 20
STRENGTHS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3)
TESTS = ("sharpe", "entries", "ic")
SKILL = {EVIDENCE, BELOW_COST}
VARIANTS = ((0.0, None), (0.0, 0.0), (0.001, 0.0))
"""(fee, threshold scale; None: that of the model) of the backtests of a world."""


class GivenBars:
    """A source of given bars."""

    def __init__(self, bars):
        self._bars = bars
        self.name = bars.source

    def bars(self, _ticker, start, end):
        return self._bars.between(start, end)

    def latest_price(self, ticker):
        return LatestPrice(price=float(self._bars.close[-1]), at=to_iso(self.now(ticker)))

    def now(self, _ticker):
        return int(self._bars.closed[-1])


def world(seed, strength):
    """Return the bars of a world, and the expected return of each of their hours."""
    driftless = simulate_bars(BTC, count=BARS, seed=seed, last_close=END)
    if strength == 0:
        return driftless, np.zeros(BARS)
    drift = trend(driftless, strength)
    return simulate_bars(BTC, count=BARS, seed=seed, last_close=END, drift=drift), drift


def trend(driftless, strength):
    """Return a drift of `strength` hourly volatilities away from the EMA of the closes, the drift included."""
    # The drift adds to the driftless log returns, so no bars are needed to follow it hour by hour.
    moves = np.diff(np.log(driftless.close), prepend=np.log(driftless.close[0]))
    volatility = realised_volatility(driftless.close, 24)
    drift, above = np.zeros(BARS), 0.0
    for hour in range(1, BARS):
        if hour > WARMUP // 2:
            drift[hour] = strength * volatility[hour - 1] * np.sign(above)
        above = (1 - EMA_WEIGHT) * (above + moves[hour] + drift[hour])
    return drift


def tested_world(seed, strength, settings):
    """Return the figures of the backtests of one world, one row per variant; the model is trained once."""
    start = time.perf_counter()
    bars, drift = world(seed, strength)
    moves = np.diff(np.log(bars.close))[-HOURS:]
    perfect = spearmanr(drift[-HOURS:], moves).statistic if strength else None
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for variant in VARIANTS:
            row = figures(backtest(bars, *variant, settings, Path(folder)))
            rows.append(row | {"seed": seed, "strength": strength, "variant": variant, "perfect": perfect})
    rows[0]["seconds"] = time.perf_counter() - start
    return rows


def backtest(bars, fee, threshold_scale, settings, folder):
    tester = Backtester(
        BTC,
        source=GivenBars(bars),
        settings=settings,
        signal_rules=SignalRules(min_confirmations=MIN_CONFIRMATIONS, threshold_scale=threshold_scale),
        options=ExecutionOptions(fee=fee),
        model_dir=folder,
    )
    return tester.run(HOURS, end=END)


def figures(result):
    significance, ic = result.significance, result.significance.skill.model.spearman
    chance, entry = significance.probabilistic_sharpe, significance.random_entry
    return {
        "code": result.verdict.code,
        "text": result.verdict.text,
        "forecasts": result.verdict.forecasts.code,
        "trading": result.verdict.trades.code,
        "confidence": any(part.model.card.evidence.shrink > 0 for part in result.walk.periods),
        "audit": result.audit.passed,
        "trades": result.requested.metrics.trades,
        "ic": ic.value,
        "break_even": significance.break_even.fee or 0.0,
        "passed": {
            "sharpe": chance is not None and chance >= 1 - FALSE_POSITIVE_RATE,
            "entries": entry is not None and entry.p <= FALSE_POSITIVE_RATE,
            "ic": None not in {ic.value, ic.se} and ic.value - ERRORS * ic.se > 0,
        },
    }


def run(cases, settings, workers):
    """Return the rows of each (strength, seed), and print each to standard error when it is complete."""
    all_rows = []
    parallel = Parallel(n_jobs=workers, return_as="generator_unordered")
    for rows in parallel(delayed(tested_world)(seed, strength, settings) for strength, seed in cases):
        for row in rows:
            passed = " ".join(name for name in TESTS if row["passed"][name]) or "none"
            print(
                f"seed {row['seed']} | s {row['strength']:g} | {cells(row['variant'])} | {row['trades']} trades "
                f"| passed: {passed} | {row['code']} | {row['text']}",
                file=sys.stderr,
                flush=True,
            )
        all_rows += rows
    return all_rows


def cells(variant):
    """Return the fee and the threshold scale as two cells of a table."""
    fee, scale = variant
    return f"{fee * 100:.1f} % | {'own' if scale is None else f'{scale:g}'}"


def share(hits):
    """Return the number of hits, and the exact 95 % interval (Clopper and Pearson 1934) of their share."""
    hits = list(hits)
    interval = binomtest(sum(hits), len(hits)).proportion_ci(0.95, method="exact")
    return f"{sum(hits)} ({interval.low * 100:.1f} to {interval.high * 100:.1f} %)"


def count(rows, code):
    return sum(row["code"] == code for row in rows)


def median(rows, name):
    return np.median([row[name] for row in rows])


def print_false_positives(rows):
    print(
        "| fee | threshold scale | worlds | trades (median) | too few | **evidence** "
        "| Sharpe passes | random entry passes | IC passes | all three pass | forecasts: skill | trades: skill "
        "| models with confidence | audits passed |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|")
    for variant in VARIANTS:
        group = [row for row in rows if row["variant"] == variant]
        alone = " | ".join(share(row["passed"][name] for row in group) for name in TESTS)
        print(
            f"| {cells(variant)} | {len(group)} | {median(group, 'trades'):.0f} | {count(group, TOO_FEW)} "
            f"| {share(row['code'] == EVIDENCE for row in group)} | {alone} "
            f"| {share(all(row['passed'].values()) for row in group)} "
            f"| {share(row['forecasts'] in SKILL for row in group)} | {share(row['trading'] in SKILL for row in group)} "
            f"| {share(row['confidence'] for row in group)} | {sum(row['audit'] for row in group)} |"
        )


def print_patterns(rows):
    print(
        "| s | worlds | IC of the pattern | measured IC ± error | fee | threshold scale | trades (median) | too few "
        "| **evidence** | forecasts: skill | break-even fee (median) |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for strength in sorted({row["strength"] for row in rows}):
        for variant in VARIANTS:
            group = [row for row in rows if (row["strength"], row["variant"]) == (strength, variant)]
            planted = f"{np.mean([row['perfect'] for row in group]):.3f}" if strength else "–"
            ic = np.array([row["ic"] for row in group if row["ic"] is not None])
            error = ic.std(ddof=1) / np.sqrt(len(ic)) if len(ic) > 1 else float("nan")
            print(
                f"| {strength:g} | {len(group)} | {planted} | {ic.mean():+.3f} ± {error:.3f} "
                f"| {cells(variant)} | {median(group, 'trades'):.0f} "
                f"| {count(group, TOO_FEW)} | {count(group, EVIDENCE)} "
                f"| {sum(row['forecasts'] in SKILL for row in group)} | {median(group, 'break_even') * 100:.2f} % |"
            )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patterns", action="store_true", help="plant trends of several strengths")
    parser.add_argument("--strengths", type=float, nargs="+", default=STRENGTHS, help="of the patterns")
    parser.add_argument("--refits", action="store_true", help="train every 720 hours")
    parser.add_argument("--seeds", type=int, help="worlds, by default 100; with --patterns 10 per strength")
    parser.add_argument("--workers", type=int, default=-1, help="processes, by default one per core")
    arguments = parser.parse_args()
    strengths, print_table, seeds = (0.0,), print_false_positives, 100
    if arguments.patterns:
        strengths, print_table, seeds = arguments.strengths, print_patterns, 10
    settings = replace(SETTINGS, refit_every=720) if arguments.refits else SETTINGS
    print(
        f"Windows of {HOURS:,} h of simulated {BTC} up to {to_iso(END)}; network {SETTINGS.network}, seed "
        f"{SETTINGS.seed}, lookback {SETTINGS.lookback}, {SETTINGS.train_hours} h to train, "
        f"{'models every 720 h' if arguments.refits else 'one model per window'}; "
        f"{MIN_CONFIRMATIONS} confirmations, exit {ExecutionOptions().exit}, long and short.\n"
    )
    start = time.perf_counter()
    cases = [(strength, seed) for strength in strengths for seed in range(1, (arguments.seeds or seeds) + 1)]
    rows = run(cases, settings, arguments.workers)
    print_table(rows)
    world_seconds = np.median([row["seconds"] for row in rows if "seconds" in row])
    print(f"\n{time.perf_counter() - start:.0f} s in total; {world_seconds:.1f} s per world (median).")


if __name__ == "__main__":
    main()
