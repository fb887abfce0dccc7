"""The few figures that a result shows where there is room for ten lines."""

from dataclasses import dataclass

from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.comparison.trials import Trial
from crypto_refactor.backtest.result import RunResult
from crypto_refactor.report.formatting import UNDEFINED, percent
from crypto_refactor.report.hour_remarks import account_columns
from crypto_refactor.report.metric_rows import METRIC_ROWS, sharpe_text

TRIALS_SHOWN = 5
_KEY_FIGURES = (
    *(
        "Total return",
        "Final balance",
        "Sharpe ratio ± SE",
        "Max drawdown",
        "Closed trades",
        "Win rate",
        "Fees paid",
    ),
)


@dataclass(frozen=True, slots=True)
class Table:
    """Cells as text; the first `names` columns are names, the others figures."""

    names: int
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]


def account_table(result: RunResult) -> Table:
    """Return the key figures of a run, of the same at Alpaca, and of buying and holding."""
    columns = account_columns(result)
    rows = [(row.label, *map(row.text, columns.values())) for row in METRIC_ROWS if row.label in _KEY_FIGURES]
    return Table(1, ("", *columns), rows)


def trial_table(comparison: Comparison) -> Table:
    """Return the first trials of a comparison."""
    header = ("#", "ticker", "setting", "return", "at Alpaca", "buy and hold", "Sharpe ± SE", "trades")
    first = enumerate(comparison.trials[:TRIALS_SHOWN], start=1)
    return Table(3, header, [_trial_row(rank, trial) for rank, trial in first])


def _trial_row(rank: int, trial: Trial) -> tuple[str, ...]:
    requested, alpaca, hold = trial.scenarios.metrics
    returns = [
        UNDEFINED if run is None else percent(run.total_return, signed=True)
        for run in (requested, alpaca, hold)
    ]
    names = (str(rank), str(trial.ticker), trial.parameter_set.label)
    return (*names, *returns, sharpe_text(requested), str(requested.trades))
