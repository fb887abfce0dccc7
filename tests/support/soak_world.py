"""A world that is not well: `TradingWorld` with faults, kills, sick disks, wrong clocks and sleeping machines.

    with SoakWorld(folder, seed=1, days=10, tickers=ALL) as world:
        world.trade(lives=(FOREVER, KILLED))    # two processes at once, one of which dies again and again
        faults(world)                           # what does not fit together at the end

What happens when is drawn from the seed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from collections import Counter
from datetime import timedelta
from pathlib import Path

from support.alpaca_orders import filled, growing, late, partly, race, rejected, stuck, unfilled
from support.crash_test_world import FIRST, TradingWorld
from support.random_faults import FaultDice

from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.ticker import Ticker

ALL = tuple(Ticker.parse(line) for line in (Path(__file__).parents[2] / "tickers.txt").read_text().split())
FOREVER, KILLED = "forever", "killed"
SHARE = 0.1
SUSPENDED = 0.0004
_AFTERWARDS = 60
"""Hours for which there are bars after the last one that is traded, in case the machine sleeps there."""
_QUIET_HOURS = 3
_FATES = (
    *(filled, filled, filled, late(), partly(0.6), growing(0.5), race(), race(0.3), late(0.7)),
    *(unfilled, rejected, stuck),
)
_KILLS, _DISKS, _CLOCKS = 0.12, 0.06, 0.03
"""How likely it is, in each hour, that a process is killed, a disk fails, the clock is set wrong."""
_WRONG_BY = (-7200, -400, -30, 30, 400, 7200)
_LONGEST_KILL = 1.0


class SoakWorld(TradingWorld):
    """See the module's text.

    Attributes
    ----------
    dice : FaultDice
        What meets requests.
    events : Counter
        Kills, sick disks, wrong clocks, processes.
    longest_silence : float
        Real seconds for which a process neither asked for the time nor slept, at most.
    longest_sleep : float
        Seconds that a process asked to sleep at once, at most.
    memory : dict of int to float
        MiB of the first process, by hour.
    """

    program = Path(__file__).with_name("soak_trader.py")
    endings = frozenset({0, -9, -15, 143})

    def __init__(self, folder, *, seed, days, tickers=ALL, share=SHARE):
        self.hours = round(24 * days)
        super().__init__(folder, tickers=tickers, hours=self.hours + _AFTERWARDS)
        self.tickers, self.patience = tickers, 600 + 60 * self.hours
        self.dice = FaultDice(seed, share, self.suspend, SUSPENDED if share else 0.0)
        self.data.chance, self.exchange.chance = self.dice.for_data, self.dice.for_trading
        self._rng = random.Random(seed + 1)
        self.exchange.fates = [self._rng.choice(_FATES) for _ in range(self.hours * len(tickers) * 4)]
        self.events, self.memory = Counter(), {}
        self.longest_silence = self.longest_sleep = 0.0
        self._offset, self._offset_until = timedelta(), 0
        self._disk, self._disk_until = folder / "disk", 0
        self._mortal, self._eldest, self._over, self._quiet = {}, None, False, False

    def arguments(self, kill):
        return [*super().arguments(None), *map(str, self.tickers)]

    def shown(self, now):
        return (now + self._offset).isoformat()

    def sleep(self, trader, seconds):
        self.longest_sleep = max(self.longest_sleep, seconds)
        return super().sleep(trader, seconds)

    def suspend(self, seconds):
        """Let time pass while processes are at work."""
        with self._changed:
            self._show(self.now + timedelta(seconds=seconds))
            for trader, until in list(self._asleep.items()):
                if until <= self.now:
                    del self._asleep[trader]
                    self._awake.add(trader)
            self._changed.notify_all()

    def _show(self, instant):
        before = floor_hour(self.now) if hasattr(self, "now") else None
        super()._show(instant)
        if self.hour != before and before is not None:
            self._weather()

    def _weather(self):
        if self._eldest is not None and self._eldest.started:
            with contextlib.suppress(OSError, IndexError):  # it may just have ended
                self.memory[self.hour] = _resident(self._eldest.pid)
        if self._quiet:
            return
        if self.hour >= self._disk_until:
            self._disk.write_text("")
            if self._rng.random() < _DISKS:
                kind = self._rng.choice(("full", "readonly"))
                self._disk.write_text(kind)
                self._disk_until = self.hour + self._rng.randint(1, 3)
                self.events[f"disk {kind}"] += 1
        if self.hour >= self._offset_until:
            self._offset = timedelta()
            if self._rng.random() < _CLOCKS:
                self._offset = timedelta(seconds=self._rng.choice(_WRONG_BY))
                self._offset_until = self.hour + self._rng.randint(1, 2)
                self.events["clock set wrong"] += 1
        if self._rng.random() < _KILLS:
            number = self._rng.choice((signal.SIGKILL, signal.SIGTERM))
            threading.Timer(self._rng.uniform(0, _LONGEST_KILL), self._kill, [number]).start()

    def _kill(self, number):
        alive = [trader for trader in self._mortal.values() if trader.started]
        if alive and not self._over:
            self.events[signal.Signals(number).name] += 1
            alive[0].kill(number)

    def trade(self, lives):
        """Trade all hours with a process for each of `lives`, then let a last one settle what is left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.hold(FIRST + self.hours - 1)
        threads = [threading.Thread(target=self._live, args=(slot, life)) for slot, life in enumerate(lives)]
        for thread in threads:
            thread.start()
        self._rest()
        self._stop(threads)
        self.settle()

    def settle(self):
        """Let everything be well again, and one process trade for three more hours."""
        self._quiet, self.dice.share = True, 0
        self._offset = timedelta()
        self._disk.write_text("")
        self.hold(self.hour + _QUIET_HOURS)
        self._over = False
        thread = threading.Thread(target=self._live, args=(0, "last"))
        thread.start()
        self._rest()
        self._stop([thread])

    def _rest(self):
        """Wait until every process sleeps until after the last hour."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: (
                    self._asleep
                    and not self._awake
                    and all(floor_hour(until) > self._held_at for until in self._asleep.values())
                ),
                timeout=self.patience,
            ), "the processes did not come to the last hour"

    def _stop(self, threads):
        self._over = True
        for _ in range(60):
            for trader in self._traders:
                if trader.started:
                    trader.kill(signal.SIGTERM)
            for thread in threads:
                thread.join(timeout=2)
            if not any(thread.is_alive() for thread in threads):
                return
        raise AssertionError("a process did not stop")

    def _live(self, slot, life):
        """Start one process after the other, until the world is over."""
        while not self._over:
            trader = self.trader()
            trader.start()
            self.events["processes"] += 1
            if life == KILLED:
                self._mortal[slot] = trader
            if life == FOREVER:
                self._eldest = trader
            trader.wait()
            if life != KILLED and not self._over:
                raise AssertionError(f"a process that nobody killed has ended:\n{trader.said[-3000:]}")

    def printed(self):
        """Return everything that the processes printed."""
        return [line for trader in self._traders for line in trader.said.splitlines()]

    def note_silence(self, seconds):
        self.longest_silence = max(self.longest_silence, seconds)


def _resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def growth(memory):
    """Return by how many MiB memory has grown since the end of the first day, and in how many days."""
    hours = sorted(memory)
    start = next((hour for hour in hours if hour >= hours[0] + 24), None)
    if start is None:
        return 0.0, 0.0
    return memory[hours[-1]] - memory[start], (hours[-1] - start) / 24
