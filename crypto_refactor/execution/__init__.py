"""Signal and position in, orders and accounting out: shared by backtest, demo and live."""

from typing import TYPE_CHECKING

from crypto_refactor.execution.rules import EXECUTION_OPTIONS, ExecutionOptions, ExecutionRules, ExitRule
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.execution.venues import VenueRules, alpaca_rules

if TYPE_CHECKING:
    from crypto_refactor.execution.decisions import Decision, Enter, Exit, SignalPlan

__all__ = [
    "EXECUTION_OPTIONS",
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
    """Import decisions, which need numpy, when one is asked for."""
    if name not in __all__:
        raise AttributeError(name)
    from crypto_refactor.execution import decisions

    return getattr(decisions, name)
