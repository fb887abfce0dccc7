"""Let the tool trade for days on a machine, a network and an exchange that are not well: ``make soak``.

One process that is killed again and again, one that lives through all days, then two at once on one ledger, trade
the tickers of ``tickers.txt`` through Alpaca's own SDK at two played servers.  A tenth of all requests meets a fault;
processes are killed, disks fill up, clocks are set wrong, machines sleep for hours while an order is on its way.  In
the end everything is well again for three hours, and the ledger is held against the exchange.  Exit code 1 if
anything is lost, doubled, disowned or booked wrongly.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from support.soak_accounts import reckon
from support.soak_trader import LIMITS
from support.soak_world import ALL, FOREVER, KILLED, SHARE, SoakWorld, growth

COURSES = {
    "killed": ("one process, killed again and again", (KILLED,)),
    "lasting": ("one process that lives through all days", (FOREVER,)),
    "two": ("two processes at once, one of them killed again and again", (FOREVER, KILLED)),
}
LONGEST_SILENCE = 20 * LIMITS.total
"""Real seconds for which a process may say nothing, on however busy a machine."""
LONGEST_SLEEP = 900.0
MOST_KEPT, MOST_GROWTH = 2.0, 0.5
"""MiB by which a process may grow after its first day: once, and for each day.

What is alive between two hours stays the same; but the allocator keeps what the worst hour so far has needed.
"""


def soak(folder, course, *, days, seed, tickers=ALL, share=SHARE):
    """Trade, print the figures, and return what is wrong."""
    title, lives = COURSES[course]
    print(f"\n{title}: {days} days, {len(tickers)} tickers, seed {seed}", flush=True)
    began = time.monotonic()
    with SoakWorld(folder, seed=seed, days=days, tickers=tickers, share=share) as world:
        world.trade(lives)
        found = reckon(world)
        lines = world.printed()
    wrong = found.faults + _bounds(world, lines)
    struck = world.dice.counts
    figures = {
        "requests": world.dice.requests,
        "faults": struck.total(),
        **{f"  {kind}": count for kind, count in sorted(struck.items())},
        **dict(sorted(world.events.items())),
        **dict(sorted(found.counts.items())),
        "lost": len(found.lost),
        "doubled": len(found.doubled),
        "disowned": len(found.disowned),
        "booked wrongly": len(found.misbooked),
        "tracebacks": sum(line.startswith("Traceback") for line in lines),
        "longest wait, real seconds": round(world.longest_silence, 1),
        "longest sleep, seconds": round(world.longest_sleep, 1),
        "printed lines a day": round(len(lines) / days),
    }
    if FOREVER in lives:
        days_ends = list(world.memory.values())[23::24]
        figures["memory at the end of each day, MiB"] = " ".join(f"{value:.0f}" for value in days_ends)
        since, later = growth(world.memory)
        figures[f"memory growth in the {later:.1f} days after the first, MiB"] = round(since, 1)
    figures["seconds"] = round(time.monotonic() - began)
    for name, value in figures.items():
        print(f"{value:>12}  {name}")
    for text in wrong:
        print(f"WRONG: {text}")
    return wrong


def _bounds(world, lines):
    wrong = []
    for position, line in enumerate(lines):
        if line.startswith("Traceback") or "internal error" in line.lower():
            printed = "\n".join(lines[max(0, position - 5) : position + 40])
            wrong.append(f"a process printed a traceback or an internal error:\n{printed}")
    if world.longest_silence > LONGEST_SILENCE:
        wrong.append(f"a process did nothing for {world.longest_silence:.0f} s")
    if world.longest_sleep > LONGEST_SLEEP:
        wrong.append(f"a process slept for {world.longest_sleep:.0f} s at once")
    since, later = growth(world.memory)
    if since > MOST_KEPT + MOST_GROWTH * later:
        wrong.append(f"memory grew by {since:.1f} MiB in the {later:.1f} days after the first")
    return wrong


def main():
    parser = argparse.ArgumentParser(description="Trade for days while everything fails at times.")
    parser.add_argument("--days", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--course", choices=COURSES, action="append", help="default: all")
    parser.add_argument("--tickers", type=int, default=len(ALL), help="how many of tickers.txt")
    parser.add_argument("--share", type=float, default=SHARE, help="of requests that meet a fault")
    parser.add_argument("--keep", type=Path, help="folder for ledgers and logs; a temporary one by default")
    asked = parser.parse_args()
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        for course in asked.course or COURSES:
            folder = (asked.keep or Path(name)) / course
            options = {"tickers": ALL[: asked.tickers], "share": asked.share}
            wrong += soak(folder, course, days=asked.days, seed=asked.seed, **options)
    print(f"\n{len(wrong)} faults" if wrong else "\nNothing is lost, doubled, disowned or booked wrongly.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
