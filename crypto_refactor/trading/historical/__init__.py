"""Trading bars of the past: replays, and single passes."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.trading.historical.replay import ReplayResult, TickerReplay, run_replay
    from crypto_refactor.trading.historical.single_pass import DemoPass, SignalPass, run_single_pass
    from crypto_refactor.trading.historical.trader import HistoricalTrader

__all__ = [
    "DemoPass",
    "HistoricalTrader",
    "ReplayResult",
    "SignalPass",
    "TickerReplay",
    "run_replay",
    "run_single_pass",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the help of commands needs none of them."""
    for module in ("trader", "single_pass", "replay") if name in __all__ else ():
        value = getattr(import_module(f"{__name__}.{module}"), name, None)
        if value is not None:
            return value
    raise AttributeError(name)
