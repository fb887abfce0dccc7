"""Backtests: walk-forward signals traded over a past window, tested against chance and audited."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.backtest.backtester import Backtester
    from crypto_refactor.backtest.result import AccountRun, BacktestResult, RunResult, Scenarios

__all__ = ["AccountRun", "BacktestResult", "Backtester", "RunResult", "Scenarios"]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: few commands run backtests."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from crypto_refactor.backtest import backtester, result

    return getattr(backtester if name == "Backtester" else result, name)
