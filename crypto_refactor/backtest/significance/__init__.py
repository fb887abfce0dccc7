"""Tests of a run against chance: bootstrap, Sharpe ratio, random entries, forecast skill, and the verdict."""

from crypto_refactor.backtest.significance.sharpe import SelectionBias, selection_bias
from crypto_refactor.backtest.significance.summary import Significance, significance_of
from crypto_refactor.backtest.significance.verdict import Verdict, verdict

__all__ = ["SelectionBias", "Significance", "Verdict", "selection_bias", "significance_of", "verdict"]
