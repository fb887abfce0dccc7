"""Comparisons: several tickers and parameter sets over one window, ranked, with a count of all trials."""

from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, combinations, parse_axis
from crypto_refactor.backtest.comparison.request import ComparisonRequest
from crypto_refactor.backtest.comparison.runner import Comparison, run_comparison
from crypto_refactor.backtest.comparison.selection import HeldOutTest, select_then_test
from crypto_refactor.backtest.comparison.trials import Portfolio, Trial

__all__ = [
    "Comparison",
    "ComparisonRequest",
    "HeldOutTest",
    "ParameterSet",
    "Portfolio",
    "Trial",
    "combinations",
    "parse_axis",
    "run_comparison",
    "select_then_test",
]
