"""External targets: read from a CSV file, and evaluated with the engine of a backtest."""

from crypto_refactor.backtest.external.evaluation import EvaluationResult, evaluate_targets
from crypto_refactor.backtest.external.target_file import ExternalTargets, Stamped, read_targets

__all__ = ["EvaluationResult", "ExternalTargets", "Stamped", "evaluate_targets", "read_targets"]
