"""Kill processes that trade at a stand-in for Alpaca, many times over: ``make soak``.

Each run trades the same 72 hours and is killed at points drawn from its seed; then two processes trade them at
once, one of which dies.  What is left at the exchange and in the ledger is held against a run that was left
alone.  Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from support.crash_runs import beyond, differences, killed_run, lost, run_at_once, undisturbed_run
from support.crash_test_trader import POINTS
from support.crash_test_world import HOURS

A_RUN = 20
"""Kills of one run."""


class Soak:
    """Runs, held against one that was left alone; prints a line about each."""

    def __init__(self, folder):
        self._folder = folder
        self.runs, self.different, self.lost, self.beyond = [], 0, 0, 0
        self.reference = self._run("left alone", undisturbed_run)

    def kill(self, seed, kills):
        """Trade with one process at a time, killed so often."""
        run = self._run(f"seed {seed}", killed_run, seed, kills, self.reference)
        if run.kills.total() != kills:
            self.different += 1
            print(f"  {kills} kills were meant", flush=True)

    def kill_one_of_two(self, death):
        """Trade with two processes at once, one of which may meet its death."""
        self._run(f"two, one {death}", run_at_once, [death, None])

    def _run(self, name, trade, *details):
        began = time.monotonic()
        run = trade(self._folder / name.replace(":", " "), *details)
        reference = self.reference if self.runs else run
        found = differences(run, reference)
        print(
            f"{name:<22} {run.kills.total():>3} kills  {len(run.orders)} orders  {len(found)} differences"
            f"  {time.monotonic() - began:5.1f} s",
            *found,
            sep="\n  ",
            flush=True,
        )
        self.runs.append(run)
        self.different += len(found)
        self.lost += len(lost(run, reference))
        self.beyond += len(beyond(run, reference))
        return run

    def summary(self):
        """Print the figures of all runs."""
        kills = sum((run.kills for run in self.runs), Counter())
        print(f"\n{kills.total()} kills in {len(self.runs) - 1} runs of {HOURS} hours, by where they struck:")
        for point, times in sorted(kills.items(), key=lambda item: -item[1]):
            print(f"  {times:>3}  {point:<10}  {POINTS.get(point, 'from outside, after a random delay')}")
        print(f"{sum(len(run.orders) for run in self.runs)} orders at the exchange")
        print(f"{self.lost} orders lost")
        print(f"{self.beyond} orders doubled, or never meant")
        print(f"{sum(run.sent_again for run in self.runs)} orders sent once more and refused as known")
        print(f"{self.different} differences from the run that was left alone")


def main():
    parser = argparse.ArgumentParser(description="Kill trading processes and look at what they leave behind.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; each further one has the next")
    asked = parser.parse_args()
    began = time.monotonic()
    rng = random.Random(asked.seed)
    with tempfile.TemporaryDirectory() as name:
        soak = Soak(Path(name))
        for run, done in enumerate(range(0, asked.kills, A_RUN)):
            soak.kill(asked.seed + run, min(A_RUN, asked.kills - done))
        for point in POINTS:
            soak.kill_one_of_two(f"{point}:{rng.randint(1, 5)}")
    soak.summary()
    print(f"{time.monotonic() - began:.0f} seconds")
    return 1 if soak.different else 0


if __name__ == "__main__":
    sys.exit(main())
