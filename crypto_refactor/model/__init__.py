"""Models: which one decides an hour, on what it is trained, what it knows, and how it is served."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.model.artifact import Card, Model
    from crypto_refactor.model.cache import CachedModel, ModelProvider
    from crypto_refactor.model.dataset import TrainingSet
    from crypto_refactor.model.evidence import Evidence
    from crypto_refactor.model.forecaster import Forecaster
    from crypto_refactor.model.schedule import RefitPeriod
    from crypto_refactor.model.settings import ModelSettings

_MODULES = {
    "CachedModel": "cache",
    "Card": "artifact",
    "Evidence": "evidence",
    "Forecaster": "forecaster",
    "Model": "artifact",
    "ModelProvider": "cache",
    "ModelSettings": "settings",
    "RefitPeriod": "schedule",
    "TrainingSet": "dataset",
}

__all__ = [
    "CachedModel",
    "Card",
    "Evidence",
    "Forecaster",
    "Model",
    "ModelProvider",
    "ModelSettings",
    "RefitPeriod",
    "TrainingSet",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, and numpy with it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
