"""Different trials on the same hours that came before a run: what luck had to choose from."""

from dataclasses import dataclass

from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.significance.sharpe import deflated_sharpe, expected_best_sharpe


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlierTrials:
    """The different trials on overlapping bars of the same tickers that were recorded first.

    Attributes
    ----------
    count : int
        Number of them.
    sharpes : tuple of float
        Annualised Sharpe ratios of those that ever traded: the others had no chance at luck.
    """

    count: int
    sharpes: tuple[float, ...]

    def best_by_chance(self, metrics: Metrics) -> float | None:
        """Return the annualised Sharpe ratio that the best of these and a run would reach without skill.

        None where the run has no Sharpe ratio, and where no earlier trial has one: nothing can have been chosen then.
        """
        if metrics.sharpe is None or not self.sharpes:
            return None
        return expected_best_sharpe([*self.sharpes, metrics.sharpe])

    def deflated(self, metrics: Metrics) -> float | None:
        """Return the probability that the true Sharpe ratio of a run exceeds `best_by_chance`; None as there."""
        if metrics.sharpe is None or not self.sharpes:
            return None
        return deflated_sharpe(metrics.sharpe, metrics.sharpe_se, [*self.sharpes, metrics.sharpe])

    def to_dict(self, metrics: Metrics) -> dict[str, object]:
        """Return the documented JSON, for the run with these metrics."""
        return {
            "count": self.count,
            "with_sharpe": len(self.sharpes),
            "expected_best_sharpe": self.best_by_chance(metrics),
            "deflated_sharpe": self.deflated(metrics),
        }
