"""Features and forecasts in, a signal with its reasons out."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.signals.condition_catalogue import CONDITIONS
    from crypto_refactor.signals.conditions import SignalFrame, SignalRules
    from crypto_refactor.signals.generator import SignalGenerator
    from crypto_refactor.signals.signal import Signal

__all__ = ["CONDITIONS", "Signal", "SignalFrame", "SignalGenerator", "SignalRules"]

_MODULES = {"Signal": "signal", "SignalGenerator": "generator"}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used, and numpy with it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'conditions')}"), name)
