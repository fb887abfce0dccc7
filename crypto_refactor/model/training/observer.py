"""Whoever follows training."""

from __future__ import annotations

from typing import Protocol

from crypto_refactor.model.training.parallel import Progress


class TrainingObserver(Protocol):
    """Whoever wants to follow training."""

    def begin(self, jobs: int, max_epochs: int) -> None:
        """Say that `jobs` fits begin."""

    def progress(self, progress: Progress) -> None:
        """Report a finished epoch."""

    def finished(self, job: int) -> None:
        """Report a finished fit."""

    def end(self) -> None:
        """Say that no fit runs any more, whether all went well or not."""

    def note(self, text: str) -> None:
        """Pass on a sentence for the user."""


class SilentObserver:
    """Nobody follows."""

    def begin(self, jobs: int, max_epochs: int) -> None:
        """Ignore it."""

    def progress(self, progress: Progress) -> None:
        """Ignore it."""

    def finished(self, job: int) -> None:
        """Ignore it."""

    def end(self) -> None:
        """Ignore it."""

    def note(self, text: str) -> None:
        """Ignore it."""
