"""Trade the signal: sessions and decisions, accounts and their ledger, past bars and present ones."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.trading.account_names import broker_account, demo_account, ledger_of
    from crypto_refactor.trading.account_status import AccountStatus, TickerStatus
    from crypto_refactor.trading.decider import Decider, ModelDecision
    from crypto_refactor.trading.manual.close import CloseResult
    from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable
    from crypto_refactor.trading.session import SessionObserver, TradingSession

__all__ = [
    "AccountStatus",
    "CloseResult",
    "Decider",
    "Failure",
    "ModelDecision",
    "SessionObserver",
    "TickerOutcome",
    "TickerRow",
    "TickerStatus",
    "TradingSession",
    "Unavailable",
    "broker_account",
    "demo_account",
    "ledger_of",
]
_MODULES = ("account_names", "outcomes", "session", "decider", "account_status", "manual.close")


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: the help of commands needs none of them."""
    for module in _MODULES if name in __all__ else ():
        value = getattr(import_module(f"{__name__}.{module}"), name, None)
        if value is not None:
            return value
    raise AttributeError(name)
