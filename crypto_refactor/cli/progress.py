"""Progress on stderr: lines that move in a terminal, and a line for each finished step where there is none."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import click

from crypto_refactor.model.training.parallel import Progress, TrainingObserver
from crypto_refactor.model.training.phases import Phase

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

_BAR_COLUMNS = 16
_NARROW = 76
"""Below this width a line has no bar."""
_QUIET_SECONDS = 3.0
"""Fits without a network take a fraction of a second: where lines stay, they have one in so many seconds, and the last."""


def duration_text(seconds: float) -> str:
    """Return a time that has passed: ``0:41``, ``12:05``, ``1:02:00``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def rough_text(seconds: float) -> str:
    """Return a time that is estimated, rounded up: ``40 s``, ``9 min``, ``2 h 10 min``."""
    if seconds <= 55:
        return f"{5 * max(1, math.ceil(seconds / 5))} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(10 * math.ceil(minutes / 10), 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def _models(count: int) -> str:
    return f"{count} model{'s' if count > 1 else ''}"


@dataclass(slots=True, kw_only=True)
class _Fit:
    """One fit; instants are seconds of the clock."""

    name: str
    phase: Phase | None = None  # None while it waits
    started: float = 0.0
    epoch: int = 0
    first_ended: float = 0.0
    epoch_ended: float = 0.0
    took: float | None = None  # seconds, once it has ended
    failed: bool = False

    @property
    def running(self) -> bool:
        return self.phase is not None and self.took is None

    @property
    def epoch_seconds(self) -> float:
        """The mean of its epochs from the second one on: the first one includes what the network takes to compile."""
        return (self.epoch_ended - self.first_ended) / (self.epoch - 1)

    def advance(self, progress: Progress, now: float) -> None:
        """Take over a step that has just been reported."""
        if self.phase is None:
            self.started = now
        self.phase = progress.phase
        if progress.epoch:
            self.epoch, self.epoch_ended = progress.epoch, now
        if progress.epoch == 1:
            self.first_ended = now

    def text(self, max_epochs: int) -> str:
        """Return what it is doing."""
        if self.phase is Phase.LOADING:
            return "loading TensorFlow"
        if self.phase is Phase.CHECKING:
            return "checking the model"
        return f"epoch {min(self.epoch + 1, max_epochs)} of at most {max_epochs}" if max_epochs else "fitting"


class TrainingProgress:
    """Some fits that began together: what has ended, what runs, and how long the rest may take."""

    def __init__(self, names: Sequence[str], max_epochs: int, began: float) -> None:
        self.fits = [_Fit(name=name) for name in names]  # never resized: another thread advances them
        self.max_epochs = max_epochs
        self.began = began
        self.last_end = began

    @property
    def running(self) -> list[_Fit]:
        """The fits that have begun and not ended."""
        return [fit for fit in self.fits if fit.running]

    @property
    def trained(self) -> int:
        """How many models are trained and kept."""
        return sum(fit.took is not None and not fit.failed for fit in self.fits)

    @property
    def failed(self) -> int:
        """How many fits have failed."""
        return sum(fit.failed for fit in self.fits)

    def finish(self, job: int, now: float, *, failed: bool) -> None:
        """Take over the end of a fit; a short one, or one on another machine, may have told nothing before."""
        fit = self.fits[job]
        fit.took = now - (self.last_end if fit.phase is None else fit.started)
        fit.failed, self.last_end = failed, now

    def seconds_left(self, now: float) -> float | None:
        """Return how long all fits may still take; None before anything can be known.

        A fit is taken to need the epochs that the ended ones needed on average, as early stopping had it, and all
        of them before any has ended.
        """
        ended = [fit for fit in self.fits if fit.took is not None and not fit.failed]
        running = self.running
        waiting = sum(fit.phase is None and fit.took is None for fit in self.fits)
        paced = [fit for fit in self.fits if fit.epoch > 1]
        if not running:
            return (now - self.began) / len(ended) * waiting if ended and waiting else None
        if paced:
            pace = fmean(fit.epoch_seconds for fit in paced)
            epochs = fmean(fit.epoch for fit in ended) if any(fit.epoch for fit in ended) else self.max_epochs
            start_up = fmean(fit.first_ended - fit.started for fit in paced)
            whole = start_up + (epochs - 1) * pace
            left = [max(whole - (now - fit.started), 0.0) for fit in running if not fit.epoch]
            left += [
                max((epochs - fit.epoch) * pace - (now - fit.epoch_ended), 0.0)
                for fit in running
                if fit.epoch
            ]
        elif ended:
            whole = fmean(fit.took or 0.0 for fit in ended)
            left = [max(whole - (now - fit.started), 0.0) for fit in running]
        else:
            return None
        return max(*left, (sum(left) + waiting * whole) / len(running))

    def left_text(self, now: float) -> str:
        """Return the estimate after a comma; nothing where there is none."""
        left = self.seconds_left(now)
        if left is None:
            return ""
        about = "about" if self.trained or not self.max_epochs else "at most about"
        return f", {about} {rough_text(left)} left"

    def total_text(self, now: float) -> str:
        """Return the line about all fits."""
        running, passed = len(self.running), duration_text(now - self.began)
        if not running and not self.trained and not self.failed:
            return f"{_models(len(self.fits))} to train: starting, {passed} so far"
        if len(self.fits) == 1:
            return f"Training 1 model{self.left_text(now)}, {passed} so far"
        failed = f", {self.failed} failed" if self.failed else ""
        return (
            f"{self.trained} of {len(self.fits)} trained{failed}, {running} running{self.left_text(now)}, "
            f"{passed} so far"
        )

    def finished_text(self, job: int, now: float) -> str:
        """Return the line about a fit that has ended."""
        fit = self.fits[job]
        verb = "failed after" if fit.failed else "trained in"
        epochs = f", {fit.epoch} epoch{'s' if fit.epoch > 1 else ''}" if fit.epoch and not fit.failed else ""
        text = f"{fit.name}: {verb} {duration_text(fit.took or 0.0)}{epochs}"
        ended = self.trained + self.failed
        return text if len(self.fits) == 1 else f"{text} ({ended} of {len(self.fits)}{self.left_text(now)})"

    def end_text(self, now: float) -> str | None:
        """Return the line that stays when no fit runs any more; None where nothing was trained."""
        if not self.trained:
            return None
        if self.trained < len(self.fits):
            return f"{self.trained} of {len(self.fits)} models are trained and kept: the same command trains the rest."
        what = self.fits[0].name if len(self.fits) == 1 else _models(len(self.fits))
        return f"Trained {what} in {duration_text(now - self.began)}."


