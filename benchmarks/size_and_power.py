"""How often the tests of chance reject where there is nothing to find, and how often where there is.

    python benchmarks/size_and_power.py [--windows 1000] [--slopes 40000] [--models 2000] [--workers 2]

Random entry: each window is 2,160 hours of a GARCH(1,1) price without drift (Student t shocks, busier in the afternoon, UTC),
traded about 60 times for about 4 hours each.  Nobody has skill; what differs is when trades begin: at any hour, or only in
the tenth of all hours in which something that was known by then was largest.  Sides are tossed; or about 450 trades of
about 2 hours go against or along the move of the 4 hours before.  The draws are at other hours and on tossed sides; "both"
is the test.  With an edge, each side is right more often than a toss by that share.  The null is rejected at p <= 2 %.

Slope: the share of forecasts without skill whose slope is 1.96 of its errors above 0 (2.5 % are meant), by White's error
and by HC3, on few and on many rows.

Confidence: the share of models with any, trained on 240, 720 and 2,160 hours of simulated bars without drift, as every
model of the skip alone is trained.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import binomtest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crypto_refactor.backtest.significance.random_entry import random_entry
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.sources.simulator import simulate_bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.dataset import labelled_rows, training_set
from crypto_refactor.model.evidence import slope_through_origin
from crypto_refactor.model.settings import ModelSettings

HOURS, WARM_UP, FIRST = 2160, 500, 474_000
TRADES, HOLDING = 60, 4
MANY, SHORT = 450, 2
DRAWS, LEVEL = 199, 0.02
TRAIN_HOURS, LOOKBACK = (240, 720, 2160), 24
EDGES = (0.0, 0.05, 0.1, 0.15, 0.2)
KINDS = {"hours": "other hours", "sides": "tossed sides", "both": "both"}
FOLLOWED = {"450, against the last 4 h": -1, "450, along the last 4 h": 1}
"""Ways to choose sides by the path, traded often."""


def garch(rng):
    """Return the opens of a window, its last close, and the volatility expected for each hour."""
    alpha, beta, mean = 0.08, 0.9, 0.0055**2
    hours = FIRST - WARM_UP + np.arange(WARM_UP + HOURS)
    season = np.exp(0.25 * np.cos(2 * np.pi * (hours % 24 - 15) / 24))
    shocks = rng.standard_t(5, len(hours)) * np.sqrt(3 / 5)
    variance, expected = mean, np.empty(len(hours))
    for hour, shock in enumerate(shocks.tolist()):
        expected[hour] = np.sqrt(variance)
        variance = (1 - alpha - beta) * mean + variance * (alpha * shock**2 + beta)
    returns = expected * season * shocks
    path = np.exp(np.cumsum(returns) - returns.cumsum()[WARM_UP - 1])
    prices = 100 * np.append(1.0, path[WARM_UP:])
    return prices, expected[WARM_UP:], returns


def timings(expected, returns, hours):
    """Return what may time an entry at each open of the window, known by then."""
    past = pd.Series(np.abs(returns)).shift(1)
    squares = pd.Series(returns**2).shift(1)
    return {
        "at any hour": None,
        "volatility expected by the process": expected,
        "realised volatility, 24 h": squares.rolling(24).mean().to_numpy()[WARM_UP:],
        "realised volatility, 6 h": squares.rolling(6).mean().to_numpy()[WARM_UP:],
        "size of the last move": past.to_numpy()[WARM_UP:],
        "the afternoon (12 to 18 h)": ((hours % 24 >= 12) & (hours % 24 < 18)).astype(float),
    }


def placed(rng, score, trades=TRADES, holding=HOLDING):
    """Return entries and exits of trades that do not overlap, entered where `score` is among its largest tenth."""
    allowed = np.ones(HOURS, dtype=bool) if score is None else score >= np.quantile(score, 0.9)
    # Of all allowed hours just enough for the wanted number of trades.
    chosen = allowed & (rng.random(HOURS) < min(1.6 * trades / allowed.sum(), 1.0))
    entries, exits, free = [], [], 0
    for row in np.flatnonzero(chosen).tolist():
        if row >= free and len(entries) < trades:
            free = row + int(rng.geometric(1 / holding))
            if free <= HOURS:
                entries.append(row)
                exits.append(free)
    return np.array(entries), np.array(exits)


def window_of(prices):
    opened = FIRST - 1 + np.arange(HOURS + 1)
    open_, close = np.append(prices[0], prices[:-1]), prices
    return Bars(
        ticker=Ticker("BTC", "USD"),
        source="files",
        opened=opened,
        open=open_,
        high=np.maximum(open_, close),
        low=np.minimum(open_, close),
        close=close,
        volume=np.ones(HOURS + 1),
    )


def trades_of(entries, exits, sides, reason="neutral"):
    fixed = {"entry_price": 1.0, "exit_price": 1.0, "quantity": 1.0, "fees": 0.0, "exit_reason": reason}
    return [
        Trade(direction=int(side), entry_hour=FIRST + int(start), exit_hour=FIRST + int(stop), **fixed)
        for start, stop, side in zip(entries, exits, sides, strict=True)
    ]


def p_values(seed, edges, names=None):
    """Return p of each (timing, edge, strata) of one window."""
    rng = np.random.default_rng(seed)
    prices, expected, returns = garch(rng)
    window, rows = window_of(prices), {}
    for name, score in timings(expected, returns, FIRST + np.arange(HOURS)).items():
        if names is not None and name not in names:
            continue
        entries, exits = placed(rng, score)
        right = np.sign(prices[exits] - prices[entries])
        toss = rng.random(len(entries))
        for edge in edges:
            sides = np.where(toss < 0.5 + edge, right, -right)
            rows |= compared(name, edge, window, (entries, exits, sides))
        if score is None and names is None:
            entries, exits = placed(rng, score, MANY, SHORT)
            move = np.sign(prices[entries] - prices[np.maximum(entries - HOLDING, 0)])
            for policy, sign in FOLLOWED.items():
                rows |= compared(policy, 0.0, window, (entries, exits, sign * move))
    return rows


def compared(name, edge, window, placement):
    """Return p of each kind of draws for trades of the given entries, exits and sides."""
    entries, exits, sides = placement
    trades = trades_of(entries, exits, np.where(sides == 0, 1, sides))
    given = {"initial_balance": 1000.0, "draws": DRAWS}
    found = random_entry(trades, window, ExecutionRules(), **given)
    p = {"hours": found.p_hours, "sides": found.p_sides, "both": found.p}
    return {(name, edge, kind): p[kind] for kind in KINDS}


def rejected(rows, *key):
    """Return the share of windows rejected."""
    return share(sum(row[key] <= LEVEL for row in rows), len(rows))


def share(hits, count):
    """Return a share in per cent with its exact 95 % interval (Clopper and Pearson 1934)."""
    interval = binomtest(hits, count).proportion_ci(0.95, method="exact")
    return f"{hits / count * 100:.1f} ({interval.low * 100:.1f} to {interval.high * 100:.1f})"


def print_random_entry(windows, run):
    rows = run(delayed(p_values)(seed, (0.0,)) for seed in range(windows))
    print(f"| trades | rejected at 2 %, {windows} windows: {' | '.join(KINDS.values())} |")
    print("|---" * 4 + "|")
    for name in dict.fromkeys(name for name, _, _ in rows[0]):
        print(f"| {name} | " + " | ".join(rejected(rows, name, 0.0, kind) for kind in KINDS) + " |")
    names = ("at any hour", "realised volatility, 24 h")
    rows = run(delayed(p_values)(seed, EDGES, names) for seed in range(windows, windows + windows // 4))
    heads = [f"{name}: {kind}" for name in names for kind in KINDS.values()]
    print(f"\n| right more often by | {' | '.join(heads)} |")
    print("|---" * 7 + "|")
    for edge in EDGES:
        cells = [rejected(rows, name, edge, kind) for name in names for kind in KINDS]
        print(f"| {edge:.0%} | {' | '.join(cells)} |")


def whites_error(x, y):
    """Return slope and error as they were before HC3."""
    energy = float(x @ x)
    slope = float(x @ y) / energy
    moved = x * (y - slope * x)
    return slope, float(np.sqrt(moved @ moved)) / energy


def print_slopes(count):
    rng = np.random.default_rng(0)
    print("\n| rows | forecasts and outcomes | White | HC3 |\n|---|---|---|---|")
    for rows in (36, 109, 324):
        for name in ("normal", "Student t, 5", "Student t, 5; outcomes vary with forecasts"):
            hits = np.zeros(2)
            for _ in range(count):
                draw = rng.standard_normal if name == "normal" else lambda n: rng.standard_t(5, n)
                x, y = draw(rows), draw(rows)
                y = y * (0.5 + np.abs(x)) if "vary" in name else y
                found = (whites_error(x, y), slope_through_origin(x, y))
                hits += [slope > 1.96 * error for slope, error in found]
            white, hc3 = hits / count * 100
            print(f"| {rows} | {name} | {white:.1f} % | {hc3:.1f} % |")


def confidence(seed):
    """Return, for each number of training hours, whether a model without anything to know has confidence."""
    from crypto_refactor.model.training import trainer

    bars = simulate_bars(Ticker("BTC", "USD"), count=max(TRAIN_HOURS) + WARMUP + 2 * LOOKBACK, seed=seed)
    frame = compute_features(bars)
    found = {}
    for hours in TRAIN_HOURS:
        settings = ModelSettings(network="linear", lookback=LOOKBACK, train_hours=hours)
        data = training_set(frame, labelled_rows(frame, LOOKBACK)[-hours:], LOOKBACK)
        choice = trainer._choose(data, settings, lambda _epoch, _loss: None)  # noqa: SLF001
        evidence, _ = trainer._measure(data, choice, None)  # noqa: SLF001  # what is served is the skip
        found[hours] = (evidence.shrink > 0, evidence.mean_shrink > 0, not choice.forecasts)
    return found


def print_confidence(count, run):
    rows = run(delayed(confidence)(seed) for seed in range(count))
    print(
        "\n| hours of training | models | any confidence | any expected move | no forecast |\n|---|---|---|---|---|"
    )
    for hours in TRAIN_HOURS:
        shares = [share(sum(row[hours][which] for row in rows), count) for which in range(3)]
        print(f"| {hours:,} | {count:,} | " + " | ".join(shares) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--slopes", type=int, default=40_000)
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=-1, help="processes, by default one per core")
    options = parser.parse_args()
    start = time.perf_counter()
    run = Parallel(n_jobs=options.workers)
    if options.windows:
        print_random_entry(options.windows, run)
    if options.slopes:
        print_slopes(options.slopes)
    if options.models:
        print_confidence(options.models, run)
    print(f"\n{time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
