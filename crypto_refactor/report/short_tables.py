"""The few figures that a result shows where there is room for ten lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto_refactor.report.formatting import UNDEFINED, percent
from crypto_refactor.report.hour_remarks import account_columns
from crypto_refactor.report.metric_rows import KEY_FIGURES, RETURN_RANGE, sharpe_text

if TYPE_CHECKING:
    from crypto_refactor.backtest.comparison.runner import Comparison
    from crypto_refactor.backtest.comparison.trials import Trial
    from crypto_refactor.backtest.result import RunResult

TRIALS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; the first `names` columns are names, the others figures."""

    names: int
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def account_table(result: RunResult) -> Table:
    """Return the key figures of a run, of the same at Alpaca, and of buying and holding."""
    columns = account_columns(result)
    rows = []
    for figure in KEY_FIGURES:
        if figure.label == RETURN_RANGE:
            cells = [_range_text(result), *[""] * (len(columns) - 1)]
        else:
            cells = [UNDEFINED if metrics is None else figure.show(metrics) for metrics in columns.values()]
        if any(cells):
            rows.append((figure.label.format(quote=result.ticker.quote), *cells))
    return Table(1, ("", *columns), rows)


def _range_text(result: RunResult) -> str:
    """Return the range of the return; nothing where it was not measured, or nothing was traded."""
    measured = result.significance if result.requested.simulation.fills else None
    interval = None if measured is None else measured.intervals.total_return
    if interval is None:
        return ""
    decimals = 1 if max(map(abs, interval)) < 1 else 0  # three digits before the point say enough
    return " to ".join(f"{end * 100:+.{decimals}f}" for end in interval)


def trial_table(comparison: Comparison) -> Table:
    """Return the first trials of a comparison."""
    header = ("#", "ticker", "setting", "return, %", "at Alpaca", "buy and hold", "Sharpe ± SE", "trades")
    first = enumerate(comparison.trials[:TRIALS_SHOWN], start=1)
    return Table(3, header, [_trial_row(rank, trial) for rank, trial in first])


def _trial_row(rank: int, trial: Trial) -> tuple[str, ...]:
    requested, alpaca, hold = trial.scenarios.metrics
    returns = [
        UNDEFINED if run is None else percent(run.total_return, signed=True).removesuffix(" %")
        for run in (requested, alpaca, hold)
    ]
    names = (str(rank), str(trial.ticker), trial.parameter_set.label)
    return (*names, *returns, sharpe_text(requested), str(requested.trades))
