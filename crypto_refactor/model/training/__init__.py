"""Networks and their fits: in this process, in worker processes, on a Dask cluster."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.model.training.cluster import Cluster
    from crypto_refactor.model.training.jobs import TrainingJob
    from crypto_refactor.model.training.parallel import Progress, TrainingObserver

__all__ = ["Cluster", "Progress", "TrainingJob", "TrainingObserver"]

_MODULES = {"Cluster": "cluster", "TrainingJob": "jobs"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, and numpy with it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'parallel')}"), name)
