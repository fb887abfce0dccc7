"""How often the alarm of the record is false, and how soon it finds a model that has lost its skill.

Models are simulated that state what their directions are worth, hour by hour, and are right as often as they state:
confidence is 0.50 plus an exponential variable, at most 0.70.  The tickers of an hour share a market: their directions come
from correlated normals.  Half-way the skill is lost: directions become a coin toss, confidence stays as it was.

    python benchmarks/record_alarm.py [--models 200]
"""

from __future__ import annotations

import argparse
from statistics import NormalDist

import numpy as np

from crypto_refactor.trading.record.martingales import (
    ALARM,
    EVIDENCE,
    by_hour,
    coin_toss_bets,
    detect_change,
    overstatement_bets,
    product,
)

HOURS_A_YEAR = 8760
YEARS = 2  # with skill, then as many without
LEVELS = (650.0, 8760.0, 17_520.0, ALARM, 87_600.0)
MARKET = 0.6  # correlation of the tickers of one hour


def simulated(rng, hours, tickers, edge, skill=None):
    """Return (confidence, right), both of shape (hours, tickers); skill is lost at hour `skill`, if any."""
    confidence = np.minimum(0.5 + rng.exponential(edge, (hours, tickers)), 0.7)
    common, own = rng.standard_normal((hours, 1)), rng.standard_normal((hours, tickers))
    move = np.sqrt(MARKET) * common + np.sqrt(1 - MARKET) * own
    truth = confidence.copy()
    truth[skill:] = 0.5 if skill is not None else truth[skill:]
    levels = np.array([NormalDist().inv_cdf(share) for share in np.linspace(0.5, 0.7, 2001)])
    return confidence, move < np.interp(truth, np.linspace(0.5, 0.7, 2001), levels)


def hourly(bets, hours):
    """Return the mean bet of each hour from bets of shape (hours, tickers)."""
    return by_hour(bets.ravel(), np.repeat(np.arange(hours), bets.shape[1])).bets


def study(models, tickers, edge, seed):
    """Return the figures of one kind of model."""
    rng = np.random.default_rng(seed)
    false, within_year, delays, lost, evidence = 0, 0, [], 0, []
    toss = 0
    hours = YEARS * HOURS_A_YEAR
    for _ in range(models):
        confidence, right = simulated(rng, hours, tickers, edge)
        _, alarms = detect_change(hourly(overstatement_bets(confidence, right), hours))
        false += len(alarms)
        within_year += any(alarm < HOURS_A_YEAR for alarm in alarms)
        path = product(hourly(coin_toss_bets(confidence, right), hours))
        reached = np.flatnonzero(path >= EVIDENCE)
        evidence.append(reached[0] if len(reached) else np.inf)
        confidence, right = simulated(rng, 2 * hours, tickers, edge, skill=hours)
        _, alarms = detect_change(hourly(overstatement_bets(confidence, right), 2 * hours))
        later = [alarm - hours for alarm in alarms if alarm >= hours]
        delays.append(later[0] if later else np.inf)
        lost += not later
        confidence, right = simulated(rng, hours, tickers, edge, skill=0)
        toss += product(hourly(coin_toss_bets(confidence, right), hours)).max() >= EVIDENCE
    return {
        "false alarms a year": false / models / YEARS,
        "false within a year": within_year / models,
        "found after (10, 50, 90 %)": np.quantile(delays, [0.1, 0.5, 0.9], method="lower"),
        "not found": lost,
        "evidence after (50 %)": np.quantile(evidence, 0.5, method="lower"),
        "false evidence": toss / models,
    }


def levels(models, seed=7, edge=0.025):
    """Print how often the alarm is false, and how soon it finds a loss, at other thresholds: one ticker."""
    rng, hours = np.random.default_rng(seed), YEARS * HOURS_A_YEAR
    false, delays = dict.fromkeys(LEVELS, 0), {level: [] for level in LEVELS}
    for _ in range(models):
        confidence, right = simulated(rng, 2 * hours, 1, edge, skill=hours)
        bets = hourly(overstatement_bets(confidence, right), 2 * hours)
        for level in LEVELS:
            _, alarms = detect_change(bets, level)
            false[level] += sum(alarm < hours for alarm in alarms)
            delays[level].append(next((alarm - hours for alarm in alarms if alarm >= hours), np.inf))
    for level in LEVELS:
        median = np.quantile(delays[level], 0.5, method="lower")
        print(
            f"threshold {level:,.0f}: {false[level] / models / YEARS:.2f} false alarms a year, loss found after {median:,.0f} hours"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=200)
    models = parser.parse_args().models
    print(
        f"{models} models of each kind, {YEARS} years each; alarm at {ALARM:,.0f}, evidence at {EVIDENCE:.0f}."
    )
    print(
        f"Stated: at most {HOURS_A_YEAR / ALARM:.2f} false alarms a year, {1 / EVIDENCE:.2f} with false evidence."
    )
    for tickers in (1, 13):
        for edge in (0.008, 0.015, 0.025, 0.05):
            found = study(models, tickers, edge, seed=int(tickers * 1000 + edge * 1000))
            low, middle, high = found["found after (10, 50, 90 %)"]
            print(
                f"{tickers:2d} tickers, mean confidence {0.5 + edge:.3f}: "
                f"{found['false alarms a year']:.3f} false alarms a year (within the first in {found['false within a year']:.3f}); "
                f"loss found after {low:,.0f} / {middle:,.0f} / {high:,.0f} hours, {found['not found']} not found; "
                f"evidence after {found['evidence after (50 %)']:,.0f} hours, false in {found['false evidence']:.3f}"
            )
    levels(models)


if __name__ == "__main__":
    main()
