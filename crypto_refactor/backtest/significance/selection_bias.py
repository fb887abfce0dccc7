"""What the best of many trials says, once it is known how many were tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.significance.sharpe import deflated_sharpe, expected_best_sharpe


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionBias:
    """The best trial beside what luck alone would make of so many.

    Attributes
    ----------
    tried : int
        How many trials there were.
    counted : int
        How many of them have a Sharpe ratio: those that never held anything had no chance at luck either.
    best_sharpe : float
        The highest of them, annualised.
    expected_best_sharpe : float
        What the highest would be expected to be if none had any skill, annualised.
    deflated_sharpe : float or None
        Probability that the true Sharpe ratio of the best exceeds that; None where its error is 0.
    """

    tried: int
    counted: int
    best_sharpe: float
    expected_best_sharpe: float
    deflated_sharpe: float | None


def selection_bias(trials: Sequence[Metrics]) -> SelectionBias | None:
    """Return how much of the best of `trials` luck explains; None where no trial has a Sharpe ratio."""
    found = [(each.sharpe, each.sharpe_se) for each in trials if each.sharpe is not None]
    if not found:
        return None
    sharpe, error = max(found, key=lambda pair: pair[0])
    ratios = [ratio for ratio, _ in found]
    return SelectionBias(
        tried=len(trials),
        counted=len(found),
        best_sharpe=sharpe,
        expected_best_sharpe=expected_best_sharpe(ratios),
        deflated_sharpe=deflated_sharpe(sharpe, error, ratios),
    )
