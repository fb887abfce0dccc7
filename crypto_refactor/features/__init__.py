"""Features: bars in, the indicators of the catalogue out."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.features.catalogue import CATALOGUE, WARMUP, IndicatorSpec, indicator_names
    from crypto_refactor.features.frame import FeatureFrame, compute_features

__all__ = ["CATALOGUE", "WARMUP", "FeatureFrame", "IndicatorSpec", "compute_features", "indicator_names"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, and numpy and pandas with it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "frame" if name in {"FeatureFrame", "compute_features"} else "catalogue"
    return getattr(import_module(f"{__name__}.{module}"), name)