class TrainingBars(TrainingObserver):
    """One line for each fit that runs and one for all of them; `clock` gives seconds."""

    def __init__(
        self, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console
        self._clock = clock
        self._training: TrainingProgress | None = None
        self._said = 0.0
        self._live: Live | None = None
        self._moving = threading.Lock()

    def begin(self, fits: Sequence[str], max_epochs: int) -> None:
        """Show the total; where nothing can move, say how many models are trained."""
        console = self._console = self._console or _stderr()
        self._said = self._clock()
        training = self._training = TrainingProgress(fits, max_epochs, self._said)
        if not console.is_terminal:
            self.note(f"Training {_models(len(fits))} …")
            return
        self._live = _moving_lines(training, console, self._clock)

    def progress(self, progress: Progress) -> None:
        """Move one line."""
        if self._training is not None:
            self._training.fits[progress.job].advance(progress, self._clock())

    def finished(self, job: int, *, failed: bool = False) -> None:
        """Drop one line; where nothing can move, say which model it was."""
        assert self._training is not None
        now = self._clock()
        self._training.finish(job, now, failed=failed)
        last = len(self._training.fits) > 1 and all(fit.took is not None for fit in self._training.fits)
        due = self._training.max_epochs or last or now - self._said >= _QUIET_SECONDS
        if self._live is None and due:
            self._said = now
            self.note(self._training.finished_text(job, now))

    def end(self) -> None:
        """Leave one line, with the time that it took."""
        with self._moving:
            live, self._live = self._live, None
            if live is not None:
                live.stop()
        training, self._training = self._training, None
        if training is None:
            return
        text = training.end_text(self._clock())
        if text is not None and (live is not None or training.trained < len(training.fits)):
            self.note(text)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Take the moving lines away while something else is printed, maybe by another thread."""
        with self._moving:
            if self._live is None:
                yield
                return
            self._live.stop()
            try:
                yield
            finally:  # begun anew: one that goes on would erase what was printed
                assert self._training is not None
                assert self._console is not None
                self._live = _moving_lines(self._training, self._console, self._clock)

    def note(self, text: str) -> None:
        """Print a sentence."""
        click.echo(text, err=True)


def _moving_lines(training: TrainingProgress, console: Console, clock: Callable[[], float]) -> Live:
    """Return lines that are shown from now on, until they are stopped."""
    from rich.live import Live

    live = Live(
        console=console,
        transient=True,
        refresh_per_second=4,
        get_renderable=lambda: training_lines(training, clock(), console.width, console.height),
    )
    live.start()
    return live


def training_lines(training: TrainingProgress, now: float, width: int, height: int) -> RenderableType:
    """Return a line for each running fit, as many as a terminal of this size shows, and the total below them."""
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    running, lines = training.running, max(height - 3, 1)
    shown = running if len(running) <= lines else running[: lines - 1]
    bars = training.max_epochs > 0 and width >= _NARROW
    rows = Table.grid(padding=(0, 1, 0, 0))
    for _ in range(3 if bars else 2):
        rows.add_column(no_wrap=True)
    for fit in shown:
        bar = (
            [ProgressBar(total=training.max_epochs, completed=fit.epoch, width=_BAR_COLUMNS)] if bars else []
        )
        rows.add_row(fit.name, *bar, fit.text(training.max_epochs))
    if len(shown) < len(running):
        rows.add_row(f"and {len(running) - len(shown)} more")
    total = Text(training.total_text(now), no_wrap=True, overflow="ellipsis")
    whole = Table.grid()
    if running:
        whole.add_row(rows)
    whole.add_row(total)
    return whole


def _stderr() -> Console:
    from rich.console import Console

    return Console(stderr=True)
