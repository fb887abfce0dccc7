"""An observer of training that writes down what it hears."""

from __future__ import annotations

from crypto_refactor.model.training.parallel import TrainingObserver


class HeardTraining(TrainingObserver):
    """Hears when fits begin and end."""

    def __init__(self):
        self.heard = []

    def begin(self, fits, max_epochs):
        self.heard.append(("begin", len(fits)))

    def finished(self, job, *, failed=False):
        self.heard.append(("finished", job))

    def end(self):
        self.heard.append("end")
