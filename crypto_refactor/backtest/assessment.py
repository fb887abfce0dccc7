"""What a backtest is put through before it is believed: its tests against chance, and its audit."""

from dataclasses import replace

from crypto_refactor.backtest.audit import audit
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.backtest.significance.forecast_skill import forecast_skill
from crypto_refactor.backtest.significance.summary import Significance, significance_of


def assessed(result: BacktestResult) -> BacktestResult:
    """Return a backtest with its significance and its audit."""
    return replace(result, significance=significance(result), audit=audit(result))


def significance(result: BacktestResult) -> Significance:
    """Test the requested run of a backtest against chance."""
    scores = forecast_skill(
        result.walk.periods, result.window, result.settings, pinned=result.pinned is not None
    )
    run = result.requested
    return significance_of(run.simulation, result.window, result.plan, run.rules, scores=scores)
