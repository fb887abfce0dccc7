"""Hourly crypto research and trading: bars, 14 indicators, an LSTM signal, an honest backtest.

What stands in ``__all__`` is what a program uses; each name is imported when it is first used.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from crypto_refactor.version import __version__

if TYPE_CHECKING:
    from crypto_refactor import errors
    from crypto_refactor.backtest.backtester import Backtester
    from crypto_refactor.backtest.functions import compare, evaluate
    from crypto_refactor.market.bars import Bars
    from crypto_refactor.market.client import CryptoMarketDataClient
    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.signals.generator import SignalGenerator

__all__ = [
    "Backtester",
    "Bars",
    "CryptoMarketDataClient",
    "SignalGenerator",
    "__version__",
    "compare",
    "errors",
    "evaluate",
    "open_source",
]

# Set here because every process imports this module before any other of the package: a command, a script that uses the
# package, a fit beside it, a worker of a cluster.  The libraries look once, when they are imported.
#
# onnxruntime looks up a host of its maker and leaves a device id in the user's cache folder; its own call to stop that
# comes after both have happened.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Keras writes its settings into the home folder, and takes what it finds there into every fit.  Where its folder is no
# folder it does neither.
if not os.environ.get("KERAS_HOME"):
    os.environ["KERAS_HOME"] = os.devnull

_MODULES = {
    "Backtester": "backtest.backtester",
    "Bars": "market.bars",
    "CryptoMarketDataClient": "market.client",
    "SignalGenerator": "signals.generator",
    "compare": "backtest.functions",
    "evaluate": "backtest.functions",
    "open_source": "market.sources.factory",
}


def __getattr__(name: str) -> object:
    """Import a public name, and what it needs, when it is first used: the commands start fast without them."""
    if name == "errors":
        return import_module(f"{__name__}.errors")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
