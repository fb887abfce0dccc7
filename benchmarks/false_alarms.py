"""How often the verdict sees an edge where there is none, and how often where there is one.

    python benchmarks/false_alarms.py [--seeds 100] [--workers 2] [--patterns]

Each seed is a world of its own: simulated BTC/USD bars whose expected return is 0 in every hour.  A small
network is trained on the hours before a window of 2,160 hours, decides every hour of it, and the run is
judged whole: audit, significance, skill, verdict.  Whatever comes out as ``evidence`` is a false alarm.

With ``--patterns`` the last return shows in the next one: r[t] = s r[t - 1] + noise, so that the expected
return of an hour has a standard deviation of s hourly volatilities and a perfect forecaster an IC of about s.
`log_return` is one of the model's inputs, so the pattern can be learnt, as far as the hours allow.

Settings are chosen so that most windows trade often enough to be judged and a seed costs seconds: fewer
confirmations than the default, and one model for a whole window.  Each world is traded with the same signals
at each of ``--fees``; without a fee a false alarm is likeliest, because luck has to earn nothing first.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from scipy.signal import lfilter
from scipy.stats import binomtest, spearmanr

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.verdict import EVIDENCE, FALSE_ALARMS, IC_ERRORS, MIN_TRADES, TOO_FEW
from crypto_refactor.execution.rules import RuleOptions
from crypto_refactor.market.bars import MAX_CARRIED_HOURS
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.simulation import LAST_CLOSE, simulate
from crypto_refactor.market.source import LatestPrice
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.selection import hours_needed
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules

BTC = Ticker("BTC", "USD")
HOURS = 2160
REFIT_EVERY = HOURS + 1  # the window's decisions, its first and last close included: one model makes them all
END = LAST_CLOSE // REFIT_EVERY * REFIT_EVERY
STRENGTHS = (0.0, 0.02, 0.05, 0.1, 0.2)
TESTS = ("sharpe", "entries", "ic")


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


def world(seed, strength, settings):
    """Return bars whose last return, times `strength`, is what to expect of the next, and this expectation."""
    count = hours_needed(HOURS, settings) + MAX_CARRIED_HOURS
    drift = np.zeros(count)
    noise = simulate(BTC, count=count, seed=seed, last_close=END)
    returns = lfilter([1.0], [1.0, -strength], np.diff(np.log(noise.close)))
    drift[2:] = strength * returns[:-1]
    return simulate(BTC, count=count, seed=seed, last_close=END, drift=drift), drift


def judged(seed, strength, chosen):
    """Return what the backtests of one world came to, one row for each fee."""
    began = time.perf_counter()
    settings = ModelSettings(
        network="small", lookback=chosen.lookback, train_hours=chosen.train_hours, refit_every=REFIT_EVERY
    )
    bars, drift = world(seed, strength, settings)
    perfect = spearmanr(drift[-HOURS:], np.diff(np.log(bars.close))[-HOURS:]).statistic if strength else 0.0
    rules = SignalRules(min_confirmations=chosen.min_confirmations, threshold_scale=chosen.threshold_scale)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for fee in chosen.fees:
            tester = Backtester(
                BTC,
                source=Held(bars),
                settings=settings,
                signal_rules=rules,
                options=RuleOptions(fee=fee),
                model_dir=Path(folder),
            )
            rows.append(figures(tester.run(HOURS, end=END)))
            rows[-1] |= {"seed": seed, "strength": strength, "fee": fee, "perfect": perfect}
    rows[0]["seconds"] = time.perf_counter() - began
    return rows


def figures(result):
    found, ic = result.significance, result.significance.skill.model.spearman
    chance, entry = found.probabilistic_sharpe, found.random_entry
    return {
        "code": result.verdict.code,
        "text": result.verdict.text,
        "audit": result.audit.passed,
        "trades": result.metrics.trades,
        "ic": ic.value,
        "ic_se": ic.se,
        "psr": chance,
        "p": None if entry is None else entry.p,
        "sharpe": chance is not None and chance >= 1 - FALSE_ALARMS,
        "entries": entry is not None and entry.p <= FALSE_ALARMS,
        "passes_ic": None not in {ic.value, ic.se} and ic.value - IC_ERRORS * ic.se > 0,
        "break_even": found.break_even.fee,
    }
