"""Trading as time passes: the loop and its hourly pass, accounts, executors, training beside them."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.trading.realtime.accounts import BrokerAccount, DemoAccount, TradingAccount
    from crypto_refactor.trading.realtime.background_training import BackgroundTrainer
    from crypto_refactor.trading.realtime.hourly_pass import HourlyPass
    from crypto_refactor.trading.realtime.loop import TradingLoop
    from crypto_refactor.trading.realtime.trader import RealtimeTrader

__all__ = [
    "BackgroundTrainer",
    "BrokerAccount",
    "DemoAccount",
    "HourlyPass",
    "RealtimeTrader",
    "TradingAccount",
    "TradingLoop",
]
_MODULES = ("trader", "accounts", "background_training", "hourly_pass", "loop")


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the help of commands needs none of them."""
    for module in _MODULES if name in __all__ else ():
        value = getattr(import_module(f"{__name__}.{module}"), name, None)
        if value is not None:
            return value
    raise AttributeError(name)
