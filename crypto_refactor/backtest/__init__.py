"""Backtests: walk-forward signals traded over a past window, tested against chance and audited."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crypto_refactor.backtest.backtester import Backtester
    from crypto_refactor.backtest.engine import Simulation, simulate
    from crypto_refactor.backtest.metrics import Metrics, compute_metrics
    from crypto_refactor.backtest.result import AccountRun, BacktestResult, RunResult, Scenarios

__all__ = [
    "AccountRun",
    "BacktestResult",
    "Backtester",
    "Metrics",
    "RunResult",
    "Scenarios",
    "Simulation",
    "compute_metrics",
    "simulate",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used: few commands run backtests."""
    if name in __all__:
        from crypto_refactor.backtest import backtester, engine, metrics, result

        for module in (metrics, engine, result, backtester):
            if name in vars(module):
                return vars(module)[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
