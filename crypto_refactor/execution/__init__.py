"""Signal and position in, orders and accounting out: shared by backtest, demo and live."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.execution.decisions import Decision, Enter, Exit, SignalPlan
    from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules, ExitRule
    from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
    from crypto_refactor.execution.venues import VenueRules, alpaca_rules

__all__ = [
    "Decision",
    "Enter",
    "ExecutionOptions",
    "ExecutionRules",
    "Exit",
    "ExitRule",
    "Fill",
    "SignalPlan",
    "SubAccount",
    "Trade",
    "VenueRules",
    "alpaca_rules",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for: the help of commands needs none of them."""
    for module in ("rules", "venues", "sub_account", "decisions") if name in __all__ else ():
        value = getattr(import_module(f"{__name__}.{module}"), name, None)
        if value is not None:
            return value
    raise AttributeError(name)
