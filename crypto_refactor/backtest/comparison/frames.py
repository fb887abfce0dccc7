"""What a comparison found, as pandas has it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from crypto_refactor.backtest.comparison.trials import Portfolio, Trial
from crypto_refactor.market.frames import frame_of

_RETURNS = ("total_return", "alpaca_return", "buy_and_hold_return")
_FIGURES = (
    *("final_balance", "sharpe", "sharpe_se", "max_drawdown"),
    *("trades", "win_rate", "fees_paid", "exposure"),
)


def trials_frame(trials: Sequence[Trial]) -> pd.DataFrame:
    """Return one row a trial, in the order of `trials`, indexed by its rank.

    `ticker`; `setting`, as ``--vary`` writes it; a column for each option that was varied; `total_return`,
    `alpaca_return` and `buy_and_hold_return`, fractions; the figures of the requested run (see `Metrics`); and whether its
    audit passed.  What is undefined is NaN.
    """
    rows = [
        {
            "ticker": str(trial.ticker),
            "setting": trial.parameter_set.label,
            **{name.replace("-", "_"): value for name, value in trial.parameter_set.varied},
            **_returns(trial),
            **{name: getattr(trial.scenarios.requested.metrics, name) for name in _FIGURES},
            "audit_passed": None if trial.audit is None else trial.audit.passed,
        }
        for trial in trials
    ]
    frame = pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="rank"))
    numbers = [name for name in (*_RETURNS, *_FIGURES) if name in frame]
    return frame.astype(dict.fromkeys(numbers, np.float64)).astype({"trades": np.int64} if rows else {})


def _returns(trial: Trial) -> dict[str, float | None]:
    totals = [None if metrics is None else metrics.total_return for metrics in trial.scenarios.metrics]
    return dict(zip(_RETURNS, totals, strict=True))


def portfolios_frame(portfolios: Sequence[Portfolio], end: int) -> pd.DataFrame:
    """Return the equity of each portfolio by the label of its setting, at each hour up to `end`."""
    size = len(portfolios[0].equity) if portfolios else 0
    curves = {portfolio.parameter_set.label: portfolio.equity for portfolio in portfolios}
    return frame_of(np.arange(end - size + 1, end + 1), curves, "closed")
