"""Progress bars of training: on stderr, and silent when that is not a terminal."""

from typing import Any

import click

from crypto_refactor.model.training.parallel import Progress, TrainingObserver


class TrainingBars(TrainingObserver):
    """One progress bar per fit, with the longest time it can still take."""

    def __init__(self) -> None:
        self._display: Any = None
        self._tasks: list[Any] = []
        self._max_epochs = 0

    def begin(self, jobs: int, max_epochs: int) -> None:
        """Show an empty bar for each fit."""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        if not console.is_terminal:
            self.note(f"Training {jobs} model{'s' if jobs > 1 else ''} …")
        self._max_epochs = max_epochs
        self._display = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("epochs at most"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[loss]}"),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks = [
            self._display.add_task(f"Training model {job + 1} of {jobs}", total=max_epochs, loss="")
            for job in range(jobs)
        ]
        self._display.start()

    def progress(self, progress: Progress) -> None:
        """Move one bar."""
        if progress.epoch:
            self._display.update(
                self._tasks[progress.job],
                completed=progress.epoch,
                loss=f"stop loss {progress.stop_loss:.4f}",
            )

    def finished(self, job: int) -> None:
        """Fill one bar: early stopping ends before the last epoch."""
        self._display.update(self._tasks[job], completed=self._max_epochs)

    def end(self) -> None:
        """Leave the bars as they are."""
        self._display.stop()

    def note(self, text: str) -> None:
        """Print a sentence."""
        click.echo(text, err=True)
